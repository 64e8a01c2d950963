// Load soak: a client that for minutes sends, asks and is told ten times what the two can take. What is too much is refused or
// dropped as each channel says, and counted to the message; the memory of both stays as it is; and when the load goes back, what
// is sent arrives at once and nothing is dropped any more.
import { readFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { setup } from 'xstate';
import { type Session, sessionOf } from '../../src/index.ts';
import { Runtime } from '../../src/runtime/program.ts';
import { startProgram } from '../support/fixture.ts';
import { waitUntil } from '../support/wait-until.ts';
import type { LoadFigures } from './load-client.ts';
import { load, loadRates } from './universe.ts';

export interface LoadSoakOptions {
  /** An empty folder. */
  readonly folder: string;
  /** How long there is too much. */
  readonly seconds: number;
}

export interface LoadSoakReport extends Partial<Omit<LoadFigures, 'fault'>> {
  /** Grains that the server has taken. */
  taken: number;
  published: number;
  /** Bytes that each had more, at most, than soon after the beginning. */
  grownBytes: { server: number; client: number };
  /** From sending to taking, once the load was gone: half of them were faster. */
  calmMs: number;
  violations: string[];
}

type Server = Session<typeof load.mill, 'server'>;

const clientFile = fileURLToPath(new URL('load-client.ts', import.meta.url));
/** What a lazy collector may leave lying about. A queue without a bound would have a multiple of it after some seconds. */
const grownMax = 96 * 1024 * 1024;
/** The first part of the time is for the engine to find its size. */
const warmShare = 0.3;
const lookMs = 200;
const answersMax = 2_000;
/** Stands for "at once" on a machine that has other work. */
const calmMaxMs = 1_000;

export class LoadSoak {
  readonly report: LoadSoakReport = {
    taken: 0,
    published: 0,
    grownBytes: { server: 0, client: 0 },
    calmMs: Number.NaN,
    violations: [],
  };
  readonly #options: LoadSoakOptions;
  readonly #runtime: Runtime;
  #session: Server | undefined;
  #last = -1;
  #calm: number[] | undefined;
  #done = false;

  constructor(options: LoadSoakOptions) {
    this.#options = options;
    const quiet = () => undefined;
    const log = { debug: quiet, info: quiet, warn: quiet, error: quiet };
    this.#runtime = new Runtime({ runDirectory: options.folder, log });
  }

  async run(): Promise<LoadSoakReport> {
    const { folder, seconds } = this.#options;
    const { broadcasts } = await this.#runtime.serve(load.mill, this.#machine());
    using client = startProgram(process.execPath, ['--import', 'tsx/esm', clientFile, String(seconds)], {
      env: { ACTOR_IPC_RUN_DIR: folder },
    });
    const session = await waitUntil('the client', () => this.#session);
    const ticks = setInterval(() => {
      this.#take(session);
      const times = this.#calm ? 0 : loadRates.taken * 10;
      for (let left = times; left > 0; left--) broadcasts.prices.tryPublish(this.report.published++);
    }, loadRates.tickMs);
    try {
      await this.#watch(client.child.pid!);
      await this.#comparesAfter(session);
    } catch (error) {
      this.#violated(String(error));
    } finally {
      clearInterval(ticks);
      await this.#runtime.stop();
    }
    // It would wait for the next server.
    client.child.kill('SIGTERM');
    const { stderr } = await client.end;
    if (stderr !== '') this.#violated(`the client complained: ${stderr.slice(0, 2_000)}`);
    return this.report;
  }

  #machine() {
    return setup({
      actions: {
        begin: ({ self }) => {
          const session = sessionOf(load.mill, self) as Server;
          this.#session = session;
          // It answers as many as it takes grains, however many wait.
          session.channels.sums.onRequest('echo', async (value) => {
            await this.#turn();
            return value;
          });
          session.channels.sums.onRequest('done', () => {
            this.#done = true;
            return null;
          });
        },
      },
    }).createMachine({ entry: 'begin' });
  }

  #answers: (() => void)[] = [];
  #turn(): Promise<void> {
    return new Promise((resolve) => this.#answers.push(resolve));
  }

  #take({ channels: { grains } }: Server): void {
    // Who asked has given up most of what waits longer than this.
    const late = this.#answers.length - answersMax;
    const count = this.#calm ? Number.POSITIVE_INFINITY : Math.max(loadRates.asked, late);
    for (const answer of this.#answers.splice(0, count)) answer();
    for (let left = loadRates.taken; left > 0; left--) {
      const grain = grains.tryReceive();
      if (!grain) return;
      const head = new DataView(grain.buffer, grain.byteOffset, grain.byteLength);
      const number = head.getUint32(0);
      if (number <= this.#last) this.#violated(`grain ${number} came after ${this.#last}`);
      this.#last = number;
      this.report.taken++;
      this.#calm?.push(Number(process.hrtime.bigint() - head.getBigUint64(8)) / 1e6);
    }
  }

  /** Until the load is over. */
  async #watch(client: number): Promise<void> {
    const { seconds } = this.#options;
    const now = () => ({ server: process.memoryUsage.rss(), client: residentBytes(client) });
    await pause(seconds * warmShare * 1_000);
    const before = now();
    const untilMs = performance.now() + seconds * (1 - warmShare) * 1_000;
    const { grownBytes, violations } = this.report;
    while (performance.now() < untilMs && violations.length === 0) {
      await pause(lookMs);
      const { server, client: theirs } = now();
      grownBytes.server = Math.max(grownBytes.server, server - before.server);
      grownBytes.client = Math.max(grownBytes.client, theirs - before.client);
      const most = Math.max(grownBytes.server, grownBytes.client);
      if (most > grownMax) this.#violated(`the memory of one has grown by ${most} bytes`);
    }
  }

  async #comparesAfter({ channels: { grains, sums } }: Server): Promise<void> {
    const { report } = this;
    // What was accepted is taken first.
    await waitUntil('the ring to be empty', () => grains.stats().unreadBytes === 0 && !this.#takesStill());
    this.#calm = [];
    const before = await sums.request('figures', null, { timeoutMs: 30_000 });
    await sums.request('calm', null, { timeoutMs: 30_000 });
    await waitUntil('the calm to be over', () => this.#done);
    await waitUntil('what was sent in it', () => this.#calm!.length >= loadRates.calmGrains);
    const after = await sums.request('figures', null, { timeoutMs: 30_000 });
    const { fault, droppedByChannel, ...figures } = after;
    Object.assign(report, figures);
    if (fault) this.#violated(fault);
    if (figures.accepted !== report.taken)
      this.#violated(`${figures.accepted} were accepted, ${report.taken} taken`);
    if (figures.dropped !== droppedByChannel)
      this.#violated(`${figures.dropped} were dropped, the channel has counted ${droppedByChannel}`);
    for (const name of ['dropped', 'missed', 'busy'] as const)
      if (figures[name] === 0) this.#violated(`there was no overload: ${name} is 0`);
    if (after.dropped !== before.dropped) this.#violated('something was dropped after the load was gone');
    this.#calm.sort((a, b) => a - b);
    report.calmMs = Math.round(this.#calm[this.#calm.length >> 1]! * 10) / 10;
    if (report.calmMs > calmMaxMs) this.#violated(`it has not recovered: ${report.calmMs} ms`);
  }

  #takenBefore = -1;
  #takesStill(): boolean {
    const before = this.#takenBefore;
    this.#takenBefore = this.report.taken;
    return before !== this.report.taken;
  }

  #violated(what: string): void {
    if (this.report.violations.length < 20) this.report.violations.push(what);
  }
}

function residentBytes(pid: number): number {
  return Number(readFileSync(`/proc/${pid}/statm`, 'latin1').split(' ')[1]) * 4096;
}
