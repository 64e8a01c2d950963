// Kind run: one actor whose logic is a session kind, from its first step to its end. The function of the kind runs in
// sequence; what ends it (its return, a stop, its consumers, its host) meets here, and happens once.
import type { ActorScope, AnyActorLogic, AnyActorScope, AnyEventObject, EventObject } from 'xstate';
import { IpcError, messageOf } from '../../errors.ts';
import { type Clock, systemClock } from '../../machines/clock.ts';
import { type Address, addressOf } from '../../names.ts';
import type { Session } from '../../spec/session.ts';
import { passSession, sessionOfActor } from '../app-session.ts';
import { type Host, residenceOf, sharedHandles } from '../hosting.ts';
import { clockOf } from './actor-clock.ts';
import { Belongings } from './belongings.ts';
import { type Child, Children } from './children.ts';
import { type KindOptions, kindDefaults } from './kind-options.ts';
import {
  endSnapshot,
  type KindEnd,
  type KindName,
  type KindSnapshot,
  type KindView,
  liveSnapshot,
} from './kind-snapshot.ts';
import { MessageQueue } from './message-queue.ts';
import { Output } from './output.ts';
import { Outcome } from './source.ts';
import { Waits } from './waits.ts';

export interface KindSpec {
  readonly kind: KindName;
  readonly name: string;
  readonly options: KindOptions;
  readonly begin: (run: KindRun) => Promise<unknown>;
}

type Phase = 'running' | 'stopping' | 'draining' | 'done' | 'failed' | 'stopped';

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
  readonly children: Children<KindRun>;
  readonly output = new Output();
  readonly #scope: KindScope;
  readonly #abort = new AbortController();
  /** What ends with it. */
  readonly belongings = new Belongings();
  #residence: { readonly host: Host; readonly address: Address } | undefined;
  #clock: Clock = systemClock;
  #phase: Phase = 'running';
  #stage: string | null = null;
  #value = 'running';
  #handles = 0;
  #stopError: IpcError | undefined;
  #end: KindEnd | undefined;
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
    this.children = new Children(spec.options.childrenMax ?? kindDefaults.childrenMax);
    this.#live = liveSnapshot(this);
    kindRuns.bind(scope.self, this);
  }

  /** As it is now: while it runs always the same object, which looks at the run. */
  get snapshot(): KindSnapshot<unknown> {
    return this.#last ?? this.#live;
  }

  get name(): string {
    return this.spec.name;
  }

  /** The state that is told: its phase, and while it runs its stage. */
  get value(): string {
    return this.#value;
  }

  get view(): KindView {
    return {
      kind: this.spec.kind,
      name: this.name,
      stage: this.#stage,
      awaiting: this.waits.names,
      inbox: this.inbox.stats,
      handles: this.#handles,
      children: this.children.addresses,
      emitted: this.output.emitted,
      leaks: [],
    };
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

  // ---- its life, as its logic tells

  start(): void {
    this.#residence = residenceOf(this.self);
    this.#clock = this.#residence?.host.clock ?? clockOf(this.self);
    this.waits.clock = this.#clock;
    this.waits.owner = this.address;
    this.belongings.begin(this.address, this.#clock);
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

  /** @throws {IpcError} ERR_STOPPING, ERR_CONSUMER_GONE, ERR_KIND_ENDED. */
  async emit(item: EventObject): Promise<void> {
    if (this.#stopError && this.waits.over) throw this.#stopError;
    if (this.#end) throw IpcError.of('ERR_KIND_ENDED', this.address, this.#phase);
    await this.output.emit(item, this.address, this.waits, this.#tell);
  }

  readonly #tell = (item: EventObject): void => {
    this.#scope.emit(item);
    // A machine that has invoked it is its reader.
    this.self._parent?.send(item);
  };

  /** @throws {IpcError} ERR_KIND_UNHOSTED, ERR_KIND_BUSY, ERR_KIND_ENDED. */
  spawn(
    logic: AnyActorLogic,
    input: unknown,
    name?: string,
    onEnd?: (child: Child<KindRun>) => void,
  ): Child<KindRun> {
    const residence = this.#residence;
    if (!residence) throw IpcError.of('ERR_KIND_UNHOSTED', `${this.address}: spawn`);
    if (this.#end) throw IpcError.of('ERR_KIND_ENDED', this.address, this.#phase);
    const child = this.children.start(logic, {
      host: residence.host,
      parent: residence.address,
      name,
      input,
      bind: (actor) => {
        passSession(this.self, actor);
        return kindRuns.find(actor);
      },
      onEnd: (ended) => {
        this.note('kind.child.ended');
        if (this.children.size === 0) this.#afterDrain?.();
        onEnd?.(ended);
      },
    });
    if (!this.#finishesWork) this.children.owe(child, `${child.address} was never joined`);
    this.note('kind.child.spawned');
    return child;
  }

  join(child: Child<KindRun>): void {
    if (child.joined) return;
    child.joined = true;
    this.children.settled(child);
    this.note('kind.child.joined');
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
    const own = [this.#stopError, this.output.gone, this.spec.kind === 'server' ? this.inbox.end : undefined];
    for (let at = error; at !== undefined && at !== null; at = (at as { cause?: unknown }).cause)
      if (own.includes(at as IpcError)) return true;
    return false;
  }

  /** Whether it ends only after what is in flight. */
  get #finishesWork(): boolean {
    return this.spec.kind === 'server' || this.spec.kind === 'service';
  }

  /** Waits for the children, for a while. */
  #drain(end: KindEnd): void {
    this.#enter('draining');
    this.inbox.close(IpcError.of('ERR_STOPPING', this.address));
    this.#limitDrain();
    this.#afterDrain = () => this.#finish(end);
    // Those that never end by themselves are told to; what is in flight is theirs to finish.
    for (const { run, hosted } of this.children)
      if (run && run.spec.kind !== 'collector') hosted.post({ type: 'stop' } as never);
    if (this.children.size === 0) this.#finish(end);
  }

  #limitDrain(): void {
    if (this.#drainTimer !== undefined) return;
    const limitMs = this.spec.options.drainTimeoutMs ?? kindDefaults.drainTimeoutMs;
    const expire = () => {
      const left = this.children.addresses;
      this.#log({ left }, `${this.address} has not finished what was in flight within ${limitMs} ms`);
      if (this.#afterDrain) this.#afterDrain();
      else this.#threw(IpcError.of('ERR_TIMEOUT', `${this.address}: finishing what is in flight`, limitMs));
    };
    this.#drainTimer = this.#clock.setTimeout(expire, limitMs);
  }

  #finish(end: KindEnd): void {
    if (this.#end) return;
    this.#end = end;
    this.#afterDrain = undefined;
    this.#clock.clearTimeout(this.#drainTimer);
    const leaks = end.how === 'done' ? this.children.leaks : [];
    this.#enter(end.how);
    const error =
      end.how === 'done'
        ? IpcError.of('ERR_KIND_ENDED', this.address, 'it is done')
        : this.#asPeersSee(end.error);
    this.waits.end(error);
    this.#abort.abort(error);
    this.inbox.close(error);
    for (const message of this.inbox.clear()) refuseMessage(message, error);
    this.belongings.end(error.message);
    this.output.finish(end.how === 'done' ? error : end.error, end.how === 'done');
    this.children.stopAll();
    if (leaks.length > 0)
      this.#log({ leaks }, `${this.address} has ended and nobody had waited: ${leaks.join('; ')}`);
    this.#last = endSnapshot(end, { value: this.value, view: { ...this.view, leaks }, input: this.input });
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
}

/** A message that asks for an answer, and nobody will take any more. */
function refuseMessage(message: EventObject, error: IpcError): void {
  const { refuse } = message as { refuse?: unknown };
  if (typeof refuse === 'function') refuse(error);
}
