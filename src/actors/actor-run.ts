// Actor run: one run of an actor below a supervisor of actors, on the host of this process.
import type { AnyActorLogic, AnyMachineSnapshot } from 'xstate';
import { messageOf } from '../errors.ts';
import type { End, Run, Start } from '../machines/actor-child.ts';
import type { Address } from '../names.ts';
import type { ActorLogic, ActorSource, ActorStart } from '../spec/child.ts';
import type { ActorEnd, Host, Hosted } from './hosting.ts';

/** What an actor is told that is to end; a machine that takes it where it is has its time to do so. */
export const stopEvent = { type: 'stop' } as const;

type Ended = (end: End) => void;

/** Who hears what becomes of a start. */
export interface Told {
  started(info: unknown): void;
  ignored(): void;
  ended(end: End): void;
  /** Gets each snapshot, while somebody wants them. */
  readonly changed?: (snapshot: unknown) => void;
}

interface AnyActor {
  getSnapshot(): unknown;
  subscribe(observer: { next(snapshot: unknown): void; error(): void }): void;
}

/** Starts an actor, or asks its start function whom to start. `ended` is called once, after this has returned. */
export function startActor(
  host: Host,
  address: Address,
  { source, input }: { source: ActorSource; input?: unknown },
  told: Told,
): Start {
  if (typeof source !== 'function') return startLogic(host, address, source, input, told);
  try {
    const answer = source(input);
    if (answer instanceof Promise) return startLater(host, address, answer, input, told);
    return startAnswer(host, address, answer, input, told);
  } catch (error) {
    return { how: 'failed', why: messageOf(error) };
  }
}

function startAnswer(host: Host, address: Address, answer: ActorStart, input: unknown, told: Told): Start {
  if (answer === 'ignore') return { how: 'ignored' };
  if (isLogic(answer)) return startLogic(host, address, answer, input, told);
  if (!isLogic(answer?.logic)) return { how: 'failed', why: 'its start function gave no logic' };
  const given = 'input' in answer ? answer.input : input;
  const start = startLogic(host, address, answer.logic, given, told);
  return start.how === 'up' ? { ...start, info: answer.info } : start;
}

function isLogic(value: unknown): value is ActorLogic {
  return typeof (value as Partial<ActorLogic> | undefined)?.getInitialSnapshot === 'function';
}

function startLogic(host: Host, address: Address, logic: ActorLogic, input: unknown, told: Told): Start {
  const run = new ActorRun(told);
  try {
    run.hosted = host.start(logic as unknown as AnyActorLogic, {
      address,
      input,
      bind: (actor) => {
        run.actor = actor as AnyActor;
        if (told.changed) run.actor.subscribe({ next: told.changed, error() {} });
      },
      onEnd: (end) => run.end(end),
    });
  } catch (error) {
    return { how: 'failed', why: messageOf(error) };
  }
  // An actor whose first step throws never was.
  const snapshot = run.actor!.getSnapshot() as { status?: string; error?: unknown };
  if (snapshot?.status !== 'error') return { how: 'up', run };
  run.actor = undefined;
  return { how: 'failed', why: messageOf(snapshot.error) };
}

class ActorRun implements Run {
  actor: AnyActor | undefined;
  hosted: Hosted | undefined;
  readonly #told: Told;

  constructor(told: Told) {
    this.#told = told;
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

  end(end: ActorEnd<unknown>): void {
    // It never started: that has been told.
    if (!this.actor) return;
    this.#told.ended(end.how === 'crashed' ? { how: 'crashed', why: messageOf(end.error) } : end);
  }
}

/** Its start function takes its time. */
function startLater(
  host: Host,
  address: Address,
  answer: Promise<ActorStart>,
  input: unknown,
  told: Told,
): Start {
  const run = new LateRun(host, (end) => told.ended(end));
  const fail = (why: string) => run.over({ how: 'crashed', why });
  answer.then(
    (given) => {
      if (run.ended) return;
      const start = startAnswer(host, address, given, input, {
        started() {},
        ignored() {},
        ended: (end) => run.over(end),
      });
      if (start.how === 'failed') fail(start.why);
      else if (start.how === 'ignored') {
        run.ended = true;
        host.later(() => told.ignored());
      } else {
        run.inner = start.run;
        host.later(() => told.started(start.info));
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
  readonly #onEnd: Ended;

  constructor(host: Host, onEnd: Ended) {
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
