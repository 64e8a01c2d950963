// Actor run: one run of an actor below a supervisor of actors, on the host of this process.
import type { AnyActorLogic, AnyMachineSnapshot } from 'xstate';
import { messageOf } from '../errors.ts';
import type { End, Run, Start } from '../machines/actor-child.ts';
import type { Address } from '../names.ts';
import type { ActorLogic, ActorSource, ActorStart } from '../spec/child.ts';
import type { ActorEnd, Host, Hosted, HostOptions } from './hosting.ts';

/** What an actor is told that is to end; a machine that takes it where it is has its time to do so. */
export const stopEvent = { type: 'stop' } as const;

/**
 * Who hears what becomes of a start, with what it was started for. One for all starts of a supervisor: an object or a function
 * of each child would weigh more than all else about it.
 */
export interface Told<T> {
  started(about: T, epoch: number, info: unknown): void;
  ignored(about: T, epoch: number): void;
  ended(about: T, epoch: number, end: End): void;
  /** Gets each snapshot, while somebody wants them. */
  readonly changed?: (snapshot: unknown) => void;
}

/** One start: of what, and who hears of it. */
export interface Starting<T> {
  readonly host: Host;
  readonly address: Address;
  readonly input: unknown;
  readonly told: Told<T>;
  readonly about: T;
  readonly epoch: number;
}

interface AnyActor {
  getSnapshot(): unknown;
  subscribe(observer: { next(snapshot: unknown): void; error(): void }): void;
}

/** Starts an actor, or asks its start function whom to start. `ended` is called once, after this has returned. */
export function startActor<T>(source: ActorSource, starting: Starting<T>): Start {
  if (typeof source !== 'function') return startLogic(source, starting, starting.input);
  try {
    const answer = source(starting.input);
    if (answer instanceof Promise) return startLater(answer, starting);
    return startAnswer(answer, starting);
  } catch (error) {
    return { how: 'failed', why: messageOf(error) };
  }
}

function startAnswer<T>(answer: ActorStart, starting: Starting<T>): Start {
  if (answer === 'ignore') return { how: 'ignored' };
  if (isLogic(answer)) return startLogic(answer, starting, starting.input);
  if (!isLogic(answer?.logic)) return { how: 'failed', why: 'its start function gave no logic' };
  const given = 'input' in answer ? answer.input : starting.input;
  const start = startLogic(answer.logic, starting, given);
  return start.how === 'up' ? { ...start, info: answer.info } : start;
}

function isLogic(value: unknown): value is ActorLogic {
  return typeof (value as Partial<ActorLogic> | undefined)?.getInitialSnapshot === 'function';
}

function startLogic<T>(logic: ActorLogic, starting: Starting<T>, input: unknown): Start {
  const run = new ActorRun(starting, input);
  try {
    run.hosted = starting.host.start(logic as unknown as AnyActorLogic, run);
  } catch (error) {
    return { how: 'failed', why: messageOf(error) };
  }
  // An actor whose first step throws never was.
  const snapshot = run.actor!.getSnapshot() as { status?: string; error?: unknown };
  if (snapshot?.status !== 'error') return { how: 'up', run };
  run.actor = undefined;
  return { how: 'failed', why: messageOf(snapshot.error) };
}

/** Also what its host is told of it: there can be very many, and nothing else is made for each. */
class ActorRun<T> implements Run, HostOptions<AnyActorLogic> {
  readonly address: Address;
  readonly input: unknown;
  actor: AnyActor | undefined = undefined;
  hosted: Hosted | undefined = undefined;
  readonly #told: Told<T>;
  readonly #about: T;
  readonly #epoch: number;

  constructor({ address, told, about, epoch }: Starting<T>, input: unknown) {
    this.address = address;
    this.input = input;
    this.#told = told;
    this.#about = about;
    this.#epoch = epoch;
  }

  bind(actor: object): void {
    this.actor = actor as AnyActor;
    const { changed } = this.#told;
    if (changed) this.actor.subscribe({ next: changed, error() {} });
  }

  ask(): boolean {
    const snapshot = this.actor!.getSnapshot() as Partial<AnyMachineSnapshot>;
    if (snapshot.can?.(stopEvent) !== true) return false;
    this.hosted!.post(stopEvent);
    return true;
  }

  kill(): void {
    this.hosted!.stop();
  }

  send(event: { type: string }): void {
    this.hosted!.post(event);
  }

  snapshot(): unknown {
    return this.actor?.getSnapshot();
  }

  onEnd(end: ActorEnd<unknown>): void {
    // It never started: that has been told.
    if (!this.actor) return;
    const told: End = end.how === 'crashed' ? { how: 'crashed', why: messageOf(end.error) } : end;
    this.#told.ended(this.#about, this.#epoch, told);
  }
}

/** Its start function takes its time. */
function startLater<T>(answer: Promise<ActorStart>, starting: Starting<T>): Start {
  const { host, told, about, epoch } = starting;
  const run = new LateRun(host, (end) => told.ended(about, epoch, end));
  const fail = (why: string) => run.over({ how: 'crashed', why });
  const inner: Told<null> = {
    started() {},
    ignored() {},
    ended: (_, __, end) => run.over(end),
    ...(told.changed && { changed: told.changed }),
  };
  answer.then(
    (given) => {
      if (run.ended) return;
      const start = startAnswer(given, { ...starting, told: inner, about: null });
      if (start.how === 'failed') fail(start.why);
      else if (start.how === 'ignored') {
        run.ended = true;
        host.later(() => told.ignored(about, epoch));
      } else {
        run.inner = start.run;
        host.later(() => told.started(about, epoch, start.info));
      }
    },
    (error) => run.ended || fail(messageOf(error)),
  );
  return { how: 'starting', run };
}

/** An actor that is not there yet. Until it is, its end is only that nobody waits for it any more. */
class LateRun implements Run {
  inner: Run | undefined;
  ended = false;
  readonly #host: Host;
  readonly #onEnd: (end: End) => void;

  constructor(host: Host, onEnd: (end: End) => void) {
    this.#host = host;
    this.#onEnd = onEnd;
  }

  ask(): boolean {
    return this.inner?.ask() ?? false;
  }

  kill(): void {
    if (this.inner) this.inner.kill();
    else this.over({ how: 'stopped' });
  }

  send(event: { type: string }): void {
    this.inner?.send(event);
  }

  snapshot(): unknown {
    return this.inner?.snapshot();
  }

  over(end: End): void {
    if (this.ended) return;
    this.ended = true;
    this.#host.later(() => this.#onEnd(end));
  }
}
