// Inspection: the options of `run` for those who look on, and what `inspect` may ask of a running tree.
import { resolve } from 'node:path';
import { type Command, InvalidArgumentError } from 'commander';
import type { LiveSource } from '../inspector/live-source.ts';
import { Postmortems } from '../inspector/postmortem.ts';
import type { Recorder } from '../inspector/recording.ts';
import type { InspectorServer } from '../inspector/server.ts';
import type { ControlHandlers } from '../runtime/control-server.ts';
import type { Logger } from '../runtime/log.ts';
import type { Tree } from '../runtime/tree.ts';

export interface InspectionOptions {
  readonly inspect?: boolean;
  readonly inspectPort?: number;
  readonly inspectWrite?: boolean;
  readonly inspectStately?: boolean;
  readonly record?: string;
}

export function withInspection(command: Command): Command {
  return command
    .option('--inspect', 'serve a page on 127.0.0.1 that shows all processes; its address is printed')
    .option('--inspect-port <number>', 'the port of that page (default: any that is free)', portOf)
    .option('--inspect-write', 'let that page send events to actors')
    .option(
      '--inspect-stately',
      'also embed the official inspector of stately.ai, which then sees charts and events',
    )
    .option('--record <file>', 'record everything that the page would show (.jsonl or .jsonl.gz)');
}

/** The same options for another process. */
export function inspectionArgs(options: InspectionOptions): string[] {
  const { inspect, inspectPort, inspectWrite, inspectStately, record } = options;
  return [
    ...(inspect ? ['--inspect'] : []),
    ...(inspectPort === undefined ? [] : ['--inspect-port', String(inspectPort)]),
    ...(inspectWrite ? ['--inspect-write'] : []),
    ...(inspectStately ? ['--inspect-stately'] : []),
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
  #postmortems: Postmortems | undefined;

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
    const { inspect, inspectPort, inspectWrite, inspectStately, record } = this.#options;
    this.#postmortems = new Postmortems(tree, tree.status().workspace);
    if (record !== undefined) {
      const { Recorder } = await import('../inspector/recording.ts');
      this.#recorder = new Recorder(record, await this.#sourceOf(tree), this.#log);
    }
    if (!inspect && inspectPort === undefined && !inspectWrite && !inspectStately) return;
    const server = await this.#serve();
    this.#log.info({ url: server.url }, `inspector: ${server.url}`);
    if (!inspectStately) return;
    const [page, socket] = [server.urlOf('/stately', 'http'), server.urlOf('/stately', 'ws')];
    this.#log.info({ page, socket }, `official inspector: ${page}; for apps in browsers: ${socket}`);
    this.#log.warn({}, 'charts and events of this tree go to a page of stately.ai once it is opened');
  }

  async close(): Promise<void> {
    this.#postmortems?.close();
    await this.#recorder?.close();
    const server = await this.#server?.catch(() => undefined);
    server?.close();
  }

  /** Loaded by those alone who look on. */
  async #sourceOf(tree: Tree): Promise<LiveSource> {
    const { LiveSource } = await import('../inspector/live-source.ts');
    this.#source ??= new LiveSource(tree);
    return this.#source;
  }

  #serve(): Promise<InspectorServer> {
    const opening = this.#server ?? this.#open();
    this.#server = opening;
    // Whoever asks next tries again.
    opening.catch(() => {
      this.#server = undefined;
    });
    return opening;
  }

  async #open(): Promise<InspectorServer> {
    const { inspectPort: port = 0, inspectWrite: write = false, inspectStately } = this.#options;
    const source = await this.#sourceOf(this.#tree!);
    const { InspectorServer } = await import('../inspector/server.ts');
    if (!inspectStately) return InspectorServer.open(source, { port, write });
    const { StatelyBridge } = await import('../inspector/stately.ts');
    return InspectorServer.open(source, { port, write, doors: { '/stately': new StatelyBridge(source) } });
  }
}

export function portOf(text: string): number {
  const port = Number(text);
  if (!Number.isInteger(port) || port < 0 || port > 65_535)
    throw new InvalidArgumentError('it must be a number from 0 to 65535');
  return port;
}
