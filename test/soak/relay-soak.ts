// Relay soak: the nodes of relay tiers are killed, again and again, while front ends put, ask for and delete keys.
//
// Every call ends in time, with an answer or an error. What is read was put for that key, whole; nothing comes back whose delete
// was acknowledged with nobody missing; after each kill all nodes find each other again; and the front ends, which are this
// process, hold no more descriptors than before.
import { closeSync, mkdirSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { RelayDownstream } from '../../src/actors/relay-downstream.ts';
import { IpcError } from '../../src/errors.ts';
import { Runtime } from '../../src/runtime/program.ts';
import type { CacheEntry, CacheTombstone } from '../../src/spec/downstream.ts';
import type { RelayNodeSpec } from '../../src/spec/relay-node.ts';
import { openDescriptors } from '../support/descriptors.ts';
import { Random } from '../support/random.ts';
import { waitUntil } from '../support/wait-until.ts';
import { RelayTier, tierSeed, tierTimes } from './relay-tier.ts';

export interface RelaySoakOptions {
  /** An empty folder. */
  readonly folder: string;
  readonly kills: number;
  readonly seed: number;
  /** Tiers at once. Default 3. */
  readonly tiers?: number;
}

export interface RelaySoakReport {
  kills: number;
  byRole: Partial<Record<RelayNodeSpec['role'], number>>;
  stopped: number;
  puts: number;
  asks: number;
  /** Asks that found an entry. */
  found: number;
  /** Deletes that were acknowledged with nobody missing. */
  deletes: number;
  /** Calls that ended with an error, or at their limit. */
  refused: number;
  violations: string[];
}

const keysEach = 120;
const askersEach = 3;
const callMs = 3_000;
/** A call that has not ended so long after its limit never will. */
const lateMs = 20_000;
const ttlMs = 3_600_000;
const lifeMaxMs = 60;
/** A delete is acknowledged by all nodes only while all are there: some lives last long enough for a few. */
const longLifeMaxMs = 600;
const stopMs = 100;
const violationsMax = 20;

export class RelaySoak {
  readonly report: RelaySoakReport = {
    kills: 0,
    byRole: {},
    stopped: 0,
    puts: 0,
    asks: 0,
    found: 0,
    deletes: 0,
    refused: 0,
    violations: [],
  };
  readonly #options: RelaySoakOptions;
  readonly #runtime: Runtime;
  readonly #random: Random;
  #stamp = 0;
  #over = false;

  constructor(options: RelaySoakOptions) {
    this.#options = options;
    this.#random = new Random(options.seed);
    const quiet = () => undefined;
    const log = { debug: quiet, info: quiet, warn: quiet, error: quiet };
    this.#runtime = new Runtime({ runDirectory: options.folder, log });
  }

  async run(): Promise<RelaySoakReport> {
    const { folder, tiers = 3 } = this.#options;
    const errors = openSync(join(folder, 'errors'), 'a');
    await Promise.all(
      Array.from({ length: tiers }, async (_, index) => {
        const own = join(folder, `tier-${index}`);
        mkdirSync(own, { mode: 0o700 });
        const tier = new RelayTier(own, errors);
        await this.#soak(tier, index).catch((error) => this.#violated(String(error)));
        await tier.close();
      }),
    );
    this.#over = true;
    await this.#runtime.stop();
    closeSync(errors);
    const complaints = readFileSync(join(folder, 'errors'), 'utf8');
    if (complaints !== '') this.#violated(`nodes complained: ${complaints.slice(0, 2_000)}`);
    return this.report;
  }

  async #soak(tier: RelayTier, index: number): Promise<void> {
    const front = (name: string) =>
      this.#runtime.downstream({
        ...{ node: `${name}-${index}`, seed: BigInt(tierSeed), times: tierTimes },
        endpoint: { path: tier.path },
      });
    const fronts = [await front('a'), await front('b')] as const;
    const rest = async () => {
      await tier.whole();
      await waitUntil('the front ends', () => fronts.every(({ status }) => status === 'connected'));
    };
    await rest();
    const load = new Load(fronts, this);
    const before = openDescriptors().size;
    const { report } = this;
    while (report.kills < this.#options.kills && report.violations.length < violationsMax) {
      await pause(this.#random.below(this.#random.below(5) === 0 ? longLifeMaxMs : lifeMaxMs));
      const victim = this.#random.below(tier.size);
      if (this.#random.below(6) === 0) {
        report.stopped++;
        tier.signal(victim, 'SIGSTOP');
        await pause(stopMs);
      }
      const role = tier.roleOf(victim);
      if (await tier.kill(victim)) {
        report.kills++;
        report.byRole[role] = (report.byRole[role] ?? 0) + 1;
      } else this.#violated(`a ${role} ended by itself`);
      await rest();
    }
    await load.end();
    // Another tier of this process may be in the middle of something.
    const { tiers = 3 } = this.#options;
    if (tiers === 1)
      await waitUntil('the descriptors to be as before', () => openDescriptors().size <= before).catch(() =>
        this.#violated(`${before} descriptors became ${openDescriptors().size}`),
      );
  }

  nextStamp(): number {
    return ++this.#stamp;
  }

  random(): Random {
    return new Random(this.#random.next() + 1);
  }

  violated(what: string): void {
    this.#violated(what);
  }

  #violated(what: string): void {
    if (!this.#over || this.report.violations.length === 0) this.report.violations.push(what);
  }
}

/** Front ends that put, ask and delete, as fast as they are answered. */
class Load {
  readonly #soak: RelaySoak;
  /** The stamps that were begun for each key. */
  readonly #begun = new Map<string, Set<number>>();
  /** By key: everything up to this stamp is deleted everywhere. */
  readonly #deleted = new Map<string, number>();
  readonly #loops: Promise<void>[];
  readonly #offs: (() => void)[];
  #over = false;

  constructor([a, b]: readonly [RelayDownstream, RelayDownstream], soak: RelaySoak) {
    this.#soak = soak;
    this.#offs = [a, b].map((front) =>
      front.onNews((news) => {
        if (news.type !== 'entry.deleted') this.#check(news.key, news.entry, 'was told');
      }),
    );
    const loop = async (each: (random: Random) => Promise<void>) => {
      const random = soak.random();
      while (!this.#over) await each(random);
    };
    this.#loops = [
      loop((random) => this.#put(a, random)),
      loop((random) => this.#put(b, random)),
      loop((random) => this.#forget(a, random)),
      ...Array.from({ length: askersEach }, (_, n) => loop((random) => this.#ask(n % 2 ? a : b, random))),
    ];
  }

  async end(): Promise<void> {
    this.#over = true;
    await Promise.all(this.#loops);
    for (const off of this.#offs) off();
  }

  async #put(front: RelayDownstream, random: Random): Promise<void> {
    const key = keyOf(random);
    const stamp = this.#soak.nextStamp();
    const begun = this.#begun.get(key) ?? new Set();
    this.#begun.set(key, begun.add(stamp));
    const value = Buffer.from(textOf(key, stamp));
    if (
      (await this.#call((signal) => front.put(key, { value, form: 'text', stamp, ttlMs }, signal))) !==
      refused
    )
      this.#soak.report.puts++;
    await pause(random.below(3));
  }

  async #forget(front: RelayDownstream, random: Random): Promise<void> {
    const key = keyOf(random);
    const stamp = this.#soak.nextStamp();
    const forgotten = await this.#call((signal) =>
      front.forget(key, { deleted: true, stamp, ttlMs }, signal),
    );
    if (forgotten !== refused && forgotten.missing.length === 0) {
      this.#soak.report.deletes++;
      this.#deleted.set(key, stamp);
    }
    await pause(random.below(20));
  }

  async #ask(front: RelayDownstream, random: Random): Promise<void> {
    const key = keyOf(random);
    const deleted = this.#deleted.get(key) ?? 0;
    const found = await this.#call((signal) => front.ask(key, signal));
    this.#soak.report.asks++;
    if (found !== refused && found !== undefined && 'value' in found) {
      this.#soak.report.found++;
      this.#check(key, found, 'was found');
      if (found.stamp <= deleted)
        this.#soak.violated(`${key} came back: ${found.stamp} was found, ${deleted} deleted it`);
    }
    await pause(random.below(3));
  }

  #check(key: string, { value, stamp }: CacheEntry, how: string): void {
    const text = Buffer.from(value).toString();
    if (text !== textOf(key, stamp)) this.#soak.violated(`of ${key} ${text} ${how}, with the stamp ${stamp}`);
    if (!this.#begun.get(key)?.has(stamp))
      this.#soak.violated(`${key} ${stamp} ${how}, which nobody has put`);
  }

  async #call<T extends CacheEntry | CacheTombstone | object | undefined | void>(
    call: (signal: AbortSignal) => Promise<T>,
  ): Promise<T | typeof refused> {
    const late = new AbortController();
    try {
      const answer = await Promise.race([
        call(AbortSignal.timeout(callMs)),
        pause(callMs + lateMs, never, { signal: late.signal, ref: false }),
      ]);
      if (answer !== never) return answer as T;
      this.#soak.violated('a call has not ended');
    } catch (error) {
      const isLimit = error instanceof Error && error.name === 'TimeoutError';
      if (!isLimit && !(error instanceof IpcError)) this.#soak.violated(`a call ended with ${error}`);
    } finally {
      late.abort();
    }
    this.#soak.report.refused++;
    return refused;
  }
}

const refused = Symbol('refused');
const never = Symbol('never');

function keyOf(random: Random): string {
  return `key-${random.below(keysEach)}`;
}

function textOf(key: string, stamp: number): string {
  return `${key}:${stamp}:${'x'.repeat(stamp % 200)}`;
}
