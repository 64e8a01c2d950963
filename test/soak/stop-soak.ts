// Stop soak: processes that lend, borrow, hold a lock and an unacknowledged packet are stopped for a long time, and go on.
//
// While they are stopped nobody takes them for dead: their session stays open, what they lent stays as it was, what is lent to
// them stays lent, their packet goes to nobody else; whoever needs their lock is told so at his limit; and everybody who has no
// business with them goes on. When they go on, so does everything.
import type { ChildProcess } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { setup } from 'xstate';
import { IpcError, type Pipe, type SharedArena, sessionOf } from '../../src/index.ts';
import { Runtime } from '../../src/runtime/program.ts';
import { openRegion, type Region } from '../../src/transport/region.ts';
import { type Program, startProgram } from '../support/fixture.ts';
import { Random } from '../support/random.ts';
import { type RegionUser, regionUser } from '../support/transport/region-user.ts';
import { waitUntil } from '../support/wait-until.ts';
import { ArenaLoad, type ArenaSession } from './arena-load.ts';
import { arenaSoak } from './universe.ts';

export interface StopSoakOptions {
  /** An empty folder. */
  readonly folder: string;
  readonly seconds: number;
  readonly seed: number;
}

export interface StopSoakReport {
  /** How long they were stopped. */
  stoppedSeconds: number;
  /** Blocks and values that were lent to the stopped process, and what was borrowed from it, all the while. */
  lent: number;
  borrowed: number;
  /** Messages that another session took meanwhile. */
  others: number;
  /** Calls that were told at their limit that the lock is held. */
  locked: number;
  /** Messages that its session took when it went on. */
  afterwards: number;
  violations: string[];
}

interface Survivor {
  readonly load: ArenaLoad;
  readonly session: ArenaSession;
  readonly ends: object[];
}

const victimFile = fileURLToPath(new URL('arena-victim.ts', import.meta.url));
const lockLimitMs = 50;
/** So many messages in both directions say that a session is under way. */
const underWay = 10;

export class StopSoak {
  readonly report: StopSoakReport = {
    stoppedSeconds: 0,
    lent: 0,
    borrowed: 0,
    others: 0,
    locked: 0,
    afterwards: 0,
    violations: [],
  };
  readonly #options: StopSoakOptions;
  readonly #runtime: Runtime;
  readonly #shared: SharedArena;
  readonly #survivors = new Map<number, Survivor>();

  constructor(options: StopSoakOptions) {
    this.#options = options;
    const quiet = () => undefined;
    const log = { debug: quiet, info: quiet, warn: quiet, error: quiet };
    this.#runtime = new Runtime({ runDirectory: options.folder, log });
    this.#shared = this.#runtime.createArena({ bytes: 1024 * 1024 });
  }

  async run(): Promise<StopSoakReport> {
    const { folder } = this.#options;
    await this.#runtime.serve(arenaSoak.quarry, this.#machine());
    // Two regions, so that one can be looked into while the other is locked.
    const regions: Region[] = [];
    const newRegion = async (name: string) => {
      const region = await openRegion(join(folder, name), 'market', { bytes: 1_000_000 });
      regions.push(region);
      return region;
    };
    try {
      const jobs = await (await newRegion('held')).pipe<string>('jobs', { capacityPackets: 2 });
      const balls = await (await newRegion('locked')).pipe<number>('balls', { capacityPackets: 8 });
      await jobs.enqueue('job');
      for (let n = 0; n < 4; n++) await balls.enqueue(n);
      using lender = this.#victim(1);
      using bystander = this.#victim(2);
      using taker = regionUser('take', join(folder, 'held'), 'jobs');
      using holder = regionUser('hammer', join(folder, 'locked'), 'balls');
      await taker.says();
      await holder.says();
      const one = await this.#underWay(lender);
      const other = await this.#underWay(bystander);
      await stopWithLock(holder, balls);
      for (const { child } of [lender, taker]) await stop(child);
      await this.#watch(one, other, jobs, balls);
      for (const { child } of [holder, lender, taker]) child.kill('SIGCONT');
      await this.#goesOn(one, taker, jobs, balls);
      for (const { load } of [one, other]) if (load.fault) this.#violated(load.fault);
    } finally {
      for (const region of regions) await region.close();
      await this.#runtime.stop();
      this.#shared.close();
    }
    return this.report;
  }

  #machine() {
    const begin = (self: Parameters<typeof sessionOf>[1]): Survivor => {
      const session = sessionOf(arenaSoak.quarry, self) as ArenaSession;
      const random = new Random(this.#options.seed + this.#survivors.size);
      const load = new ArenaLoad(session, this.#shared, random, { lends: true, borrows: true });
      const survivor: Survivor = { load, session, ends: [] };
      this.#survivors.set(session.peer.pid, survivor);
      return survivor;
    };
    const bySelf = new WeakMap<object, Survivor>();
    return setup({
      actions: {
        begin: ({ self }) => void bySelf.set(self, begin(self)),
        end: ({ self, event }) => void bySelf.get(self)!.ends.push(event),
      },
    }).createMachine({
      entry: 'begin',
      on: { 'session.closed': { actions: 'end' }, 'session.hosed': { actions: 'end' } },
    });
  }

  #victim(number: number): Program {
    const { folder, seed } = this.#options;
    const ledger = join(folder, `ledger-${number}`);
    const args = ['--import', 'tsx/esm', victimFile, String(seed + number), 'both', ledger];
    return startProgram(process.execPath, args, { env: { ACTOR_IPC_RUN_DIR: folder } });
  }

  #underWay(victim: Program): Promise<Survivor> {
    return waitUntil('a session under way', () => {
      const survivor = this.#survivors.get(victim.child.pid!);
      const { messagesTaken = 0, valuesTaken = 0 } = survivor?.load.ledger.counted ?? {};
      return messagesTaken >= underWay && valuesTaken >= underWay ? survivor : undefined;
    });
  }

  /** All the time that they are stopped. */
  async #watch(
    { load, session, ...survivor }: Survivor,
    other: Survivor,
    jobs: Pipe<string>,
    balls: Pipe<number>,
  ): Promise<void> {
    const { report } = this;
    const taken = () => load.ledger.counted.messagesTaken;
    const loans = () => session.channels.blocks.stats().loans + session.channels.values.stats().loans;
    // What was on its way before they were stopped.
    await settled(() => `${loans()} ${load.kept.length} ${taken()}`);
    report.lent = loans();
    report.borrowed = load.kept.length;
    const before = { taken: taken(), others: other.load.ledger.counted.messagesTaken };
    const since = performance.now();
    while (performance.now() - since < this.#options.seconds * 1000 && report.violations.length === 0) {
      const answer = await balls.dequeue({ timeoutMs: lockLimitMs }).catch((error: IpcError) => error.code);
      if (answer === 'ERR_LOCK_TIMEOUT') report.locked++;
      else this.#violated(`its lock was taken: ${answer}`);
      const { unacknowledged, packets } = await jobs.stats();
      if (unacknowledged !== 1 || packets !== 0) this.#violated('its packet was taken from it');
      if (survivor.ends.length > 0) this.#violated('its session was ended');
      if (loans() !== report.lent) this.#violated(`what was lent to it became ${loans()}`);
      const fault = load.checkKept();
      if (fault) this.#violated(`what it had lent: ${fault}`);
    }
    report.stoppedSeconds = Math.round((performance.now() - since) / 100) / 10;
    report.others = other.load.ledger.counted.messagesTaken - before.others;
    if (report.others === 0) this.#violated('another session stood still');
    if (taken() !== before.taken) this.#violated('it sent something while it was stopped');
  }

  async #goesOn(
    { load }: Survivor,
    taker: RegionUser,
    jobs: Pipe<string>,
    balls: Pipe<number>,
  ): Promise<void> {
    const taken = () => load.ledger.counted.messagesTaken;
    const before = taken();
    await waitUntil('its session to go on', () => taken() > before + underWay);
    this.report.afterwards = taken() - before;
    if ((await balls.dequeue({ timeoutMs: 5_000 })) === undefined)
      this.#violated('the lock did not come free');
    taker.child.kill('SIGUSR2');
    await taker.says();
    const { unacknowledged, packets } = await jobs.stats();
    if (unacknowledged + packets !== 0) this.#violated('its packet could not be acknowledged');
  }

  #violated(what: string): void {
    this.report.violations.push(what);
  }
}

async function stop(child: ChildProcess): Promise<void> {
  child.kill('SIGSTOP');
  await waitUntil('it is stopped', () => / T /.test(readFileSync(`/proc/${child.pid}/stat`, 'utf8')));
}

/** Whether it is stopped with the lock is a matter of luck, so it is tried until it is. */
async function stopWithLock({ child }: RegionUser, balls: Pipe<number>): Promise<void> {
  for (;;) {
    const { dequeued } = await balls.stats();
    // A busy machine may leave it no time between two stops, and it would stay where it was.
    while ((await balls.stats()).dequeued < dequeued + 100) await pause(1);
    // Those figures needed the lock: on one core with us, the holder now stands where it does not have it.
    await pause(1);
    await stop(child);
    try {
      const ball = await balls.dequeue({ timeoutMs: lockLimitMs });
      if (ball !== undefined) await balls.enqueue(ball);
    } catch (error) {
      if (error instanceof IpcError && error.code === 'ERR_LOCK_TIMEOUT') return;
      throw error;
    }
    child.kill('SIGCONT');
  }
}

/** Waits until nothing has changed for some turns. */
async function settled(look: () => string): Promise<void> {
  let before = '';
  for (let equal = 0; equal < 20; equal++) {
    const now = look();
    if (now !== before) equal = 0;
    before = now;
    await pause(10);
  }
}
