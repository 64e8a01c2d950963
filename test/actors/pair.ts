// A server and a client of one universe, each with a runtime of its own, in this process or in another one.
import type { AnyStateMachine } from 'xstate';
import { setup } from 'xstate';
import { channel, defineUniverse, type Session, sessionOf } from '../../src/index.ts';
import type { ConnectOptions } from '../../src/runtime/program.ts';
import type { ServeOptions } from '../../src/runtime/serving.ts';
import { Programs } from './programs.ts';

export interface Ball {
  n: number;
}

export const tennis = defineUniverse('tennis', {
  wall: {
    allow: ['player'],
    channels: {
      balls: channel<{ up: Ball; down: Ball }>({ capacityBytes: 16_384 }),
      bytes: channel<{ up: Uint8Array; down: Uint8Array }>({ codec: 'bytes', capacityBytes: 65_536 }),
      sums: channel<{ requests: { add: [number[], number] } }>({ capacityBytes: 16_384 }),
      news: channel<{ down: string }>({ capacityBytes: 1024, overflow: 'drop-newest' }),
    },
  },
  player: {},
  stranger: {},
});

export type ServerSession = Session<typeof tennis.wall, 'server'>;
export type ClientSession = Session<typeof tennis.wall, 'client'>;

interface EndEvent {
  type: string;
  reason?: string;
  error?: { code: string; cause?: unknown };
  unread?: Record<string, number>;
}

/** What a machine was told at its end, and which one. */
interface Told extends EndEvent {
  machine: object;
}

/** A machine that hands its session over and notes how it ends; the channels are used from outside. */
export function holder<S>(
  onSession: (session: S) => void,
  onEnd: (end: EndEvent, machine: object) => void = () => {},
): AnyStateMachine {
  return setup({
    types: { events: {} as EndEvent },
    actions: {
      hand: ({ self }) => onSession(sessionOf(tennis.wall, self) as S),
      note: ({ event, self }) => onEnd(event, self),
    },
  }).createMachine({
    entry: 'hand',
    on: { 'session.closed': { actions: 'note' }, 'session.hosed': { actions: 'note' } },
  });
}

export class Court extends Programs {
  /** Opens one session and gives both ends of it, and what their machines are told at its end. */
  async play(options: { serve?: ServeOptions; connect?: ConnectOptions } = {}) {
    const server = this.runtime();
    const client = this.runtime();
    const ends = { server: [] as Told[], client: [] as Told[] };
    let accepted: (session: ServerSession) => void = () => {};
    let opened: (session: ClientSession) => void = () => {};
    const sessions = Promise.all([
      new Promise<ServerSession>((resolve) => {
        accepted = resolve;
      }),
      new Promise<ClientSession>((resolve) => {
        opened = resolve;
      }),
    ]);
    const onServer = holder<ServerSession>(
      (session) => accepted(session),
      (end, machine) => ends.server.push({ ...end, machine }),
    );
    const onClient = holder<ClientSession>(
      (session) => opened(session),
      (end, machine) => ends.client.push({ ...end, machine }),
    );
    const serving = await server.serve(tennis.wall, onServer, options.serve);
    const connecting = client.connect(tennis.player, tennis.wall, onClient, options.connect);
    const [atServer, atClient] = await sessions;
    return { server, client, serving, connecting, atServer, atClient, ends };
  }
}
