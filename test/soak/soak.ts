// Soak: sessions under load whose other side is killed, again and again, and what the survivor must find each time. The
// survivor is this process: a server for some victims, a client of others.
//
// After each kill: all that the victim had published was delivered, in order, whole and once; all that it had not given back
// as read is counted as unread; whoever waits gets one and the same cause; the machine is told once; and no descriptor and
// no mapping is left.
import type { ChildProcess } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { setup } from 'xstate';
import { type IpcError, type Session, sessionOf } from '../../src/index.ts';
import { Runtime } from '../../src/runtime/program.ts';
import { appSocketPath } from '../../src/transport/run-directory.ts';
import { Random } from '../support/random.ts';
import { compiled } from './compiled.ts';
import { faultOf, makeMessage } from './message.ts';
import { soak } from './universe.ts';
import { type Ledger, type VictimKind, Victims } from './victim.ts';

export interface SoakOptions {
  /** The program of cpp/test/soak_victim.cc. */
  readonly program: string;
  /** An empty folder. */
  readonly folder: string;
  readonly kills: number;
  readonly seed: number;
  /** One victim of so many is a whole Node.js process; 0: none. */
  readonly nodeEvery: number;
  readonly onProgress?: (report: SoakReport) => void;
}

export interface SoakReport {
  /** Victims that died of SIGKILL. */
  kills: number;
  /** Victims that had ended before they were killed. */
  ended: number;
  /** Victims that died with an open session; the others died while it was opened. */
  sessions: number;
  /** Kills by the victim itself at one of its crash points. */
  atPoints: number;
  /** Victims that were stopped for a while, or killed while they were stopped. */
  stopped: number;
  byKind: Record<VictimKind, number>;
  received: number;
  accepted: number;
  unread: number;
  answers: number;
  violations: string[];
}

/** Far above what anything takes here: it stands for "never". */
const neverMs = 15_000;
const askedMax = 8;
/** A busy victim passes some thousand points in the few milliseconds that it lives, a slow one some dozens. */
const pointsMax = [60, 300, 3_000];
const lifeMaxMs = 6;
const pointMaxMs = 50;
const stopMs = 5;
const violationsMax = 20;

type SoakSession = Session<typeof soak.store, 'server'>;

interface Hosed {
  readonly type: string;
  readonly reason: string;
  readonly error: IpcError;
  readonly unread: Record<string, number>;
}

/** One session, from the survivor's side. */
class Survivor {
  received = 0;
  accepted = 0;
  answers = 0;
  fault: string | undefined;
  readonly ends: Hosed[] = [];
  readonly causes: unknown[] = [];
  #pumping: Promise<unknown> = Promise.resolve();
  #over = false;

  constructor(session: SoakSession, seed: number) {
    const { words, sums } = session.channels;
    words.onBatch((messages) => {
      for (const message of messages) this.fault ??= faultOf(message, this.received++);
    });
    sums.onRequest('echo', (value) => value);
    this.#pumping = Promise.all([
      this.#send(session, seed),
      ...Array.from({ length: askedMax }, () => this.#ask(session)),
    ]);
  }

  end(hosed: Hosed): void {
    this.ends.push(hosed);
    this.#over = true;
  }

  /** Resolves when nobody here waits any more. */
  get settled(): Promise<unknown> {
    return this.#pumping;
  }

  /** Sends whenever there is room. What was accepted must be counted exactly, so nothing ever waits for room. */
  async #send({ channels: { words } }: SoakSession, seed: number): Promise<void> {
    const random = new Random(seed);
    let message = makeMessage(0, random);
    try {
      while (!this.#over) {
        if (words.trySend(message)) message = makeMessage(++this.accepted, random);
        else await pause(1);
      }
    } catch (error) {
      this.causes.push((error as IpcError).cause);
    }
  }

  async #ask({ channels: { sums } }: SoakSession): Promise<void> {
    try {
      for (let number = 0; ; number++) {
        const answer = await sums.request('echo', number, { timeoutMs: neverMs });
        if (answer !== number) this.fault ??= `a request of ${number} was answered with ${answer}`;
        this.answers++;
      }
    } catch (error) {
      this.causes.push((error as IpcError).cause);
      if ((error as IpcError).code !== 'ERR_CHANNEL_HOSED') this.fault ??= `a request ended with ${error}`;
    }
  }
}

export class Soak {
  readonly report: SoakReport = {
    kills: 0,
    ended: 0,
    sessions: 0,
    atPoints: 0,
    stopped: 0,
    byKind: { client: 0, server: 0, 'node-client': 0 },
    received: 0,
    accepted: 0,
    unread: 0,
    answers: 0,
    violations: [],
  };
  readonly #options: SoakOptions;
  readonly #random: Random;
  #victims!: Victims;
  readonly #runtime: Runtime;
  #survivor: Survivor | undefined;
  #strays = 0;

  constructor(options: SoakOptions) {
    this.#options = options;
    this.#random = new Random(options.seed);
    const quiet = () => undefined;
    const log = { debug: quiet, info: quiet, warn: quiet, error: quiet };
    this.#runtime = new Runtime({ runDirectory: options.folder, log });
  }

  async run(): Promise<SoakReport> {
    const { kills, nodeEvery, onProgress } = this.#options;
    const { report } = this;
    const { program, folder } = this.#options;
    this.#victims = new Victims(program, await compiled('node-victim', folder), folder);
    await this.#runtime.serve(soak.store, this.#machine());
    this.#runtime.connect(soak.courier, soak.vault, this.#machine(), { reconnect: { minMs: 1, maxMs: 3 } });
    // What is made once and kept is made in these.
    for (const kind of ['client', 'server'] as const) await this.#kill(kind, undefined);
    const before = leftovers();
    for (let kill = 1; report.kills < kills && report.violations.length < violationsMax; kill++) {
      const isNode = nodeEvery > 0 && kill % nodeEvery === 0;
      await this.#kill(isNode ? 'node-client' : this.#random.below(3) === 0 ? 'server' : 'client', before);
      onProgress?.(report);
    }
    await this.#runtime.stop();
    const { errors } = this.#victims;
    if (errors !== '') this.#violated(`victims complained: ${errors.slice(0, 2000)}`);
    this.#victims.close();
    return report;
  }

  /** Keeps the one session that is open, and how it ends. */
  #machine() {
    return setup({
      types: { events: {} as Hosed },
      actions: {
        begin: ({ self }) => {
          if (this.#survivor) this.#strays++;
          this.#survivor = new Survivor(sessionOf(soak.store, self) as SoakSession, this.#random.next() + 1);
        },
        end: ({ event }) => this.#survivor?.end(event),
      },
    }).createMachine({
      entry: 'begin',
      on: { 'session.closed': { actions: 'end' }, 'session.hosed': { actions: 'end' } },
    });
  }

  async #kill(kind: VictimKind, before: string | undefined): Promise<void> {
    const random = this.#random;
    const { report } = this;
    const number = report.kills + report.ended;
    const app = kind === 'server' ? soak.vault : soak.store;
    const atPoint =
      kind !== 'node-client' && random.below(2) === 0 ? 1 + random.below(pointsMax[random.below(3)]!) : 0;
    this.#survivor = undefined;
    const socket = appSocketPath(this.#options.folder, app.universe, app.name);
    const victim = this.#victims.start(kind, socket, random.next() + 1, atPoint);
    const ended = new Promise<void>((resolve) => victim.once('exit', () => resolve()));
    await this.#end(victim, atPoint);
    await ended;
    if (victim.signalCode === 'SIGKILL') report.kills++;
    else report.ended++;
    report.byKind[kind]++;
    if (atPoint > 0) report.atPoints++;
    const violated = (what: string) => this.#violated(`kill ${number} (${kind}, point ${atPoint}): ${what}`);
    const ledger = this.#victims.ledger;
    // A session that the survivor had opened must end; and one that both had opened must have been seen.
    await until(() => this.#isOver(before)).catch(() =>
      violated(`it never ended: ${before} became ${leftovers()}`),
    );
    const survivor = this.#survivor as Survivor | undefined;
    if (!survivor) {
      if (ledger.open && ledger.publishing > 0 && kind === 'client') violated('its session was never seen');
      return;
    }
    const settled = await Promise.race([
      survivor.settled.then(() => true),
      pause(neverMs, false, { ref: false }),
    ]);
    if (!settled) return violated('somebody waits for ever');
    report.sessions++;
    report.received += survivor.received;
    report.accepted += survivor.accepted;
    report.answers += survivor.answers;
    report.unread += survivor.ends[0]?.unread.words ?? 0;
    for (const what of faultsOf(survivor, kind === 'node-client' ? undefined : ledger)) violated(what);
    if (this.#strays > 0) violated(`${this.#strays} sessions too many`);
    this.#strays = 0;
  }

  /** Ends the victim at a moment of chance, unless it does that itself. */
  async #end(victim: ChildProcess, atPoint: number): Promise<void> {
    const random = this.#random;
    // Half of them live until they have a session, the others at most that long altogether.
    if (random.below(4) > 0) await until(() => this.#survivor !== undefined || hasEnded(victim));
    if (atPoint > 0 && random.below(8) > 0) {
      // It comes to its point by itself, unless that is too far.
      const givenUpAt = performance.now() + pointMaxMs;
      while (!hasEnded(victim) && performance.now() < givenUpAt) await pause(1);
    }
    const lifeMs = random.below(lifeMaxMs * 4) / 4;
    if (lifeMs >= 1) await pause(lifeMs);
    else await new Promise(setImmediate);
    if (random.below(6) === 0) {
      this.report.stopped++;
      victim.kill('SIGSTOP');
      const ends = this.#survivor?.ends.length ?? 0;
      await pause(stopMs);
      // Unless it had died before.
      const isAlive = !hasEnded(victim);
      if (isAlive && atPoint === 0 && (this.#survivor?.ends.length ?? 0) !== ends)
        this.#violated('a victim that was only stopped was given up');
      if (random.below(2) === 0) {
        victim.kill('SIGCONT');
        await pause(random.below(3));
      }
    }
    victim.kill('SIGKILL');
  }

  #isOver(before: string | undefined): boolean {
    const survivor = this.#survivor;
    if (survivor && survivor.ends.length === 0) return false;
    return before === undefined || leftovers() === before;
  }

  #violated(what: string): void {
    this.report.violations.push(what);
  }
}

function hasEnded({ exitCode, signalCode }: ChildProcess): boolean {
  return exitCode !== null || signalCode !== null;
}

function* faultsOf(survivor: Survivor, ledger: Ledger | undefined): Generator<string> {
  const { received, accepted, ends, causes, fault } = survivor;
  if (fault) yield fault;
  if (ends.length !== 1) yield `its end was told ${ends.length} times`;
  const [end] = ends;
  if (!end) return;
  if (end.type !== 'session.hosed' || !['peer.closed', 'peer.reset'].includes(end.reason))
    yield `it ended by ${end.type} ${end.reason}: ${end.error?.message}`;
  const others = causes.filter((cause) => cause !== undefined && cause !== end.error?.cause);
  if (others.length > 0) yield `another cause: ${others[0]}`;
  if (!ledger) return;
  if (received < ledger.published || received > ledger.publishing)
    yield `${received} messages arrived; it had published ${ledger.published} to ${ledger.publishing}`;
  const gone = accepted - (end.unread.words ?? Number.NaN);
  if (!(gone >= ledger.released && gone <= ledger.releasing))
    yield `${accepted} were accepted, ${end.unread.words} are unread; it had read ${ledger.released} to ${ledger.releasing}`;
  if (survivor.answers > ledger.replied) yield `${survivor.answers} answers, but it gave ${ledger.replied}`;
}

/** What this process holds of the kernel, in words that can be compared. */
function leftovers(): string {
  const descriptors = readdirSync('/proc/self/fd').length;
  const mappings = readFileSync('/proc/self/maps', 'latin1').split('memfd:actor-ipc').length - 1;
  return `${descriptors} descriptors, ${mappings} mappings`;
}

async function until(condition: () => boolean): Promise<void> {
  const givenUpAt = performance.now() + neverMs;
  while (!condition()) {
    if (performance.now() > givenUpAt) throw new Error('waited in vain');
    await pause(1);
  }
}
