// Root link: a child's end of its control socket. Says how far the process is, asks the root for the app's listening socket
// and for the identity of peers, passes log records on, and hears when to stop.
import type { AppProcess } from '../actors/child-control.ts';
import type { Log, LogLevel } from '../actors/hosting.ts';
import type { ChannelCount } from '../actors/session-figures.ts';
import { IpcError } from '../errors.ts';
import type { DependencyNews } from '../machines/incarnation.ts';
import { addressOf } from '../names.ts';
import { type FeedLinkOffer, offerIn } from '../transport/feed-link.ts';
import type { FlightRecorder } from '../transport/flight-recorder.ts';
import { type Frame, listOf, textOf, wholeOf } from '../transport/frame.ts';
import { native } from '../transport/native.ts';
import { closeAll, PacketSocket } from '../transport/packet-socket.ts';
import type { Claim } from '../transport/run-directory.ts';
import { FeedSource } from './feed-source.ts';
import type { Host } from './host.ts';

interface Question {
  resolve(answer: { frame: Frame; fds: number[] }): void;
  reject(error: unknown): void;
}

/** Log records that wait for the root; beyond them the oldest news is no news. */
const logFieldsMax = 8 * 1024;
const actorLengthMax = 4 * 1024;
const eventLengthMax = 64 * 1024;

export class RootLink {
  readonly log: Log;
  readonly #socket: PacketSocket;
  readonly #questions = new Map<number, Question>();
  #nextId = 1;
  #state = '';
  #implied = false;
  #ready = false;
  /** Processes of this tree that need not be asked for, by their numbers. */
  readonly #peers = new Map<number, AppProcess>();
  /** Stands by: says nothing about itself until it is activated. */
  #standby: boolean;
  #warm = false;
  readonly #activated: Promise<void>;
  #activate: () => void = () => {};
  #onStop: (() => void) | undefined;
  readonly #lost = new Map<string, DependencyNews>();
  readonly #dependents = new Set<(news: DependencyNews) => void>();
  #host: Pick<Host, 'feed' | 'look' | 'send'> | undefined;
  #counts: () => readonly ChannelCount[] = () => [];
  #source: FeedSource | undefined;
  #onArena: ((arena: string) => void) | undefined;
  /** Those who wait for what only the root can tell. */
  #waits = 0;

  /** @param fd of the control socket, taken over. @param standby whether this process waits for its activation. */
  constructor(fd: number, recorder: FlightRecorder, standby = false) {
    this.#standby = standby;
    this.#activated = standby
      ? new Promise((resolve) => {
          this.#activate = resolve;
        })
      : Promise.resolve();
    this.#socket = PacketSocket.adopt(fd);
    this.log = {
      debug: this.#logger('debug'),
      info: this.#logger('info'),
      warn: this.#logger('warn'),
      error: this.#logger('error'),
    };
    this.#socket.listen({
      frame: (frame, fds) => this.#onFrame(frame, fds),
      // The supervisor is gone. The minder kills this process; ending by ourselves is for when it can't.
      ended: () => process.exit(1),
    });
    // A program that has nothing left to do may end, whatever its supervisor could still say; one that stands by waits for it.
    this.#hold();
    const { bytes, fd: recorderFd } = recorder.offer;
    this.#socket.send(
      { t: 'hello', recorderBytes: bytes, timeOriginMs: Math.round(performance.timeOrigin) },
      [recorderFd],
    );
  }

  /** Whose actors the root may watch. */
  offerFeed(host: Pick<Host, 'feed' | 'look' | 'send'>): void {
    this.#host = host;
  }

  /** What to say when the root asks how much has gone through the channels of this process. */
  offerCounts(counts: () => readonly ChannelCount[]): void {
    this.#counts = counts;
  }

  /** What to do when the root asks this process to stop. */
  onStop(stop: () => void): void {
    this.#onStop = stop;
  }

  /** Calls back for what is lost now, and at each change. @returns how to stop. */
  onDependency(listener: (news: DependencyNews) => void): () => void {
    this.#dependents.add(listener);
    for (const news of this.#lost.values()) listener(news);
    return () => void this.#dependents.delete(listener);
  }

  reportReady(): void {
    if (this.#ready) return;
    this.#ready = true;
    if (!this.#standby) this.#socket.send({ t: 'ready' });
  }

  /** Whether this process stands by. */
  get standby(): boolean {
    return this.#standby;
  }

  /** Everything is loaded, and nothing more happens before the activation. */
  reportWarm(): void {
    if (this.#warm || !this.#standby) return;
    this.#warm = true;
    this.#socket.send({ t: 'warm' });
  }

  /** Resolves once this process is the one that does the work; at once for one that does not stand by. */
  activated(): Promise<void> {
    this.reportWarm();
    return this.#activated;
  }

  /** @param implied nobody has said so; it is what follows from what this process does. */
  reportState(state: string, implied = false): void {
    if (this.#state === state && (implied || !this.#implied)) return;
    this.#state = state;
    this.#implied = implied;
    if (!this.#standby) this.#socket.send({ t: 'state', state, implied });
  }

  /** Whether a named state has been reported. */
  get hasState(): boolean {
    return this.#state !== '';
  }

  reportRefused(why: string): void {
    this.#socket.send({ t: 'refused', why: why.slice(0, 16_000) });
  }

  /** The right to serve an app, held by the root and lent to us. @throws {IpcError} what the root answers. */
  async claim(universe: string, app: string): Promise<Claim> {
    const { frame, fds } = await this.#ask({ t: 'claim', universe, app });
    if (fds.length !== 1) {
      closeAll(fds);
      throw errorIn(frame);
    }
    const listener = new (native().Listener)(fds[0]!);
    return { listener, release: () => listener.close() };
  }

  /** Whether a process of this tree that runs that app has that pid; undefined if no child runs it. */
  async runs(app: string, pid: number, startTicks: number): Promise<boolean | undefined> {
    const known = this.#peers.get(pid);
    if (known?.app === app && known.startTicks === startTicks) return true;
    const { frame, fds } = await this.#ask({ t: 'runs', app, pid });
    closeAll(fds);
    return typeof frame.runs === 'boolean' ? frame.runs : undefined;
  }

  /** Has the root keep a region for when all its users are gone. @throws {IpcError} what the root answers. */
  async keep(region: string, generation: string): Promise<void> {
    const { frame, fds } = await this.#ask({ t: 'keep', region, generation });
    closeAll(fds);
    if (frame.error !== undefined) throw errorIn(frame);
  }

  /** Whom to tell that something in an arena has changed. */
  onArena(tell: (arena: string) => void): void {
    this.#onArena = tell;
  }

  /** Asks about an arena. The descriptors of the answer are the caller's. @throws {IpcError} what the root answers. */
  async askArena(frame: Frame, fds: number[] = []): Promise<{ frame: Frame; fds: number[] }> {
    const answer = await this.#ask(frame, fds);
    if (answer.frame.error === undefined) return answer;
    closeAll(answer.fds);
    throw errorIn(answer.frame);
  }

  /** Says something about an arena that has no answer. */
  tellArena(frame: Frame): void {
    this.#socket.send(frame);
  }

  /** Whoever waits for the root's word keeps this process running. @param by 1 or -1. */
  countWaits(by: number): void {
    this.#waits += by;
    this.#hold();
  }

  #hold(): void {
    this.#socket.hold(this.#standby || this.#questions.size + this.#waits > 0);
  }

  #ask(frame: Frame, fds: number[] = []): Promise<{ frame: Frame; fds: number[] }> {
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      this.#questions.set(id, { resolve, reject });
      // A program that waits for an answer is not one that has nothing left to do.
      this.#hold();
      this.#socket.send({ ...frame, id }, fds);
    });
  }

  #onActivate(epoch: number, running: readonly AppProcess[]): void {
    if (!this.#standby) return;
    for (const process of running) this.#peers.set(process.pid, process);
    this.#standby = false;
    process.env.ACTOR_IPC_EPOCH = String(epoch);
    this.#hold();
    // What it would have said of itself in the meantime.
    if (this.#state !== '') this.#socket.send({ t: 'state', state: this.#state, implied: this.#implied });
    if (this.#ready) this.#socket.send({ t: 'ready' });
    this.#activate();
  }

  #onDependency(type: DependencyNews['type'], dependency: string, state: string): void {
    const news = { type, dependency, state };
    if (type === 'dependency.lost') this.#lost.set(dependency, news);
    else this.#lost.delete(dependency);
    for (const listener of [...this.#dependents]) listener(news);
  }

  #onFrame(frame: Frame, fds: number[]): void {
    if (frame.t === 'ping') {
      closeAll(fds);
      return this.#socket.send({ t: 'pong' });
    }
    if (frame.t === 'activate') {
      closeAll(fds);
      return this.#onActivate(wholeOf(frame, 'epoch'), listOf(frame, 'running') as AppProcess[]);
    }
    if (frame.t === 'dependency.lost' || frame.t === 'dependency.back') {
      closeAll(fds);
      return this.#onDependency(frame.t, textOf(frame, 'dependency', 64), textOf(frame, 'state', 256));
    }
    if (frame.t === 'count') {
      closeAll(fds);
      return this.#socket.send({ t: 'counted', channels: this.#counts() });
    }
    if (frame.t === 'watch') return this.#watch(offerIn(frame, fds));
    if (frame.t === 'look' || frame.t === 'post') {
      closeAll(fds);
      return this.#onInspector(frame);
    }
    if (frame.t === 'unwatch') {
      closeAll(fds);
      this.#unwatch();
      return;
    }
    if (frame.t === 'arena.changed') {
      closeAll(fds);
      this.#onArena?.(textOf(frame, 'arena', 64));
      return;
    }
    if (frame.t === 'stop') {
      closeAll(fds);
      this.#onStop?.();
      return;
    }
    const question = frame.t === 'answer' ? this.#questions.get(wholeOf(frame, 'id')) : undefined;
    if (!question) {
      closeAll(fds);
      return;
    }
    this.#questions.delete(frame.id as number);
    this.#hold();
    question.resolve({ frame, fds });
  }

  /** The root wants to see what happens here. */
  #watch(theirs: FeedLinkOffer): void {
    if (!this.#host || this.#source) return closeAll([theirs.segmentFd, theirs.bellFd]);
    this.#source = new FeedSource(this.#host.feed, theirs);
    const { bytes, fds } = this.#source.offer;
    this.#socket.send({ t: 'watching', segmentBytes: bytes }, fds);
    this.#source.start();
  }

  /** Somebody looks at actors, or sends an event to one. */
  #onInspector(frame: Frame): void {
    if (frame.t === 'post')
      return this.#host?.send(
        addressOf(textOf(frame, 'actor', actorLengthMax)),
        JSON.parse(textOf(frame, 'event', eventLengthMax)),
      );
    const actors = Array.isArray(frame.actors) ? frame.actors.map((actor) => addressOf(String(actor))) : [];
    const anew = typeof frame.anew === 'string' ? addressOf(frame.anew) : undefined;
    this.#host?.look(actors, anew);
  }

  #unwatch(): void {
    this.#source?.close();
    this.#source = undefined;
  }

  #logger(level: LogLevel): (facts: object, message: string) => void {
    return (facts, message) => {
      try {
        this.#socket.send({ t: 'log', level, facts: plain(facts), message: message.slice(0, 16_000) });
      } catch {
        // The root reads too slowly; a log record is not worth more than the work.
      }
    };
  }
}

function errorIn(frame: Frame): IpcError {
  const { code, message } = (frame.error ?? {}) as { code?: string; message?: string };
  return IpcError.received({
    code: code ?? 'ERR_PROTOCOL',
    message: message ?? 'the supervisor gave no listening socket',
  });
}

/** Facts as plain data of a bounded size; errors by their message. */
function plain(facts: object): object {
  const text = JSON.stringify(facts, (_, value) =>
    value instanceof Error ? { message: value.message, stack: value.stack } : value,
  );
  return text.length <= logFieldsMax ? JSON.parse(text) : { truncated: text.slice(0, logFieldsMax) };
}
