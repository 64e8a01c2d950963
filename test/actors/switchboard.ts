// A universe with channels that are opened on demand, and one session of it between two runtimes.
import type { AnyStateMachine } from 'xstate';
import { channel, defineUniverse, type Session } from '../../src/index.ts';
import type { ConnectOptions } from '../../src/runtime/program.ts';
import type { ServeOptions } from '../../src/runtime/serving.ts';
import { deferred } from './library.ts';
import { type Court, holder } from './pair.ts';

export const { exchange, phone } = defineUniverse('switchboard', {
  exchange: {
    allow: ['phone'],
    arenaBytes: 1024 * 1024,
    channels: {
      line: channel<{ up: string; down: string }>({ capacityBytes: 4096 }),
      calls: channel<{ up: string; down: string; requests: { spell: [string, string[]] } }>({
        capacityBytes: 4096,
        open: 'on-demand',
        maxOpen: 3,
      }),
      faxes: channel<{ up: Uint8Array; down: Uint8Array }>({
        codec: 'bytes',
        capacityBytes: 16_384,
        maxMessageBytes: 256 * 1024,
        maxLoans: 2,
        open: 'on-demand',
      }),
    },
  },
  phone: {},
});

export type ExchangeSession = Session<typeof exchange, 'server'>;
export type PhoneSession = Session<typeof exchange, 'client'>;

interface End {
  type: string;
  error?: { code: string; cause?: unknown };
}

/** Opens one session with both ends in this process. */
export async function openSwitchboard(
  court: Court,
  { serve, connect }: { serve?: ServeOptions; connect?: ConnectOptions } = {},
  machines: { server?: AnyStateMachine; client?: AnyStateMachine } = {},
) {
  const server = court.runtime();
  const client = court.runtime();
  const ends = { server: [] as End[], client: [] as End[] };
  const { promise: served, resolve: accepted } = deferred<ExchangeSession>();
  const { promise: connected, resolve: opened } = deferred<PhoneSession>();
  await server.serve(
    exchange,
    machines.server ?? holder<ExchangeSession>(accepted, (end) => ends.server.push(end as End)),
    serve,
  );
  client.connect(
    phone,
    exchange,
    machines.client ?? holder<PhoneSession>(opened, (end) => ends.client.push(end as End)),
    connect,
  );
  return {
    ends,
    atServer: machines.server ? (undefined as never) : await served,
    atClient: machines.client ? (undefined as never) : await connected,
  };
}
