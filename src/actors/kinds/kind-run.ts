// Kind run: one actor whose logic is a session kind, from its first step to its end. The function of the kind runs in
// sequence; what ends it (its return, a stop, its consumers, its host) meets here, and happens once.
import type { ActorScope, AnyActorLogic, AnyActorScope, AnyEventObject, EventObject, Snapshot } from 'xstate';
import { IpcError, messageOf } from '../../errors.ts';
import { type Clock, systemClock } from '../../machines/clock.ts';
import { type Address, addressOf } from '../../names.ts';
import type { Session } from '../../spec/session.ts';
import { passSession, sessionOfActor } from '../app-session.ts';
import { type Host, type Hosted, residenceOf, sharedHandles } from '../hosting.ts';
import { type InboxOptions, type InboxStats, MessageQueue } from './inbox.ts';
import { Outcome } from './source.ts';
import type { Stream } from './stream.ts';
import { type Timer, Timers } from './timer.ts';
import { Waits } from './waits.ts';

export type KindName = 'collector' | 'listener' | 'server' | 'service';

/** What all kinds can be given besides their function. */
export interface KindOptions {
  /** What it is called in addresses, logs and errors; default: the name of its function, else of its kind. */
  name?: string;
  inbox?: InboxOptions;
  /** Children that may run at once; default 1024. */
  childrenMax?: number;
  /** How long it may take to end once it is told to stop, in-flight work and children among it; default 2000. */
  drainTimeoutMs?: number;
  /** In a session: which of its events (`message.<channel>`, ...) go to the inbox. The others are left to its channels. */
  events?: readonly string[];
}

/** Draining takes less than the half of `shutdown` that a supervisor gives a program for ending by itself. */
export const kindDefaults = { childrenMax: 1_024, drainTimeoutMs: 2_000 };

/** Promises without an answer and shared handles that are open, of one kind. More is a program that forgets them. */
const closersMax = 16_384;
/** So many leaks are told by name. */
const leaksMax = 100;

export interface KindSpec {
  readonly kind: KindName;
  readonly name: string;
  readonly options: KindOptions;
  readonly begin: (run: KindRun) => Promise<unknown>;
}

/** What a snapshot tells of a running kind, as it is at that moment. */
export interface KindView {
  readonly kind: KindName;
  readonly name: string;
  /** What it said last by `io.stage`. */
  readonly stage: string | null;
  /** What its function waits for; empty: it computes, or waits for something that is not of its `io`. */
  readonly awaiting: readonly string[];
  readonly inbox: InboxStats;
  /** Handles that could still send to it; 0 also for one that has only a parent. */
  readonly handles: number;
  readonly children: readonly Address[];
  readonly emitted: number;
  /** Children and groups that nobody waited for, told at its end. */
  readonly leaks: readonly string[];
}

export type KindSnapshot<Output> = Snapshot<Output> & {
  /** `running`, `stopping`, `draining`, `done`, `failed` or `stopped`; while it runs with its stage: `running.prepare`. */
  readonly value: string;
  readonly context: KindView;
  readonly input: unknown;
};

type Phase = 'running' | 'stopping' | 'draining' | 'done' | 'failed' | 'stopped';

type End =
  | { readonly how: 'done'; readonly output: unknown }
  | { readonly how: 'failed'; readonly error: IpcError }
  | { readonly how: 'stopped'; readonly error: IpcError };

/** A child, as its parent keeps it. */
export interface Child {
  readonly name: string;
  readonly address: Address;
  readonly hosted: Hosted;
  /** Undefined for what is no kind. */
  readonly run: KindRun | undefined;
  readonly outcome: Outcome<unknown>;
  /** Whether somebody has asked for its end, or a group answers for it. */
  joined: boolean;
}

export type AnySystem = AnyActorScope['system'];
type KindScope = ActorScope<KindSnapshot<unknown>, EventObject, AnySystem, EventObject>;

const kindRuns = sharedHandles<KindRun>('kind');

export class KindRun {
  /** The run of an actor; undefined if it is no kind. */
  static find(actor: object): KindRun | undefined {
    return kindRuns.find(actor);
  }

  static of(actor: object): KindRun {
    return kindRuns.of(actor);
  }

  readonly spec: KindSpec;
  readonly input: unknown;
  readonly self: KindScope['self'];
  readonly inbox: MessageQueue;
  readonly waits: Waits;
  /** Settles at its end. */
  readonly outcome: Outcome<unknown>;
  /** Settles when it is told to stop. */
  readonly stopping = new Outcome<void>('stop');
  readonly children = new Map<Address, Child>();
  readonly streams = new Set<Stream<unknown>>();
  readonly #scope: KindScope;
  readonly #abort = new AbortController();
  readonly #timers = new Set<Timer>();
  readonly #closers = new Set<(why: string) => void>();
  readonly #leaks = new Map<object, string>();
  #consumerGone: IpcError | undefined;
  #namedTimers: Timers | undefined;
  #residence: { readonly host: Host; readonly address: Address } | undefined;
  #clock: Clock = systemClock;
  #phase: Phase = 'running';
  #stage: string | null = null;
  #value = 'running';
  #handles = 0;
  #childNumber = 0;
  #emitted = 0;
  #hadConsumer = false;
  #stopError: IpcError | undefined;
  #end: End | undefined;
  #afterDrain: (() => void) | undefined;
  #drainTimer: unknown;
  readonly #live: KindSnapshot<unknown>;
  #last: KindSnapshot<unknown> | undefined;

  constructor(spec: KindSpec, scope: KindScope, input: unknown) {
    this.spec = spec;
    this.input = input;
    this.#scope = scope;
    this.self = scope.self;
    this.waits = new Waits(spec.name, systemClock);
    this.inbox = new MessageQueue(`the inbox of ${spec.name}`, this.waits, spec.options.inbox);
    this.outcome = new Outcome(`join ${spec.name}`);
    this.#live = this.#liveSnapshot();
    kindRuns.bind(scope.self, this);
  }

  /** As it is now: while it runs always the same object, which looks at the run. */
  get snapshot(): KindSnapshot<unknown> {
    return this.#last ?? this.#live;
  }

  get name(): string {
    return this.spec.name;
  }

  get address(): Address {
    return this.#residence?.address ?? addressOf(this.spec.name);
  }

  get clock(): Clock {
    return this.#clock;
  }

  get random(): () => number {
    return this.#residence?.host.random ?? Math.random;
  }

  /** Aborted when everything that waits is given up: at the end, and when a listener or collector is stopped. */
  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  get ended(): boolean {
    return this.#end !== undefined;
  }

  /** @throws {IpcError} ERR_SESSION_CLOSED if it belongs to none. */
  get session(): Session {
    const session = sessionOfActor(this.self) ?? (this.input as { session?: Session } | undefined)?.session;
    if (!session) throw IpcError.of('ERR_SESSION_CLOSED', this.name);
    return session as Session;
  }

  get timers(): Timers {
    this.#namedTimers ??= new Timers(this.#clock);
    if (this.#end) this.#namedTimers.close();
    return this.#namedTimers;
  }

  // ---- its life, as its logic tells

  start(): void {
    this.#residence = residenceOf(this.self);
    this.#clock = this.#residence?.host.clock ?? clockOf(this.self);
    this.waits.clock = this.#clock;
    this.waits.owner = this.address;
    this.inbox.name = `the inbox of ${this.address}`;
    // In the next turn: who starts it can open streams first, and misses nothing.
    queueMicrotask(() => {
      if (this.#end) return;
      this.#begin().then(
        (output) => this.#returned(output),
        (error: unknown) => this.#threw(error),
      );
    });
  }

  async #begin(): Promise<unknown> {
    return this.spec.begin(this);
  }

  /** A message from somebody who does not wait for room. */
  deliver(message: EventObject): void {
    if (this.#end || this.inbox.deliver(message)) return;
    this.#threw(this.inbox.overflowError(message));
  }

  /** Told to stop: a server or service refuses new work and finishes the old; the others give up what they wait for. */
  stop(): void {
    if (this.#stopError || this.#end) return;
    this.#stopError = IpcError.of('ERR_STOPPING', this.address);
    this.#enter('stopping');
    this.inbox.close(this.#stopError);
    this.stopping.resolve();
    this.#limitDrain();
    if (this.#finishesWork) return;
    this.waits.end(this.#stopError);
    this.#abort.abort(this.#stopError);
  }

  /** Nothing more comes; what lies in the inbox can still be taken. */
  closeInput(): void {
    this.inbox.close(IpcError.of('ERR_INBOX_CLOSED', this.inbox.name));
  }

  /** Ended from outside, at once. */
  stopped(cause?: unknown): void {
    this.#finish({
      how: 'stopped',
      error: IpcError.from(cause, 'ERR_KIND_ENDED', this.address, 'it was stopped'),
    });
  }

  /** Its session is over; its host stops it right after this. */
  sessionEnded(event: AnyEventObject): void {
    const error: unknown = event.error ?? IpcError.of('ERR_SESSION_CLOSED', this.#peerApp());
    this.stopped(error);
  }

  // ---- what its io asks for

  stage(name: string): void {
    this.#stage = name;
    this.#name();
    this.note('kind.stage.entered');
  }

  /** An event of its own life, for who watches. */
  note(type: string): void {
    if (!this.#end && this.self.getSnapshot().status === 'active') this.self.send({ type });
  }

  retain(): void {
    this.#handles++;
  }

  release(): void {
    if (--this.#handles === 0) this.closeInput();
  }

  /** Whoever reads its output. */
  consume(stream: Stream<unknown>): void {
    if (this.#end) {
      this.#finishStream(stream);
      return;
    }
    this.#hadConsumer = true;
    this.streams.add(stream);
    stream.onClosed = () => this.streams.delete(stream);
  }

  /** @throws {IpcError} ERR_STOPPING, ERR_CONSUMER_GONE. */
  async emit(item: EventObject): Promise<void> {
    if (this.#stopError && this.waits.over) throw this.#stopError;
    if (this.#end) throw IpcError.of('ERR_KIND_ENDED', this.address, this.#phase);
    this.#refuseWithoutConsumer();
    this.#emitted++;
    this.#scope.emit(item);
    // A machine that has invoked it is its reader.
    this.self._parent?.send(item);
    for (const stream of this.streams) {
      const room = stream.put(item, this.waits);
      if (room) await room;
    }
    this.#refuseWithoutConsumer();
  }

  #refuseWithoutConsumer(): void {
    if (!this.#hadConsumer || this.streams.size > 0) return;
    this.#consumerGone ??= IpcError.of('ERR_CONSUMER_GONE', this.address);
    throw this.#consumerGone;
  }

  /** A timer that is cancelled with this kind. */
  keep(timer: Timer): Timer {
    for (const old of this.#timers) if (!old.active) this.#timers.delete(old);
    this.#timers.add(timer);
    if (this.#end) timer.cancel();
    return timer;
  }

  /** Has `close` called at its end. @returns a function that ends it. */
  closeAtEnd(close: (why: string) => void): () => void {
    if (this.#closers.size >= closersMax)
      throw IpcError.of('ERR_KIND_BUSY', `open promises and handles of ${this.address}`, closersMax);
    this.#closers.add(close);
    return () => this.#closers.delete(close);
  }

  /** Something of it must be waited for, until `settled` is told. */
  owe(what: object, name: string): void {
    if (this.#leaks.size < leaksMax) this.#leaks.set(what, name);
  }

  settled(what: object): void {
    this.#leaks.delete(what);
  }

  /** @throws {IpcError} ERR_KIND_UNHOSTED, ERR_KIND_BUSY, ERR_KIND_ENDED. */
  spawn(logic: AnyActorLogic, input: unknown, given?: string, onEnd?: (child: Child) => void): Child {
    const name = given ?? nameOf(logic);
    const residence = this.#residence;
    if (!residence) throw IpcError.of('ERR_KIND_UNHOSTED', `${this.address}: spawn`);
    if (this.#end) throw IpcError.of('ERR_KIND_ENDED', this.address, this.#phase);
    const max = this.spec.options.childrenMax ?? kindDefaults.childrenMax;
    if (this.children.size >= max) throw IpcError.of('ERR_KIND_BUSY', `children of ${this.address}`, max);
    const address = addressOf(residence.address, `${name}#${++this.#childNumber}`);
    let run: KindRun | undefined;
    const own = new Outcome<unknown>(`join ${name}`);
    const hosted = residence.host.start(logic, {
      address,
      input,
      bind: (actor) => {
        run = kindRuns.find(actor);
        passSession(this.self, actor);
      },
      onEnd: (end) => {
        if (end.how === 'done') own.resolve(end.output);
        else if (end.how === 'stopped') own.reject(IpcError.of('ERR_KIND_ENDED', address, 'it was stopped'));
        else own.reject(IpcError.from(end.error, 'ERR_KIND_FAILED', address, messageOf(end.error)));
        this.#childEnded(child);
        onEnd?.(child);
      },
    });
    const child: Child = { name, address, hosted, run, outcome: run?.outcome ?? own, joined: false };
    this.children.set(address, child);
    if (!this.#finishesWork) this.owe(child, `${address} was never joined`);
    this.note('kind.child.spawned');
    return child;
  }

  join(child: Child): void {
    if (child.joined) return;
    child.joined = true;
    this.settled(child);
    this.note('kind.child.joined');
  }

  #childEnded(child: Child): void {
    this.children.delete(child.address);
    this.note('kind.child.ended');
    if (this.children.size === 0) this.#afterDrain?.();
  }

  // ---- its end

  #returned(output: unknown): void {
    if (this.#end) return;
    if (this.#finishesWork) this.#drain({ how: 'done', output });
    else this.#finish({ how: 'done', output });
  }

  #threw(error: unknown): void {
    if (this.#end) return;
    if (this.#isOwnEnd(error)) this.#returned(undefined);
    else
      this.#finish({
        how: 'failed',
        error: IpcError.from(error, 'ERR_KIND_FAILED', this.address, messageOf(error)),
      });
  }

  /** A listener, server or service that lets the error of its own stop pass has done what it was told. */
  #isOwnEnd(error: unknown): boolean {
    if (this.spec.kind === 'collector') return false;
    const own = [
      this.#stopError,
      this.#consumerGone,
      this.spec.kind === 'server' ? this.inbox.end : undefined,
    ];
    for (let at = error; at !== undefined && at !== null; at = (at as { cause?: unknown }).cause)
      if (own.includes(at as IpcError)) return true;
    return false;
  }

  /** Whether it ends only after what is in flight. */
  get #finishesWork(): boolean {
    return this.spec.kind === 'server' || this.spec.kind === 'service';
  }

  /** Waits for the children, for a while. */
  #drain(end: End): void {
    this.#enter('draining');
    this.inbox.close(IpcError.of('ERR_STOPPING', this.address));
    this.#limitDrain();
    this.#afterDrain = () => this.#finish(end);
    // Those that never end by themselves are told to; what is in flight is theirs to finish.
    for (const { run, hosted } of this.children.values())
      if (run && run.spec.kind !== 'collector') hosted.post({ type: 'stop' } as never);
    if (this.children.size === 0) this.#finish(end);
  }

  #limitDrain(): void {
    if (this.#drainTimer !== undefined) return;
    const limitMs = this.spec.options.drainTimeoutMs ?? kindDefaults.drainTimeoutMs;
    const expire = () => {
      const left = [...this.children.keys()];
      this.#log({ left }, `${this.address} has not finished what was in flight within ${limitMs} ms`);
      if (this.#afterDrain) this.#afterDrain();
      else this.#threw(IpcError.of('ERR_TIMEOUT', `${this.address}: finishing what is in flight`, limitMs));
    };
    this.#drainTimer = this.#clock.setTimeout(expire, limitMs);
  }

  #finish(end: End): void {
    if (this.#end) return;
    this.#end = end;
    this.#afterDrain = undefined;
    this.#clock.clearTimeout(this.#drainTimer);
    const leaks = end.how === 'done' ? [...this.#leaks.values()] : [];
    this.#enter(end.how);
    const error =
      end.how === 'done'
        ? IpcError.of('ERR_KIND_ENDED', this.address, 'it is done')
        : this.#asPeersSee(end.error);
    this.waits.end(error);
    this.#abort.abort(error);
    this.inbox.close(error);
    for (const message of this.inbox.clear()) refuseMessage(message, error);
    for (const close of [...this.#closers]) close(error.message);
    for (const timer of this.#timers) timer.cancel();
    this.#namedTimers?.close();
    for (const stream of [...this.streams]) this.#finishStream(stream);
    this.streams.clear();
    for (const child of this.children.values()) child.hosted.stop();
    if (leaks.length > 0)
      this.#log({ leaks }, `${this.address} has ended and nobody had waited: ${leaks.join('; ')}`);
    this.#last = this.#endSnapshot(end, leaks);
    if (end.how === 'done') this.outcome.resolve(end.output);
    else this.outcome.reject(end.error);
    if (end.how !== 'stopped' && this.self.getSnapshot().status === 'active')
      this.self.send({ type: 'kind.ended' });
  }

  /** A failure is told as an end to those who only send, with the failure as its cause. */
  #asPeersSee(error: IpcError): IpcError {
    return error.code === 'ERR_KIND_ENDED'
      ? error
      : IpcError.from(error, 'ERR_KIND_ENDED', this.address, error.message);
  }

  #finishStream(stream: Stream<unknown>): void {
    const end = this.#end!;
    const clean = end.how === 'done';
    stream.finish(clean ? IpcError.of('ERR_KIND_ENDED', this.address, 'it is done') : end.error, clean);
  }

  #log(facts: object, message: string): void {
    this.#residence?.host.log.warn({ actor: this.address, ...facts }, message);
  }

  #peerApp(): string {
    return (this.input as { peer?: { app?: string } } | undefined)?.peer?.app ?? this.name;
  }

  // ---- what others see

  #enter(phase: Phase): void {
    this.#phase = phase;
    this.#name();
  }

  #name(): void {
    this.#value = this.#phase === 'running' && this.#stage !== null ? `running.${this.#stage}` : this.#phase;
  }

  #view(leaks: readonly string[]): KindView {
    return {
      kind: this.spec.kind,
      name: this.name,
      stage: this.#stage,
      awaiting: this.waits.names,
      inbox: this.inbox.stats,
      handles: this.#handles,
      children: [...this.children.keys()],
      emitted: this.#emitted,
      leaks,
    };
  }

  #liveSnapshot(): KindSnapshot<unknown> {
    const run = this;
    return {
      status: 'active',
      output: undefined,
      error: undefined,
      input: this.input,
      get value() {
        return run.#value;
      },
      get context() {
        return run.#view([]);
      },
    };
  }

  #endSnapshot(end: End, leaks: readonly string[]): KindSnapshot<unknown> {
    const view = { value: this.#value, context: this.#view(leaks), input: this.input };
    if (end.how === 'done') return { status: 'done', output: end.output, error: undefined, ...view };
    if (end.how === 'failed') return { status: 'error', output: undefined, error: end.error, ...view };
    return { status: 'stopped', output: undefined, error: undefined, ...view };
  }
}

/** What the children of that logic are called. */
function nameOf(logic: AnyActorLogic): string {
  const { kindName, id } = logic as { kindName?: unknown; id?: unknown };
  if (typeof kindName === 'string') return kindName;
  return typeof id === 'string' ? id : 'child';
}

/** A message that asks for an answer, and nobody will take any more. */
function refuseMessage(message: EventObject, error: IpcError): void {
  const { refuse } = message as { refuse?: unknown };
  if (typeof refuse === 'function') refuse(error);
}

/** The clock of an actor that XState runs alone, which knows no time of day. */
function clockOf(actor: KindScope['self']): Clock {
  const { clock } = actor as unknown as {
    clock: Pick<Clock, 'setTimeout' | 'clearTimeout'> & Partial<Clock>;
  };
  return {
    now: () => clock.now?.() ?? systemClock.now(),
    setTimeout: (callback, delayMs) => clock.setTimeout(callback, delayMs),
    clearTimeout: (timer) => clock.clearTimeout(timer),
  };
}
