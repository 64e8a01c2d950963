// Arena soak: sessions whose sides lend each other memory, and whose other side is killed. The survivor is this process.
//
// Each victim keeps a ledger of what it was about to do and had done. After each kill: every message and value that it had
// sent came, whole and in its turn, and none that it had not begun; it had taken none that was not sent to it; every value
// that it gave back is back, and no other; what is borrowed from the dead stays as it was; whoever
// waits gets one and the same cause; the session's arena is dropped; and once the victims are dead, no shared memory is lent,
// and no descriptor, mapping or child is left.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { setup } from 'xstate';
import { type Arena, type IpcError, type SharedArena, sessionOf } from '../../src/index.ts';
import { Runtime } from '../../src/runtime/program.ts';
import { Random } from '../support/random.ts';
import { waitUntil } from '../support/wait-until.ts';
import { ArenaLoad, type ArenaSession } from './arena-load.ts';
import { compiled } from './compiled.ts';
import { type Counts, readLedger } from './ledger.ts';
import { arenaSoak } from './universe.ts';

export interface ArenaSoakOptions {
  /** An empty folder. */
  readonly folder: string;
  readonly kills: number;
  readonly seed: number;
  readonly onProgress?: (report: ArenaSoakReport) => void;
}

export interface ArenaSoakReport {
  kills: number;
  /** Victims that died with an open session. */
  sessions: number;
  stopped: number;
  byRole: Record<Role, number>;
  messages: number;
  values: number;
  /** Messages and values that the survivor sent. */
  lent: number;
  /** Values that victims had taken and given back. */
  released: number;
  /** Borrows that outlived their owner. */
  outlived: number;
  /** Bytes of shared memory that the victims of a round had when the first of them died, at most. */
  sharedMax: number;
  violations: string[];
}

const roles = ['both', 'lend', 'borrow'] as const;
type Role = (typeof roles)[number];

const atOnce = 6;
const lifeMaxMs = 250;
/** A victim is a whole Node.js process, and the machine may have better things to do. */
const startMaxMs = 120_000;
const stopMs = 5;
const violationsMax = 20;

/** One session, from the survivor's side. */
interface Survivor {
  readonly load: ArenaLoad;
  readonly arena: Arena;
  readonly ends: SessionEnd[];
  /** Of the values' channel, for what is lent on it. */
  readonly session: ArenaSession;
}

interface SessionEnd {
  readonly type: string;
  readonly reason: string;
  readonly error: IpcError;
  readonly unread?: Record<string, number>;
}

export class ArenaSoak {
  readonly report: ArenaSoakReport = {
    kills: 0,
    sessions: 0,
    stopped: 0,
    byRole: { both: 0, lend: 0, borrow: 0 },
    messages: 0,
    values: 0,
    lent: 0,
    released: 0,
    outlived: 0,
    sharedMax: 0,
    violations: [],
  };
  readonly #options: ArenaSoakOptions;
  readonly #random: Random;
  readonly #runtime: Runtime;
  readonly #shared: SharedArena;
  readonly #errors: number;
  #victimFile!: string;
  #started = 0;
  /** Of one round, by the victim's process number. */
  readonly #survivors = new Map<number, Survivor>();

  constructor(options: ArenaSoakOptions) {
    this.#options = options;
    this.#random = new Random(options.seed);
    this.#errors = openSync(join(options.folder, 'errors'), 'a');
    const quiet = () => undefined;
    const log = { debug: quiet, info: quiet, warn: quiet, error: quiet };
    this.#runtime = new Runtime({ runDirectory: options.folder, log });
    this.#shared = this.#runtime.createArena({ bytes: 1024 * 1024 });
  }

  async run(): Promise<ArenaSoakReport> {
    const { kills, folder, onProgress } = this.#options;
    const { report } = this;
    this.#victimFile = await compiled('arena-victim', folder);
    await this.#runtime.serve(arenaSoak.quarry, this.#machine());
    // What is made once and kept is made in this.
    await this.#round(1, undefined);
    const before = this.#leftovers();
    while (report.kills < kills && report.violations.length < violationsMax) {
      const had = report.kills;
      await this.#round(Math.min(atOnce, kills - had), before);
      if (Math.floor(had / 500) !== Math.floor(report.kills / 500)) onProgress?.(report);
    }
    await this.#runtime.stop();
    this.#shared.close();
    closeSync(this.#errors);
    const errors = readFileSync(join(folder, 'errors'), 'utf8');
    if (errors !== '') this.#violated(`victims complained: ${errors.slice(0, 2000)}`);
    return report;
  }

  #machine() {
    const begin = (self: Parameters<typeof sessionOf>[1]) => {
      const session = sessionOf(arenaSoak.quarry, self) as ArenaSession;
      if (this.#survivors.has(session.peer.pid)) this.#violated('a second session of one victim');
      const load = new ArenaLoad(session, this.#shared, new Random(this.#random.next() + 1), {
        lends: true,
        borrows: true,
      });
      const survivor: Survivor = { load, arena: session.arena, ends: [], session };
      this.#survivors.set(session.peer.pid, survivor);
      return survivor;
    };
    const bySelf = new WeakMap<object, Survivor>();
    return setup({
      types: { events: {} as SessionEnd },
      actions: {
        begin: ({ self }) => void bySelf.set(self, begin(self)),
        end: ({ self, event }) => void bySelf.get(self)?.ends.push(event),
      },
    }).createMachine({
      entry: 'begin',
      on: { 'session.closed': { actions: 'end' }, 'session.hosed': { actions: 'end' } },
    });
  }

  /** Starts some victims at once, and ends each at a moment of its own. */
  async #round(count: number, before: string | undefined): Promise<void> {
    const { report } = this;
    this.#survivors.clear();
    const shared = this.#shared;
    await Promise.all(Array.from({ length: count }, () => this.#kill()));
    const violated = (what: string) => this.#violated(`before kill ${report.kills}: ${what}`);
    await waitUntil('the shared memory to come back', () => shared.stats().used === 0).catch((error) =>
      violated(`${error.message}: ${shared.stats().used} bytes are lent`),
    );
    if (before === undefined) return;
    await waitUntil('what is left to go', () => this.#leftovers() === before).catch(() =>
      violated(`${before} became ${this.#leftovers()}`),
    );
  }

  async #kill(): Promise<void> {
    const { report } = this;
    const random = new Random(this.#random.next() + 1);
    const role = roles[random.below(roles.length)]!;
    const ledger = join(this.#options.folder, `ledger-${++this.#started}`);
    const env = { ...process.env, ACTOR_IPC_RUN_DIR: this.#options.folder };
    const args = [this.#victimFile, String(random.next() + 1), role, ledger];
    const victim = spawn(process.execPath, args, { env, stdio: ['ignore', 'ignore', this.#errors] });
    const ended = once(victim, 'exit');
    await this.#end(victim, random);
    await ended;
    if (victim.signalCode === 'SIGKILL') report.kills++;
    else this.#violated(`a victim that did ${role} ended by itself`);
    report.byRole[role]++;
    const survivor = this.#survivors.get(victim.pid!);
    if (!survivor) return;
    const violated = (what: string) => this.#violated(`a victim that did ${role}: ${what}`);
    report.sessions++;
    const { load, arena, ends } = survivor;
    let settled = false;
    void load.settled.then(() => {
      settled = true;
    });
    try {
      await waitUntil('its end to be told', () => ends.length > 0);
      await waitUntil('those who wait to be told', () => settled);
      await waitUntil("the session's arena to be dropped", () => arena.stats().segments === 0);
    } catch (error) {
      violated((error as Error).message);
    }
    const outlived = load.kept.length;
    const fault = load.checkKept();
    // Others go on meanwhile, in memory that may be mapped where this one's was.
    await pause(random.below(stopMs));
    load.releaseAll();
    if (fault ?? load.fault) violated(`${fault ?? load.fault}`);
    if (ends.length !== 1) violated(`its end was told ${ends.length} times`);
    const [end] = ends;
    if (end && (end.type !== 'session.hosed' || !['peer.closed', 'peer.reset'].includes(end.reason)))
      violated(`it ended by ${end.type} ${end.reason}: ${end.error?.message}`);
    const other = load.causes.find((cause) => cause !== end?.error?.cause);
    if (other !== undefined) violated(`another cause: ${other}`);
    this.#account(survivor, readLedger(ledger), violated);
    rmSync(ledger);
    report.outlived += outlived;
  }

  /** Holds what the survivor has seen against what its victim had written down. */
  #account({ load, session, ends }: Survivor, victim: Counts, violated: (what: string) => void): void {
    const { report } = this;
    const own = load.ledger.counted;
    const within = (what: string, low: number, count: number, high: number) => {
      if (count < low || count > high) violated(`${what}: ${count}, not ${low} to ${high}`);
    };
    within('messages of its', victim.messagesSent, own.messagesTaken, victim.messagesBegun);
    within('values of its', victim.valuesSent, own.valuesTaken, victim.valuesBegun);
    // What was begun may have been in the lane when the session ended; what it never took is told to the message.
    const { blocks = 0, values = 0 } = ends[0]?.unread ?? {};
    within('messages that it took', 0, victim.messagesTaken, own.messagesBegun - blocks);
    within('values that it took', 0, victim.valuesTaken, own.valuesBegun - values);
    const { loans } = session.channels.values.stats();
    within('values that came back', victim.releasesDone, load.valuesLent - loans, victim.releasesBegun);
    if (own.releasesBegun !== own.releasesDone || load.kept.length > 0) violated('a borrow was not released');
    report.messages += own.messagesTaken;
    report.values += own.valuesTaken;
    report.lent += own.messagesSent + own.valuesSent;
    report.released += victim.releasesDone;
  }

  async #end(victim: ChildProcess, random: Random): Promise<void> {
    const begun = () => this.#survivors.has(victim.pid!) || victim.exitCode !== null;
    await waitUntil('a session', begun, startMaxMs).catch((error) => this.#violated(error.message));
    await pause(random.below(lifeMaxMs));
    if (random.below(5) === 0) {
      this.report.stopped++;
      victim.kill('SIGSTOP');
      await pause(stopMs);
      if ((this.#survivors.get(victim.pid!)?.ends.length ?? 0) > 0)
        this.#violated('a victim that was only stopped was given up');
      if (random.below(2) === 0) {
        victim.kill('SIGCONT');
        await pause(random.below(3));
      }
    }
    this.report.sharedMax = Math.max(this.report.sharedMax, this.#shared.stats().used);
    victim.kill('SIGKILL');
  }

  /** What this process holds of the kernel, but for the segments of its own shared arena. */
  #leftovers(): string {
    const { segments } = this.#shared.stats();
    const descriptors = readdirSync('/proc/self/fd').length - segments;
    const mappings = readFileSync('/proc/self/maps', 'latin1').split('memfd:').length - 1 - segments;
    const children = readFileSync(`/proc/self/task/${process.pid}/children`, 'latin1').split(' ').length - 1;
    return `${descriptors} descriptors, ${mappings} mappings, ${children} children`;
  }

  #violated(what: string): void {
    this.report.violations.push(what);
  }
}
