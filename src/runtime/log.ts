// Log: structured records by pino, for people in a terminal, for programs as NDJSON, and always into a file where there is
// one. Written synchronously, so that the last words of a process are not lost.
import pino from 'pino';
import pretty from 'pino-pretty';
import type { LogLevel } from '../actors/hosting.ts';

export type { LogLevel } from '../actors/hosting.ts';
export type Logger = pino.Logger;

export interface LogOptions {
  readonly level?: LogLevel;
  /** How the terminal gets it; `none` for nothing. Default: pretty. */
  readonly terminal?: 'pretty' | 'json' | 'none';
  readonly color?: boolean;
  /** Where every record goes, whatever the terminal shows. */
  readonly file?: string;
  /** Gets each line for the terminal; default: standard error. */
  readonly write?: (text: string) => void;
}

/** Where a record that people read has its facts already in its message. */
const hiddenFields = 'pid,hostname,unit,app,peer,code,message,reason,actor,epoch';

export function createLog({
  level = 'info',
  terminal = 'pretty',
  color,
  file,
  write,
}: LogOptions = {}): Logger {
  const streams: pino.StreamEntry[] = [];
  const sink = { write: write ?? ((text: string) => void process.stderr.write(text)) };
  if (terminal === 'json') streams.push({ level, stream: sink });
  if (terminal === 'pretty')
    streams.push({ level, stream: prettyStream(sink, color ?? process.stderr.isTTY === true) });
  if (file !== undefined)
    streams.push({ level, stream: pino.destination({ dest: file, append: true, sync: true }) });
  return pino({ level, base: null, timestamp: pino.stdTimeFunctions.isoTime }, pino.multistream(streams));
}

function prettyStream(sink: { write(text: string): void }, colorize: boolean): pino.DestinationStream {
  const format = pretty.prettyFactory({
    colorize,
    ignore: hiddenFields,
    translateTime: 'SYS:HH:MM:ss.l',
    hideObject: true,
  });
  return { write: (text) => sink.write(format(text)) };
}
