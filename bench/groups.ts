// Groups: what is measured, as data. A group is a table, a row of it is one transport; each row of each group is done by a
// fresh pair of processes.
import { cacheRecords, type Durations, type Job } from './job.ts';

export interface Row {
  readonly name: string;
  readonly job: Omit<Job, keyof Durations>;
  /** Left out of the short form: it is known well enough from other groups. */
  readonly longOnly?: boolean;
}

export interface Group {
  /** What `--only` is matched with, beside the mode. */
  readonly name: string;
  readonly title: string;
  readonly rows: readonly Row[];
  /** How much longer than others it is measured: who is silent in between has fewer round trips in the same time. */
  readonly patience?: number;
  /** Where the kernel puts the processes matters much to it, so the short form measures it unpinned too. */
  readonly unpinnedToo?: boolean;
  /** Whole trees of processes, which would all get the driver's CPU. */
  readonly unpinnedOnly?: boolean;
}

/** The row that is compared, and those it is compared with. */
export const subject = 'actor-ipc';
export const peers = ['fork json', 'fork advanced'] as const;

/**
 * Silence before each question in which the responder falls asleep: longer than the turn of the event loop in which a
 * doorbell stays awake. The driver falls asleep while the responder wakes.
 */
const asleepPauseUs = 30;
/** Silence between round trips that come now and then; long enough for the cores to sleep too. */
const sporadicPauseUs = 2_000;

const busy = { measures: ['round-trip', 'one-way'], pauseUs: 0, spinUs: undefined, crowd: 0 } as const;
const parked = { ...busy, measures: ['round-trip'], pauseUs: asleepPauseUs, spinUs: 0, payload: 16 } as const;
const sporadic = { ...parked, pauseUs: sporadicPauseUs, spinUs: undefined } as const;

const roundTrips = { ...busy, measures: ['round-trip'] } as const;
/** Sessions that are open and silent beside the one that is measured. */
const crowd = 999;

/** Programs under one root. */
const unitsMany = 300;

/** Actors of one process below one supervisor. */
const actorsMany = 100_000;

type Load = Omit<Job, keyof Durations | 'transport'>;

const cpp = (load: Load): Row => ({ name: 'limit: C++', job: { transport: 'cpp', ...load } });
const atomics = (load: Load): Row => ({ name: 'limit: Atomics', job: { transport: 'atomics', ...load } });
const doorbell = (load: Load): Row => ({ name: 'limit: eventfd', job: { transport: 'doorbell', ...load } });
const session = (load: Load): Row => ({ name: subject, job: { transport: 'session', ...load } });
const awaited = (load: Load): Row => ({
  name: 'actor-ipc, await',
  job: { transport: 'session-await', ...load },
});
const loan = (load: Load): Row => ({ name: 'actor-ipc, loan', job: { transport: 'loan', ...load } });
const alone = (name: string, transport: 'encoder' | 'xstate', load: Load): Row => ({
  name: `limit: ${name}`,
  job: { transport, ...load, measures: ['one-way'] },
});
const broadcasts = (load: Load): Row[] => [
  { name: '1 reader', job: { transport: 'broadcast', ...load, readers: 1 } },
  { name: '3 readers', job: { transport: 'broadcast', ...load, readers: 3 } },
];
const forks = (load: Load): Row[] => [
  { name: peers[0], job: { transport: 'fork-json', ...load } },
  { name: peers[1], job: { transport: 'fork-advanced', ...load } },
];
const longForks = (load: Load): Row[] => forks(load).map((row) => ({ ...row, longOnly: true }));

/** Of a session: what the default record of a cache has room for. */
const cacheLoad = { ...busy, measures: ['one-way'], payload: 384 } as const;
const cacheRows = (operation: 'get' | 'set' | 'delete'): Row[] => [
  { name: `limit: C++, ${operation}`, job: { transport: 'cache-cpp', ...cacheLoad, operation } },
  { name: `lru-cache, ${operation}`, job: { transport: 'cache-lru', ...cacheLoad, operation } },
  { name: `${subject}, ${operation}`, job: { transport: 'cache', ...cacheLoad, operation } },
];

const kib = 1024;
const bytes = (payload: number): Load => ({ ...busy, payload });
const oneWay = (payload: number): Load => ({ ...bytes(payload), measures: ['one-way'] });
const object: Load = { ...busy, payload: 'object' };

export const groups: readonly Group[] = [
  {
    name: '16B',
    title: '16 B',
    rows: [cpp(bytes(16)), atomics(bytes(16)), session(bytes(16)), awaited(bytes(16)), ...forks(bytes(16))],
    unpinnedToo: true,
  },
  {
    name: '64B',
    title: '64 B, one way: copied, and borrowed; and each an event of a machine of XState',
    rows: [
      atomics(oneWay(64)),
      session(oneWay(64)),
      { name: 'actor-ipc, borrow', job: { transport: 'session-borrow', ...oneWay(64) } },
      alone('XState', 'xstate', oneWay(64)),
      { name: 'actor-ipc, event', job: { transport: 'session-events', ...oneWay(64) } },
    ],
  },
  {
    name: '4KiB',
    title: '4 KiB',
    rows: [
      cpp(bytes(4 * kib)),
      atomics(bytes(4 * kib)),
      session(bytes(4 * kib)),
      ...longForks(bytes(4 * kib)),
    ],
  },
  {
    name: '1MiB',
    title: '1 MiB',
    rows: [
      { name: 'limit: memcpy', job: { transport: 'cpp-copy', ...roundTrips, payload: kib * kib } },
      cpp(bytes(kib * kib)),
      atomics(bytes(kib * kib)),
      session(bytes(kib * kib)),
      { name: 'actor-ipc, into', job: { transport: 'session-into', ...bytes(kib * kib) } },
      loan(bytes(kib * kib)),
      ...forks(bytes(kib * kib)),
    ],
  },
  {
    name: '64MiB',
    title: '64 MiB in place: warm, only the first and last byte written and read',
    rows: [
      { name: '16 B, copied', job: { transport: 'session', ...roundTrips, payload: 16 } },
      { name: 'loan', job: { transport: 'loan-view', ...roundTrips, payload: 64 * kib * kib } },
      { name: 'value lent', job: { transport: 'lent', ...roundTrips, payload: 64 * kib * kib } },
      { name: 'loan, 256 MiB', job: { transport: 'loan-view', ...roundTrips, payload: 256 * kib * kib } },
      { name: 'value of 1 GiB', job: { transport: 'lent', ...roundTrips, payload: kib * kib * kib } },
    ],
  },
  {
    name: 'object',
    title: 'object of 20 fields',
    rows: [alone('encoder', 'encoder', object), session(object), ...forks(object)],
  },
  {
    name: 'parked',
    title: '16 B, both asleep (spinUs: 0)',
    rows: [cpp(parked), doorbell(parked), session(parked), ...longForks(parked)],
    unpinnedToo: true,
  },
  {
    name: 'sporadic',
    title: `16 B, ${sporadicPauseUs / 1_000} ms apart`,
    rows: [cpp(sporadic), doorbell(sporadic), session(sporadic), ...longForks(sporadic)],
    patience: 2,
    unpinnedToo: true,
  },
  {
    name: 'sessions',
    title: `16 B, alone and beside ${crowd} idle sessions`,
    rows: [
      { name: subject, job: { transport: 'crowd', ...roundTrips, payload: 16 } },
      {
        name: `beside ${crowd} idle`,
        job: { transport: 'crowd', ...roundTrips, payload: 16, crowd },
      },
    ],
  },
  {
    name: 'actors',
    title: `${actorsMany.toLocaleString('en')} actors: creation and memory of each; from the crash of one until it runs again`,
    rows: [
      {
        name: 'XState alone',
        job: { transport: 'actors-alone', ...roundTrips, payload: 16, crowd: actorsMany },
      },
      { name: subject, job: { transport: 'actors', ...roundTrips, payload: 16, crowd: actorsMany } },
      { name: `${subject}, ten`, job: { transport: 'actors', ...roundTrips, payload: 16, crowd: 10 } },
    ],
  },
  {
    name: 'units',
    title: `20 programs under one root (${unitsMany} with --long): start and memory of each, wake-ups of the idle root; from SIGKILL until the next one runs`,
    rows: [{ name: subject, job: { transport: 'units', ...roundTrips, payload: 16, crowd: unitsMany } }],
  },
  {
    name: 'takeover',
    title:
      'from SIGKILL of a Node process until the next one does its work, and until a client has an answer in a new session',
    rows: [
      { name: 'process, standby', job: { transport: 'process-standby', ...roundTrips, payload: 16 } },
      { name: 'process, cold', job: { transport: 'process-cold', ...roundTrips, payload: 16 } },
      { name: 'session, standby', job: { transport: 'session-standby', ...roundTrips, payload: 16 } },
      { name: 'session, cold', job: { transport: 'session-cold', ...roundTrips, payload: 16 } },
    ],
    unpinnedOnly: true,
  },
  {
    name: 'inspector',
    title:
      'transitions of one machine: by XState alone, hosted with nobody watching, with a viewer, with a recording',
    rows: [
      { name: 'XState alone', job: { transport: 'turn', ...bytes(0), measures: ['one-way'] } },
      { name: subject, job: { transport: 'turn-hosted', ...bytes(0), measures: ['one-way'] } },
      { name: `${subject}, viewer`, job: { transport: 'turn-watched', ...bytes(0), measures: ['one-way'] } },
      {
        name: `${subject}, recorded`,
        job: { transport: 'turn-recorded', ...bytes(0), measures: ['one-way'] },
      },
    ],
  },
  {
    name: 'pipe',
    title: '64 B through a pipe, 2 producers and 2 consumers',
    rows: [{ name: subject, job: { transport: 'pipe', ...bytes(64), measures: ['one-way'] } }],
  },
  {
    name: 'broadcast16B',
    title: '16 B, broadcast to readers of one process',
    rows: [session(oneWay(16)), ...broadcasts(oneWay(16))],
  },
  {
    name: 'broadcast4KiB',
    title: '4 KiB, broadcast to readers of one process',
    rows: [session(oneWay(4 * kib)), ...broadcasts(oneWay(4 * kib))],
  },
  {
    name: 'cache',
    title: `${cacheRecords.toLocaleString('en')} records of 384 B: calls a second of processor time (delete: with the set before it); of one and of two processes that get four times for each set`,
    rows: [
      ...cacheRows('get'),
      ...cacheRows('set'),
      ...cacheRows('delete'),
      { name: `${subject}, mixed`, job: { transport: 'cache', ...cacheLoad, operation: 'mixed' } },
      { name: `${subject}, two mixed`, job: { transport: 'cache-both', ...cacheLoad, operation: 'mixed' } },
    ],
  },
];
