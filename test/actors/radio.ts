// A station that broadcasts and any number of receivers, each with a runtime of its own, in this process or in another one.
import type { AnyStateMachine } from 'xstate';
import { setup } from 'xstate';
import {
  broadcast,
  channel,
  defineUniverse,
  type Serving,
  type Session,
  sessionOf,
  sessionSetup,
} from '../../src/index.ts';
import type { ConnectOptions } from '../../src/runtime/program.ts';
import { Programs } from './programs.ts';

export interface News {
  n: number;
  text?: string;
}

/** Long enough for a reader of a busy machine to read a kibibyte, short enough to wait for. */
export const slowAfterMs = 400;

export const radio = defineUniverse('radio', {
  station: {
    allow: ['receiver'],
    channels: { calls: channel<{ up: number; down: number }>({ capacityBytes: 4096 }) },
    broadcasts: {
      news: broadcast<News>({ capacityBytes: 16_384 }),
      charts: broadcast<News>({ capacityBytes: 4096, history: 3 }),
      orders: broadcast<News>({ capacityBytes: 4096, reader: 'block' }),
      alarms: broadcast<News>({ capacityBytes: 1024, reader: 'block', slowAfterMs }),
      raw: broadcast<Uint8Array>({ codec: 'bytes', capacityBytes: 4096 }),
    },
  },
  receiver: {},
});

type Station = typeof radio.station;
export type AtReceiver = Session<Station, 'client'>;
export type AtStation = Session<Station, 'server'>;

interface EndEvent {
  type: string;
  reason?: string;
  error?: { code: string; cause?: unknown };
}

/** A machine that hands its session over and notes how it ends. */
export function holding<S>(
  onSession: (session: S) => void,
  onEnd: (end: EndEvent) => void = () => {},
): AnyStateMachine {
  return setup({
    types: { events: {} as EndEvent },
    actions: {
      hand: ({ self }) => onSession(sessionOf(radio.station, self) as S),
      note: ({ event }) => onEnd(event),
    },
  }).createMachine({
    entry: 'hand',
    on: {
      'session.closed': { actions: 'note' },
      'session.hosed': { actions: 'note' },
      'subscription.dropped': { actions: 'note' },
    },
  });
}

/** A machine to which news come as events. */
export function following(onEvent: (event: { message: News; gap: number }) => void): AnyStateMachine {
  return sessionSetup(radio.station, 'client', {
    actions: {
      take: ({ event }) => {
        if (event.type === 'broadcast.news') onEvent(event);
      },
    },
  }).createMachine({ on: { 'broadcast.news': { actions: 'take' } } });
}

export class Band extends Programs {
  readonly stationSessions: AtStation[] = [];

  serve(onEnd?: (end: EndEvent) => void): Promise<Serving<Station>> {
    const machine = holding<AtStation>((session) => this.stationSessions.push(session), onEnd);
    return this.runtime().serve(radio.station, machine);
  }

  /** Opens one more session; `ends` are the last events of its machine. */
  async tune(options?: ConnectOptions): Promise<{ session: AtReceiver; ends: EndEvent[] }> {
    const ends: EndEvent[] = [];
    const session = await new Promise<AtReceiver>((resolve) => {
      const machine = holding<AtReceiver>(resolve, (end) => ends.push(end));
      this.runtime().connect(radio.receiver, radio.station, machine, options);
    });
    return { session, ends };
  }
}
