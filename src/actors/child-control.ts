// Child control: the supervisor's end of the control socket of one child process. The child says how far it is, asks for
// its app and for the identity of its peers, and sends its log records; the supervisor asks it to stop.
import { IpcError, messageOf } from '../errors.ts';
import type { DependencyNews } from '../machines/incarnation.ts';
import { isName, isStatePath } from '../names.ts';
import { ChannelEnd } from '../transport/channel-end.ts';
import { type FeedLinkOffer, feedLane, offerIn, openFeedLink } from '../transport/feed-link.ts';
import { type Frame, mapOf, textOf, wholeOf } from '../transport/frame.ts';
import type { Link } from '../transport/link.ts';
import { type Credentials, native } from '../transport/native.ts';
import { closeAll, PacketSocket, takeFds } from '../transport/packet-socket.ts';
import type { LogLevel } from './hosting.ts';

export interface ChildObserver {
  ready(): void;
  /** @param implied it has not said so itself. */
  state(path: string, implied: boolean): void;
  /** It can't do its work; `permanent` if it never could. */
  refused(why: string): void;
  /** It has answered `ping`. */
  pong(): void;
  /** It stands by: everything is loaded, and it waits for its activation. */
  warm(): void;
  log(level: LogLevel, facts: object, message: string): void;
  /** What it says of its channels; input like everything that comes from it. */
  counted(counts: readonly unknown[]): void;
  /** Records of its feed, while it is watched; input like everything that comes from it. */
  records(records: readonly unknown[]): void;
}

/** Who asks about an arena, and how to answer. */
export interface ArenaAsked {
  /** The same for all frames of one run of a child. */
  readonly port: object;
  readonly sender: Credentials;
  /** Descriptors stay the caller's. */
  send(frame: Frame, fds?: number[]): void;
}

/** What a child may ask of the root. */
/** A process that the tree runs as an app: number and start ticks are one process's for ever. */
export interface AppProcess {
  readonly app: string;
  readonly pid: number;
  readonly startTicks: number;
}

export interface ChildServices {
  /** The listening socket of an app that this child may serve; the descriptor stays the root's. @throws {IpcError} */
  claim(universe: string, app: string): number;
  /** Whether a process of this tree that runs that app has that pid; undefined if no child of the tree runs it. */
  runs(app: string, pid: number): boolean | undefined;
  /** Processes of this tree that run as apps. */
  running(): readonly AppProcess[];
  /** Keeps that region for when all its users are gone. @throws {IpcError} if it is not there. */
  keep(region: string, generation: string): Promise<void>;
  /** A frame about an arena of the topology; its descriptors are taken over. @throws an Error if it makes no sense. */
  arena(asked: ArenaAsked, frame: Frame, fds: number[]): void;
}

/** The flight recorder that a child handed over. */
export interface ChildRecorder {
  readonly fd: number;
  readonly bytes: number;
  readonly timeOriginMs: number;
}

/** More than its whole ring: one that is not dead yet could write on for ever. */
const restPortionsMax = 1_000;

export class ChildControl {
  recorder: ChildRecorder | undefined;
  readonly #socket: PacketSocket;
  readonly #observer: ChildObserver;
  readonly #services: ChildServices;
  #feed: Link | undefined;
  #watched = false;
  #met = false;
  #counting = false;

  /** @param fd our end of the socket pair, taken over. */
  constructor(fd: number, observer: ChildObserver, services: ChildServices) {
    this.#observer = observer;
    this.#services = services;
    this.#socket = PacketSocket.adopt(fd);
    // Whether the child lives is its minder's to say; the end of this socket alone means nothing.
    this.#socket.listen({
      frame: (frame, fds, sender) => this.#onFrame(frame, fds, sender),
      ended: (end, why) => {
        if (end === 'BAD_PACKET') observer.log('error', {}, `its control socket is out of use: ${why}`);
      },
    });
    this.#socket.hold(false);
  }

  /** Asks the child to end all sessions and then itself. */
  stop(timeoutMs: number): void {
    this.#socket.send({ t: 'stop', timeoutMs });
  }

  /** Asks for a sign of life. */
  ping(): void {
    this.#socket.send({ t: 'ping' });
  }

  /** Asks how much has gone through its channels. */
  count(): void {
    // One that does not answer is not asked again: its queue would fill up.
    if (!this.#met || this.#counting) return;
    this.#counting = true;
    this.#socket.send({ t: 'count' });
  }

  /**
   * Lets a child that stands by begin with its work. It hears which processes are its peers: those that wait for it log in while
   * the supervisor has the end of its predecessor to deal with, and could not answer.
   */
  activate(epoch: number): void {
    this.#socket.send({ t: 'activate', epoch, running: this.#services.running() });
  }

  /** Tells what has become of a unit that this one holds on to. */
  dependency({ type, dependency, state }: DependencyNews): void {
    this.#socket.send({ t: type, dependency, state });
  }

  /** Has the child send its records, or no longer. */
  watch(watched: boolean): void {
    this.#watched = watched;
    if (!this.#met) return;
    if (watched && !this.#feed) {
      this.#feed = openFeedLink();
      const { bytes, fds } = this.#feed.offer;
      this.#socket.send({ t: 'watch', segmentBytes: bytes }, fds);
    } else if (!watched && this.#feed) {
      this.#socket.send({ t: 'unwatch' });
      this.#closeFeed();
    }
  }

  /** Has it show the contexts of these actors, while it is watched. @param anew one that somebody new looks at. */
  look(actors: readonly string[], anew: string | undefined): void {
    if (this.#met) this.#socket.send({ t: 'look', actors, ...(anew !== undefined && { anew }) });
  }

  /** Sends an event to one of its actors. */
  post(actor: string, event: string): void {
    this.#socket.send({ t: 'post', actor, event });
  }

  /** Reads the records that it had sent before it ended. */
  takeRest(): void {
    for (let portion = 0; portion < restPortionsMax && this.#feed?.poll(); portion++);
  }

  close(): void {
    this.#closeFeed();
    this.#socket.destroy();
    if (this.recorder) native().closeFd(this.recorder.fd);
    this.recorder = undefined;
  }

  #onFrame(frame: Frame, fds: number[], sender: Credentials): void {
    if (frame.t.startsWith('arena.')) {
      const send = (answer: Frame, handed?: number[]) => this.#socket.send(answer, handed);
      return this.#services.arena({ port: this, sender, send }, frame, fds);
    }
    switch (frame.t) {
      case 'hello': {
        const [fd] = takeFds(fds, 1, 'hello');
        if (this.recorder) native().closeFd(this.recorder.fd);
        const timeOriginMs = wholeOf(frame, 'timeOriginMs');
        this.recorder = { fd: fd!, bytes: wholeOf(frame, 'recorderBytes'), timeOriginMs };
        this.#met = true;
        return this.watch(this.#watched);
      }
      case 'watching':
        return this.#onWatching(offerIn(frame, fds));
      case 'ready':
        return this.#observer.ready();
      case 'state': {
        const path = textOf(frame, 'state', 256);
        if (!isStatePath(path)) throw new Error(`${path} is no state`);
        return this.#observer.state(path, frame.implied === true);
      }
      case 'pong':
        return this.#observer.pong();
      case 'warm':
        return this.#observer.warm();
      case 'counted': {
        this.#counting = false;
        if (!Array.isArray(frame.channels)) throw new Error('counted without channels');
        return this.#observer.counted(frame.channels);
      }
      case 'refused':
        return this.#observer.refused(textOf(frame, 'why', 16_384));
      case 'log':
        return this.#observer.log(levelOf(frame), mapOf(frame, 'facts'), textOf(frame, 'message', 16_384));
      case 'claim':
        return this.#claim(wholeOf(frame, 'id'), textOf(frame, 'universe', 64), textOf(frame, 'app', 64));
      case 'keep':
        // A child that reads none of its answers needs no further one.
        this.#keep(wholeOf(frame, 'id'), textOf(frame, 'region', 64), textOf(frame, 'generation', 32)).catch(
          () => {},
        );
        return;
      case 'runs': {
        const runs = this.#services.runs(textOf(frame, 'app', 64), wholeOf(frame, 'pid'));
        return this.#socket.send({ t: 'answer', id: wholeOf(frame, 'id'), runs: runs ?? null });
      }
      default:
        closeAll(fds);
        throw new Error(`a frame of unknown type ${frame.t}`);
    }
  }

  #onWatching(theirs: FeedLinkOffer): void {
    if (!this.#feed) return closeAll([theirs.segmentFd, theirs.bellFd]);
    this.#feed.attach(theirs.segmentBytes, theirs.segmentFd, theirs.bellFd);
    const channel = new ChannelEnd('feed', feedLane, this.#feed, 0, {
      peerEnded() {},
      broken: (why) => {
        this.#observer.log('error', {}, `its feed is out of use: ${why}`);
        this.#closeFeed();
      },
    });
    channel.onBatch((batches) => {
      for (const records of batches) if (Array.isArray(records)) this.#observer.records(records);
    });
    this.#feed.start([channel]);
  }

  #closeFeed(): void {
    this.#feed?.close();
    this.#feed = undefined;
  }

  #claim(id: number, universe: string, app: string): void {
    try {
      if (!isName(universe) || !isName(app)) throw IpcError.of('ERR_APP_UNKNOWN', app);
      this.#socket.send({ t: 'answer', id }, [this.#services.claim(universe, app)]);
    } catch (error) {
      this.#refuse(id, error, 'claim');
    }
  }

  async #keep(id: number, region: string, generation: string): Promise<void> {
    try {
      if (!isName(region)) throw IpcError.of('ERR_REGION_MISSING', region, 0);
      await this.#services.keep(region, generation);
      this.#socket.send({ t: 'answer', id });
    } catch (error) {
      this.#refuse(id, error, 'keep');
    }
  }

  #refuse(id: number, error: unknown, what: string): void {
    const { code, message } =
      error instanceof IpcError ? error : IpcError.from(error, 'ERR_SYSTEM', what, messageOf(error));
    this.#socket.send({ t: 'answer', id, error: { code, message } });
  }
}

function levelOf(frame: Frame): LogLevel {
  const { level } = frame;
  if (level === 'debug' || level === 'info' || level === 'warn' || level === 'error') return level;
  throw new Error('a log record without a level');
}
