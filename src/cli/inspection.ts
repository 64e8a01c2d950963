// Inspection: the options of `run` for those who look on, and what `inspect` may ask of a running tree.
import { resolve } from 'node:path';
import { type Command, InvalidArgumentError } from 'commander';
import { LiveSource } from '../inspector/live-source.ts';
import { Recorder } from '../inspector/recording.ts';
import { InspectorServer } from '../inspector/server.ts';
import type { ControlHandlers } from '../runtime/control-server.ts';
import type { Logger } from '../runtime/log.ts';
import type { Tree } from '../runtime/tree.ts';

export interface InspectionOptions {
  readonly inspect?: boolean;
  readonly inspectPort?: number;
  readonly inspectWrite?: boolean;
  readonly record?: string;
}

export function withInspection(command: Command): Command {
  return command
    .option('--inspect', 'serve a page on 127.0.0.1 that shows all processes; its address is printed')
    .option('--inspect-port <number>', 'the port of that page (default: any that is free)', portOf)
    .option('--inspect-write', 'let that page send events to actors')
    .option('--record <file>', 'record everything that the page would show (.jsonl or .jsonl.gz)');
}

/** The same options for another process. */
export function inspectionArgs({ inspect, inspectPort, inspectWrite, record }: InspectionOptions): string[] {
  return [
    ...(inspect ? ['--inspect'] : []),
    ...(inspectPort === undefined ? [] : ['--inspect-port', String(inspectPort)]),
    ...(inspectWrite ? ['--inspect-write'] : []),
    ...(record === undefined ? [] : ['--record', resolve(record)]),
  ];
}

/** The inspector of one run: opened by its options, or later by `inspect`. */
export class Inspection {
  readonly #options: InspectionOptions;
  readonly #log: Logger;
  #tree: Tree | undefined;
  #source: LiveSource | undefined;
  #server: Promise<InspectorServer> | undefined;
  #recorder: Recorder | undefined;

  constructor(options: InspectionOptions, log: Logger) {
    this.#options = options;
    this.#log = log;
  }

  /** For the tree that is to be inspected. */
  get questions(): ControlHandlers {
    return { inspect: async () => ({ url: (await this.#serve()).url }) };
  }

  /** @throws {IpcError} ERR_INSPECTOR, ERR_RECORDING. */
  async begin(tree: Tree): Promise<void> {
    this.#tree = tree;
    const { inspect, inspectPort, inspectWrite, record } = this.#options;
    if (record !== undefined) this.#recorder = new Recorder(record, this.#sourceOf(tree), this.#log);
    if (!inspect && inspectPort === undefined && !inspectWrite) return;
    const { url } = await this.#serve();
    this.#log.info({ url }, `inspector: ${url}`);
  }

  async close(): Promise<void> {
    await this.#recorder?.close();
    const server = await this.#server?.catch(() => undefined);
    server?.close();
  }

  #sourceOf(tree: Tree): LiveSource {
    this.#source ??= new LiveSource(tree);
    return this.#source;
  }

  #serve(): Promise<InspectorServer> {
    const { inspectPort = 0, inspectWrite = false } = this.#options;
    const opening =
      this.#server ??
      InspectorServer.open(this.#sourceOf(this.#tree!), { port: inspectPort, write: inspectWrite });
    this.#server = opening;
    // Whoever asks next tries again.
    opening.catch(() => {
      this.#server = undefined;
    });
    return opening;
  }
}

export function portOf(text: string): number {
  const port = Number(text);
  if (!Number.isInteger(port) || port < 0 || port > 65_535)
    throw new InvalidArgumentError('it must be a number from 0 to 65535');
  return port;
}
