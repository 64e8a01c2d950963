// Session events: what a session tells the machine that runs it.
import type { IpcError } from '../errors.ts';
import type { Published } from './broadcast-spec.ts';
import type { ChannelFor } from './channel.ts';
import type { Carried, Down, OnDemandSpec, RequestsOf, Up } from './channel-spec.ts';
import type { Descriptor } from './native-handle.ts';
import type { Peer, Side } from './peer.ts';
import type { HoseReason, Offer, OnDemandNames } from './session.ts';
import type { AppSpec } from './universe.ts';

/** The events that a session sends to the machine that runs it. */
export type SessionEvent<A extends AppSpec = AppSpec, S extends Side = Side> =
  | {
      [K in keyof A['channels'] & string]: A['channels'][K] extends OnDemandSpec<infer _>
        ? MessageEvent<K, Carried<A['channels'][K]>, S, Via<A, K, S>>
        : PlainMessageEvent<K, Carried<A['channels'][K]>, S>;
    }[keyof A['channels'] & string]
  | {
      [K in OnDemandNames<A>]: { type: 'channel.offered' } & Offer<ChannelFor<A['channels'][K], S>> & {
          channel: K;
        };
    }[OnDemandNames<A>]
  | BroadcastEvent<A, S>
  /** The peer will send nothing more on it. `via` is our end of it, if it was opened on demand. */
  | {
      type: 'channel.closed';
      channel: keyof A['channels'] & string;
      via?: ChannelFor<A['channels'][OnDemandNames<A>], S> | undefined;
    }
  /** The peer's event loop has not turned for that long; its process lives. */
  | { type: 'peer.stalled'; ms: number }
  /** It turns again. */
  | { type: 'peer.resumed' }
  | { type: 'session.closed'; side: S; reason: string }
  | {
      type: 'session.hosed';
      side: S;
      reason: HoseReason;
      error: IpcError;
      /** Per channel, the messages that the peer never took. */
      unread: Record<string, number>;
    };

type Arriving<T, S extends Side> = S extends 'client' ? Down<T> : Up<T>;

type MessageEvent<K extends string, T, S extends Side, Via> = Via & PlainMessageEvent<K, T, S>;

type PlainMessageEvent<K extends string, T, S extends Side> =
  | ([Arriving<T, S>] extends [never]
      ? never
      : {
          type: `message.${K}`;
          message: Arriving<T, S>;
          request?: undefined;
          requestId?: undefined;
          /** What came with it, the machine's to close. */
          handle?: Descriptor | undefined;
        })
  | {
      [N in keyof RequestsOf<T> & string]: {
        type: `message.${K}`;
        message: RequestsOf<T>[N] extends readonly [infer Q, unknown] ? Q : never;
        request: N;
        requestId: number;
        /** Closed when the request is over, unless it was taken. */
        handle?: Descriptor | undefined;
      };
    }[keyof RequestsOf<T> & string];

/** Which of the channels of that name it came by. */
interface Via<A extends AppSpec, K extends string & keyof A['channels'], S extends Side> {
  via: ChannelFor<A['channels'][K], S>;
}

type BroadcastEvent<A extends AppSpec, S extends Side> = S extends 'client'
  ?
      | {
          [K in keyof A['broadcasts'] & string]: {
            type: `broadcast.${K}`;
            message: Published<A['broadcasts'][K]>;
            /** How many messages were missed just before this one. */
            gap: number;
          };
        }[keyof A['broadcasts'] & string]
      | ([keyof A['broadcasts'] & string] extends [never]
          ? never
          : { type: 'subscription.dropped'; broadcast: keyof A['broadcasts'] & string; error: IpcError })
  : never;

/** What a session's machine gets as its input. */
export interface SessionInput {
  readonly peer: Peer;
}
