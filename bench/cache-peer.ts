// Cache peer: what one process does with a cache that is full, or with lru-cache; or two processes with one cache at once. The
// keys come in an order in which neighbours in time are none in memory.
import { type Cache, cache } from 'actor-ipc/cache';
import { LRUCache } from 'lru-cache';
import { Flow } from './flow.ts';
import { cacheRecords, type Figures } from './job.ts';
import { endWithStarter, sayReady, tell, untilReady, workOf } from './peer.ts';

/** Does one thing with the n-th key. */
type Step = (n: number) => unknown;

/** Of the calls of a mixed load, one in so many is a set. */
const setOneIn = 5;
/** Prime, so that every key has its turn. */
const stride = 7_919;
/** How often a responder looks whether there is work. */
const lookMs = 1;

const { role, job } = workOf(process.argv);
const { operation = 'get' } = job;
const size = job.payload as number;
const value = new Uint8Array(size).fill(7);
const keys = Array.from(
  { length: cacheRecords },
  (_, n) => `session-${(n * stride) % cacheRecords}-0123456789`,
);
const keyOf = (n: number) => keys[n % cacheRecords]!;

endWithStarter();
// Before anything else: a line that nobody waits for is lost.
const ready = untilReady();
if (job.transport === 'cache-both' && role === 'responder') await follow();
else if (role === 'responder') sayReady();
else {
  await ready;
  const measured = job.transport === 'cache-both' ? await lead() : await alone();
  tell(measured);
  process.exit();
}

async function alone(): Promise<Figures> {
  const step = job.transport === 'cache-lru' ? stepOfLru() : stepOf(await filled());
  await flow(job.warmUpMs, step);
  return flow(job.measureMs, step);
}

/**
 * A call that answers a promise is awaited: nobody has more than one of them under way.
 * @returns calls a second of processor time: nobody is waited for, so other work on the machine does not count.
 */
async function flow(durationMs: number, step: Step): Promise<Figures> {
  const clock = new Flow(durationMs, size);
  const before = process.cpuUsage();
  let n = 0;
  do {
    const answer = step(n++);
    if (answer instanceof Promise) await answer;
  } while (clock.count());
  const { user, system } = process.cpuUsage(before);
  const messages = n / ((user + system) / 1e6);
  return { messages, megabytes: (messages * size) / 1e6 };
}

async function filled(): Promise<Cache<Uint8Array>> {
  const made = await cache<Uint8Array>('bench', { capacity: cacheRecords, recordBytes: size });
  for (const key of keys) await made.set(key, value);
  return made;
}

function stepOf(table: Cache<Uint8Array>): Step {
  const set = (key: string) => {
    // Another process may have the lock.
    while (table.trySet(key, value) === undefined);
  };
  const steps: Record<typeof operation, Step> = {
    get: (n) => table.get(keyOf(n)) ?? missing(n),
    set: (n) => set(keyOf(n)),
    delete: (n) => {
      set(keyOf(n));
      return table.delete(keyOf(n));
    },
    mixed: (n) => (n % setOneIn === 0 ? set(keyOf(n)) : (table.get(keyOf(n)) ?? missing(n))),
  };
  return steps[operation];
}

/** It hands out the value itself; what it is given it keeps, so that is a copy, as it is for whoever gets it from a network. */
function stepOfLru(): Step {
  const table = new LRUCache<string, Uint8Array>({ max: cacheRecords });
  for (const key of keys) table.set(key, value.slice());
  const steps: Record<typeof operation, Step> = {
    get: (n) => table.get(keyOf(n)) ?? missing(n),
    set: (n) => table.set(keyOf(n), value.slice()),
    delete: (n) => {
      table.set(keyOf(n), value.slice());
      table.delete(keyOf(n));
    },
    mixed: (n) =>
      n % setOneIn === 0 ? table.set(keyOf(n), value.slice()) : (table.get(keyOf(n)) ?? missing(n)),
  };
  return steps[operation];
}

function missing(n: number): never {
  throw new Error(`${keyOf(n)} is not there`);
}

// ---- two at once: they agree by another cache

interface Phase {
  readonly number: number;
  readonly durationMs: number;
}

function agreement(): Promise<Cache<Phase | Figures>> {
  return cache<Phase | Figures>('agreement', { capacity: 16 });
}

async function lead(): Promise<Figures> {
  const agreed = await agreement();
  const step = stepOf(await filled());
  let sum: Figures = {};
  for (const [number, durationMs] of [job.warmUpMs, job.measureMs].entries()) {
    await agreed.set('phase', { number, durationMs });
    const mine = await flow(durationMs, step);
    const other = (await until(() => agreed.get(`done-${number}`))) as Figures;
    sum = {
      messages: mine.messages! + other.messages!,
      megabytes: mine.megabytes! + other.megabytes!,
    };
  }
  return sum;
}

async function follow(): Promise<void> {
  const agreed = await agreement();
  sayReady();
  for (let number = 0; ; number++) {
    const { durationMs } = await until(() => {
      const phase = agreed.get('phase') as Phase | undefined;
      return phase?.number === number ? phase : undefined;
    });
    const step = stepOf(await cache<Uint8Array>('bench'));
    await agreed.set(`done-${number}`, await flow(durationMs, step));
  }
}

async function until<T>(look: () => T | undefined): Promise<T> {
  for (;;) {
    const found = look();
    if (found !== undefined) return found;
    await new Promise((resolve) => setTimeout(resolve, lookMs));
  }
}
