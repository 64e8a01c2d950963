// Live session: the handles of one session, and the object through which a program uses it.
import { IpcError } from '../errors.ts';
import type { SessionReport, sessionMachine } from '../machines/session.ts';
import type { Address } from '../names.ts';
import type { Arena } from '../spec/memory.ts';
import type { Peer, Side } from '../spec/peer.ts';
import type { AppActor, KeepAlive, Offer, OpenChannelOptions, ScopedMemory, Stall } from '../spec/session.ts';
import type { AppSpec } from '../spec/universe.ts';
import type { BroadcastPublisher } from '../transport/broadcast-publisher.ts';
import type { BroadcastSubscription } from '../transport/broadcast-subscription.ts';
import type { ChannelEnd } from '../transport/channel-end.ts';
import type { LifeLimits, Link } from '../transport/link.ts';
import type { PacketSocket } from '../transport/packet-socket.ts';
import type { SessionMemory } from '../transport/session-memory.ts';
import type { AppScope } from './app-scope.ts';
import type { RunningChannel } from './channel.ts';
import type { Host, Hosted } from './hosting.ts';
import type { Offers } from './offers.ts';
import type { OfferTaker } from './on-demand-channel.ts';
import type { RunningSubscription } from './subscription.ts';

/** Limits of a session; each side has its own. */
export interface SessionLimits {
  readonly loginTimeoutMs: number;
  /** How long `close` may take to send what was accepted. */
  readonly closeTimeoutMs: number;
  /** How long a busy session stays awake for the next message; 0 never spins. */
  readonly spinUs: number;
  readonly keepAlive: KeepAlive;
  readonly stall: Stall;
}

export const sessionDefaults: SessionLimits = {
  loginTimeoutMs: 5_000,
  closeTimeoutMs: 1_000,
  spinUs: 20,
  keepAlive: { beatMs: 2_000, idleMs: 5_000 },
  // A second is long for a turn of an event loop; half a minute is longer than any that still means to come back.
  stall: { reportMs: 1_000, hoseMs: 30_000 },
};

/** What a program may say of the limits. */
export interface SessionTuning extends Partial<Omit<SessionLimits, 'keepAlive' | 'stall'>> {
  readonly keepAlive?: Partial<KeepAlive>;
  readonly stall?: Partial<Stall>;
}

/** The longest time that a timer takes. */
const timeMaxMs = 2 ** 31 - 1;

/** The defaults with what the program says; `Infinity` is `never`. @throws {IpcError} ERR_OPTIONS_INVALID. */
export function limitsOf(what: string, tuning: SessionTuning): SessionLimits {
  const { beatMs, idleMs } = { ...sessionDefaults.keepAlive, ...tuning.keepAlive };
  const { reportMs, hoseMs } = { ...sessionDefaults.stall, ...tuning.stall };
  const time = (name: string, ms: number | 'never'): number | 'never' => {
    if (ms === 'never' || ms === Number.POSITIVE_INFINITY) return 'never';
    if (!Number.isInteger(ms) || ms < 1 || ms > timeMaxMs)
      throw IpcError.of(
        'ERR_OPTIONS_INVALID',
        what,
        `${name} is ${ms}; it takes 1 to ${timeMaxMs}, or "never"`,
      );
    return ms;
  };
  const limits = {
    keepAlive: { beatMs: time('keepAlive.beatMs', beatMs), idleMs: time('keepAlive.idleMs', idleMs) },
    stall: { reportMs: time('stall.reportMs', reportMs), hoseMs: time('stall.hoseMs', hoseMs) },
  };
  if (limits.keepAlive.beatMs === 'never')
    throw IpcError.of('ERR_OPTIONS_INVALID', what, 'keepAlive.beatMs can\'t be "never"; set idleMs to it');
  if (idleMs !== 'never' && idleMs < 2 * beatMs)
    throw IpcError.of(
      'ERR_OPTIONS_INVALID',
      what,
      `keepAlive.idleMs (${idleMs}) is less than two beats of ${beatMs} ms`,
    );
  return { ...sessionDefaults, ...tuning, ...limits, keepAlive: { ...limits.keepAlive, beatMs } };
}

/** The same for the keep-alive thread. */
export function lifeLimits({ keepAlive, stall }: SessionLimits): LifeLimits {
  const ms = (time: number | 'never') => (time === 'never' ? Number.POSITIVE_INFINITY : time);
  return { beatMs: keepAlive.beatMs, idleMs: ms(keepAlive.idleMs), reportMs: ms(stall.reportMs) };
}

export interface SessionOptions {
  readonly address: Address;
  /** The app that is served, whichever side we are on. */
  readonly server: AppSpec;
  readonly limits: SessionLimits;
  readonly onReport: (report: SessionReport) => void;
}

/** A session that a client opens. */
export interface DialOptions extends SessionOptions {
  readonly client: AppSpec;
  readonly socketPath: string;
  readonly metadata: unknown;
}

/** A session whose log-in the server has done. */
export interface AcceptedOptions extends SessionOptions {
  readonly socket: PacketSocket;
  readonly link: Link;
  readonly peer: Peer;
  /** When the peer's process started. */
  readonly startTicks: number;
  readonly token: string;
  /** The writing ends of the app's broadcasts, which all its sessions share. */
  readonly publishers: Readonly<Record<string, BroadcastPublisher>>;
  /** What the server keeps for all sessions of the client app. */
  readonly scope: AppScope;
}

/** What runs of a session: its actor, and the object for those who use it. */
export interface RunningSession {
  readonly hosted: Hosted<typeof sessionMachine>;
  readonly session: LiveSession;
}

/** What users know as their Session, typed by the universe: the same object. */
export class LiveSession {
  readonly side: Side;
  readonly channels: Readonly<Record<string, ChannelEnd>>;
  readonly broadcasts: Readonly<Record<string, BroadcastSubscription | BroadcastPublisher>>;
  readonly memory: ScopedMemory;
  readonly #live: Live;

  constructor(live: Live, side: Side) {
    this.#live = live;
    this.side = side;
    this.memory = new Arenas(this, live.options.scope);
    this.channels = live.ends;
    this.broadcasts = side === 'server' ? live.publishers : live.subscriptions;
  }

  /** The reading ends of the broadcasts, at a client. */
  get subscriptions(): Readonly<Record<string, BroadcastSubscription>> {
    return this.#live.subscriptions;
  }

  get peer(): Peer {
    return this.#live.peer!;
  }

  get token(): string {
    return this.#live.token;
  }

  close(reason = 'closed by its program'): void {
    this.#live.hosted!.post({ type: 'close', reason });
  }

  get app(): AppActor | undefined {
    return this.#live.options.scope?.actor;
  }

  /** Our arena of this session. @throws {IpcError} ERR_NO_ARENA. */
  get arena(): Arena {
    const { arena, options } = this.#live;
    if (!arena || options.server.arenaBytes === 0)
      throw IpcError.of('ERR_NO_ARENA', `the session with ${this.peer.app}`, 'arenaBytes');
    return arena;
  }

  openChannel(name: string, options?: OpenChannelOptions): Promise<ChannelEnd> {
    return this.#live.offers!.open(name, options);
  }

  onOffer(name: string, handler: (offer: Offer<ChannelEnd>) => void): () => void {
    return this.#live.offers!.handle(name, handler);
  }

  /** Our ends of all channels that are there now, on-demand ones among them. */
  openChannels(): ChannelEnd[] {
    return this.#live.channels.map(({ end }) => end);
  }

  /** Lets messages and offers come: whoever takes them is there now. */
  listen(taker: OfferTaker): void {
    const { link, memory, offers } = this.#live;
    const ends = Object.values(this.channels);
    // Memory last: a message that has come matters first, and who needs memory looks for what has come back by himself.
    link?.start(memory ? [...ends, memory] : ends);
    if (link) offers?.begin(taker);
  }

  /** Messages per channel that the peer never took. */
  unread(): Record<string, number> {
    return this.#live.unread;
  }

  /** Why the session is hosed, once it is. */
  get error(): IpcError | undefined {
    return this.#live.error;
  }
}

class Arenas implements ScopedMemory {
  readonly #session: LiveSession;
  readonly #scope: AppScope | undefined;

  constructor(session: LiveSession, scope: AppScope | undefined) {
    this.#session = session;
    this.#scope = scope;
  }

  get session(): Arena {
    return this.#session.arena;
  }

  get app(): Arena | undefined {
    if (this.#session.side === 'client') return undefined;
    if (!this.#scope?.arena)
      throw IpcError.of('ERR_NO_ARENA', `the app scope of ${this.#session.peer.app}`, 'appBytes');
    return this.#scope.arena;
  }
}

/** The handles of one session. */
export interface Live {
  readonly host: Host;
  readonly options: SessionOptions & Partial<DialOptions> & { readonly scope?: AppScope };
  hosted: Hosted<typeof sessionMachine> | undefined;
  socket: PacketSocket | undefined;
  link: Link | undefined;
  peer: Peer | undefined;
  startTicks: number;
  memory: SessionMemory | undefined;
  arena: Arena | undefined;
  token: string;
  readonly ends: Record<string, ChannelEnd>;
  /** The latest channel of each lane: those of the beginning, and those on demand. */
  readonly byLane: Map<number, ChannelEnd>;
  /** All that are open; those of the session's beginning come first. */
  readonly channels: RunningChannel[];
  /** Those that are opened on demand; made with the others. */
  offers: Offers | undefined;
  readonly publishers: Readonly<Record<string, BroadcastPublisher>>;
  readonly subscriptions: Record<string, BroadcastSubscription>;
  readonly readings: RunningSubscription[];
  unread: Record<string, number>;
  /** In words, how large the oldest of those were, per channel. */
  readonly underway: string[];
  error: IpcError | undefined;
  /** It reads no broadcast any more. */
  over: boolean;
}

export function newLive(host: Host, options: SessionOptions): Live {
  return {
    host,
    options,
    hosted: undefined,
    socket: undefined,
    link: undefined,
    peer: undefined,
    startTicks: 0,
    memory: undefined,
    arena: undefined,
    token: '',
    ends: {},
    byLane: new Map(),
    channels: [],
    offers: undefined,
    publishers: {},
    subscriptions: {},
    readings: [],
    unread: {},
    underway: [],
    error: undefined,
    over: false,
  };
}
