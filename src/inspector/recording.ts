// Recording: what a page would see, in a file: a header line, then one line `[milliseconds, message]` for each message, compressed
// if the name ends with `.gz`. It is made whole again and again, so a run that is killed leaves all but its last moments.
import { createWriteStream, openSync, type WriteStream } from 'node:fs';
import { constants, createGzip, type Gzip } from 'node:zlib';
import { IpcError, messageOf } from '../errors.ts';
import { momentMs } from '../runtime/feed.ts';
import type { Logger } from '../runtime/log.ts';
import { AudienceQueue } from './audience-queue.ts';
import type { Hello, ServerMessage } from './protocol.ts';
import type { Showing, Source } from './source.ts';

/** Raised when an older reader would misread a recording. */
export const recordingVersion = 1;

export interface RecordingHeader {
  readonly actorIpc: 'recording';
  readonly version: number;
  readonly startedAtMs: number;
  readonly topology: Hello['topology'];
}

const flushMs = 50;
/** A killed run loses no more than this. */
const syncMs = 500;
/** Records that wait for a slow disk. */
const waitingMax = 100_000;
const batchMax = 5_000;

export class Recorder {
  readonly #file: string;
  readonly #log: Pick<Logger, 'warn'>;
  readonly #disk: WriteStream;
  readonly #gzip: Gzip | undefined;
  readonly #showing: Showing;
  readonly #timers: NodeJS.Timeout[];
  readonly #queue = new AudienceQueue({
    droppableMax: waitingMax,
    keptMax: Number.POSITIVE_INFINITY,
    actorNow: (place) => this.#showing.actor(place),
  });
  readonly #latest = new Map<string, ServerMessage>();
  #full = false;
  #over: Promise<void> | undefined;

  /** Begins at once. @throws {IpcError} ERR_RECORDING if the file can't be made. */
  constructor(file: string, source: Source, log: Pick<Logger, 'warn'>) {
    this.#file = file;
    this.#log = log;
    let fd: number;
    try {
      fd = openSync(file, 'w', 0o600);
    } catch (error) {
      throw IpcError.from(error, 'ERR_RECORDING', file, `it can't be made: ${messageOf(error)}`);
    }
    this.#disk = createWriteStream(file, { fd });
    this.#disk.on('error', (error) => this.#fail(error));
    if (file.endsWith('.gz')) {
      this.#gzip = createGzip();
      this.#gzip.pipe(this.#disk);
    }
    const { topology } = source.hello(false);
    const header: RecordingHeader = {
      actorIpc: 'recording',
      version: recordingVersion,
      startedAtMs: momentMs(),
      topology,
    };
    this.#write(`${JSON.stringify(header)}\n`);
    this.#showing = source.show({
      tell: (message) => this.#tell(message),
      record: (process, record) => this.#queue.push(process, record),
    });
    const { messages, actors } = this.#showing.dump();
    for (const message of messages) this.#writeMessage(message);
    this.#writeMessage({ type: 'records', batches: [...actors] });
    this.#timers = [
      setInterval(() => this.#flush(), flushMs).unref(),
      setInterval(() => this.#gzip?.flush(constants.Z_SYNC_FLUSH), syncMs).unref(),
    ];
  }

  /** Resolves once all of it is in the file. */
  close(): Promise<void> {
    this.#over ??= new Promise((resolve) => {
      for (const timer of this.#timers) clearInterval(timer);
      this.#full = false;
      this.#flush();
      this.#showing.close();
      this.#disk.once('close', resolve);
      (this.#gzip ?? this.#disk).end();
      if (this.#disk.closed || this.#disk.destroyed) resolve();
    });
    return this.#over;
  }

  #tell(message: ServerMessage): void {
    if (message.type === 'log') this.#writeMessage(message);
    else if (message.type === 'processes' || message.type === 'dependences' || message.type === 'resources')
      this.#latest.set(message.type, message);
    else if (message.type === 'metrics') this.#writeMessage(message);
  }

  #flush(): void {
    if (this.#full) return;
    for (const message of this.#latest.values()) this.#writeMessage(message);
    this.#latest.clear();
    const dropped = this.#queue.takeDropped();
    if (dropped > 0) this.#writeMessage({ type: 'dropped', at: Date.now(), count: dropped });
    while (this.#queue.length > 0 && !this.#full)
      this.#writeMessage({ type: 'records', batches: this.#queue.take(batchMax) });
  }

  #writeMessage(message: ServerMessage): void {
    // A slow disk costs lines and figures; records wait, bounded.
    if (this.#full && message.type !== 'records') return;
    this.#write(`${JSON.stringify([momentMs(), message])}\n`);
  }

  #write(text: string): void {
    const target = this.#gzip ?? this.#disk;
    if (target.destroyed || target.write(text)) return;
    this.#full = true;
    target.once('drain', () => {
      this.#full = false;
    });
  }

  /** A full disk costs the recording, never the run. */
  #fail(error: Error): void {
    this.#log.warn({ file: this.#file }, `the recording has ended: ${error.message}`);
    for (const timer of this.#timers) clearInterval(timer);
    this.#showing.close();
    this.#gzip?.destroy();
  }
}
