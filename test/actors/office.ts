// A universe of conversations: requests of all kinds, messages with handles, messages with schemas. With one session opened
// between two runtimes in this process.
import { z } from 'zod';
import {
  type ConnectOptions,
  channel,
  defineUniverse,
  type ServeOptions,
  type Session,
} from '../../src/index.ts';
import { deferred } from './library.ts';
import { type Court, holder } from './pair.ts';

export interface Talk {
  up: number;
  down: number;
  requests: {
    /** All numbers below. */
    count: [number, number];
    /** Each line is answered by one. */
    chat: [string, string];
    echo: [unknown, unknown];
    other: [unknown, unknown];
  };
}

export const order = z.object({ id: z.number().int(), side: z.enum(['buy', 'sell']) });

export const office = defineUniverse('office', {
  desk: {
    allow: ['caller'],
    channels: {
      talk: channel<Talk>({ capacityBytes: 16_384 }),
      /** Sets little aside, and not for long. */
      hall: channel<Talk>({
        capacityBytes: 16_384,
        unexpectedMax: 4,
        unexpectedTimeoutMs: 50,
        unexpected: 'drop-newest',
      }),
      files: channel<{ up: string; down: string; requests: { open: [string, number] } }>({
        capacityBytes: 65_536,
      }),
      news: channel<{ up: string; down: string }>({ capacityBytes: 1024, overflow: 'drop-newest' }),
      orders: channel({
        schema: {
          up: order,
          requests: {
            place: [order, z.object({ filled: z.boolean() })],
            watch: [z.number(), z.number().max(2)],
            haggle: [z.number(), z.number()],
          },
        },
      }),
      /** A schema that answers later, and one that throws. */
      odd: channel<{ up: string; requests: { late: [number, number] } }>({
        schema: {
          up: standard(() => {
            throw new Error('a broken schema');
          }),
          requests: {
            late: [standard(async (value: unknown) => ({ value: value as number })), standard(same)],
          },
        },
      }),
    },
  },
  caller: {},
});

function same(value: unknown) {
  return { value: value as number };
}

function standard<T>(validate: (value: unknown) => { value: T } | Promise<{ value: T }>) {
  return { '~standard': { version: 1 as const, vendor: 'test', validate } };
}

export type AtDesk = Session<typeof office.desk, 'server'>;
export type AtCaller = Session<typeof office.desk, 'client'>;

interface End {
  type: string;
  reason?: string;
  error?: { code: string; message: string; cause?: unknown };
}

/** Opens one session with both ends in this process. */
export async function openOffice(
  court: Court,
  options: { serve?: ServeOptions; connect?: ConnectOptions } = {},
) {
  const ends = { desk: [] as End[], caller: [] as End[] };
  const { promise: served, resolve: accepted } = deferred<AtDesk>();
  const { promise: connected, resolve: opened } = deferred<AtCaller>();
  await court.runtime().serve(
    office.desk,
    holder<AtDesk>(accepted, (end) => ends.desk.push(end as End)),
    options.serve,
  );
  court.runtime().connect(
    office.caller,
    office.desk,
    holder<AtCaller>(opened, (end) => ends.caller.push(end as End)),
    options.connect,
  );
  return { ends, atDesk: await served, atCaller: await connected };
}

export async function failureOf(
  call: Promise<unknown>,
): Promise<{ code?: string; message: string; cause?: { code?: string } }> {
  return call.then(
    () => {
      throw new Error('it succeeded');
    },
    (error) => error,
  );
}
