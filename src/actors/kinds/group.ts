// Group: children that are watched together. When one fails because of another, the one that failed first by itself is the
// root cause: failures that only say "the other end is gone" are held back until it had time to show up, and told with it.
import type { AnyActorLogic, InputFrom } from 'xstate';
import { type ErrorCode, IpcError } from '../../errors.ts';
import type { WaitOptions } from '../../spec/waiting.ts';
import type { Child } from './children.ts';
import { type Handle, handleOfChild } from './handle.ts';
import type { KindRun } from './kind-run.ts';
import { Outcome, Source } from './source.ts';
import { Waits } from './waits.ts';

/** So long a root cause may take to show up after its first consequence, and its consequences after it. */
export const heldBackMs = 200;

/** Errors of whose other end something must have happened first. */
const secondary: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'ERR_INBOX_CLOSED',
  'ERR_KIND_ENDED',
  'ERR_CONSUMER_GONE',
  'ERR_PROMISE_CLOSED',
  'ERR_STOPPING',
  'ERR_CHANNEL_CLOSED',
  'ERR_CHANNEL_HOSED',
  'ERR_SESSION_CLOSED',
  'ERR_SESSION_HOSED',
]);

/** Options of `spawn`. */
export interface SpawnOptions {
  /** What it is called, with a number, in its address; default: the name of the kind. */
  name?: string;
}

/** Starts children of a group, from wherever it was handed to. */
export interface Spawner {
  /** @throws {IpcError} ERR_KIND_ENDED once closed; ERR_KIND_BUSY. */
  spawn<L extends AnyActorLogic>(logic: L, input?: InputFrom<L>, options?: SpawnOptions): Handle<L>;
  /** Starts nothing more. A group is waited for until all its spawners are closed. */
  close(): void;
  /** As `close`. */
  [Symbol.dispose](): void;
}

/** A source: ready when all of the group have ended well, or one has failed. */
export class Group extends Source<void> {
  readonly name: string;
  readonly #run: KindRun;
  readonly #tasks = new Set<Child<KindRun>>();
  readonly #spawners = new Map<object, string>();
  readonly #failure: Outcome<never>;
  readonly #failed: { readonly error: IpcError; readonly root: boolean }[] = [];
  #timer: unknown;
  #waited = false;

  constructor(run: KindRun, name: string) {
    super();
    this.name = name;
    this.#run = run;
    this.#failure = new Outcome(`failure in ${name}`);
  }

  /** How many of its children run. */
  get running(): number {
    return this.#tasks.size;
  }

  /** Starts a child. @throws {IpcError} ERR_KIND_BUSY, ERR_KIND_UNHOSTED. */
  spawn<L extends AnyActorLogic>(logic: L, input?: InputFrom<L>, options?: SpawnOptions): Handle<L> {
    return this.#spawn(logic, input, options, this.#run.waits);
  }

  /** A spawner to hand to others. Its name is told when the group is waited for in vain. */
  share(name = 'spawner'): Spawner {
    const key = {};
    this.#spawners.set(key, name);
    this.#owe();
    const close = () => {
      if (this.#spawners.delete(key)) this.wake();
    };
    return {
      spawn: (logic, input, options) => {
        if (!this.#spawners.has(key)) throw IpcError.of('ERR_KIND_ENDED', name, 'this spawner was closed');
        return this.#spawn(logic, input, options, new Waits(this.name, this.#run.clock));
      },
      close,
      [Symbol.dispose]: close,
    };
  }

  /**
   * Waits until all children have ended and all spawners are closed.
   * @throws {IpcError} ERR_KIND_FAILED of the child that failed first by itself, with `consequences`; ERR_TIMEOUT.
   */
  async wait(options?: WaitOptions): Promise<void> {
    this.#claim();
    try {
      await this.#run.waits.one(this.#description(), this, options);
    } catch (error) {
      if ((error as Partial<IpcError>)?.code !== 'ERR_TIMEOUT' || options?.timeoutMs === undefined)
        throw error;
      throw IpcError.from(error, 'ERR_TIMEOUT', this.#description(), options.timeoutMs);
    }
  }

  /** Runs `task`, but fails as soon as a child of the group does. @throws as wait, and what `task` throws. */
  async during<T>(task: () => Promise<T>): Promise<T> {
    this.#claim();
    const done = new Outcome<T>('its task');
    task().then(
      (value) => done.resolve(value),
      (error: unknown) => done.reject(error),
    );
    const { value } = await this.#run.waits.any<T>(
      `task beside ${this.name}`,
      [this.#failure, done],
      ['failure', 'task'],
    );
    return value;
  }

  /** Has `onError` called when a child fails; once, with what `wait` would throw. */
  watch(onError: (error: IpcError) => void): void {
    this.#claim();
    const tell = () => {
      try {
        this.#failure.take();
      } catch (error) {
        onError(error as IpcError);
      }
    };
    if (this.#failure.settled) tell();
    else this.#failure.arm(tell);
  }

  ready(): boolean {
    this.#claim();
    return (
      this.#failure.settled ||
      (this.#tasks.size === 0 && this.#spawners.size === 0 && this.#failed.length === 0)
    );
  }

  take(): void {
    if (this.#failure.settled) this.#failure.take();
  }

  #description(): string {
    const spawners = [...this.#spawners.values()];
    const tasks = [...this.#tasks].map(({ address }) => address);
    return `wait for ${this.name} (${[...tasks, ...spawners].join(', ') || 'nothing left'})`;
  }

  #spawn<L extends AnyActorLogic>(
    logic: L,
    input: InputFrom<L> | undefined,
    options: SpawnOptions = {},
    waits: Waits,
  ): Handle<L> {
    const child = this.#run.spawn(logic, input, options.name, (ended) => this.#ended(ended));
    // The group answers for it.
    child.joined = true;
    this.#run.children.settled(child);
    this.#owe();
    this.#tasks.add(child);
    return handleOfChild(this.#run, child, waits) as unknown as Handle<L>;
  }

  #ended(child: Child<KindRun>): void {
    this.#tasks.delete(child);
    const error = failureOf(child);
    if (error) this.#fail(error);
    if (this.#failed.length > 0 && this.#tasks.size === 0) this.#decide();
    this.wake();
  }

  #fail(error: IpcError): void {
    const { clock } = this.#run;
    const root = !isConsequence(error);
    const first = root && !this.#failed.some((failed) => failed.root);
    this.#failed.push({ error, root });
    if (this.#timer !== undefined && !first) return;
    clock.clearTimeout(this.#timer);
    this.#timer = clock.setTimeout(() => this.#decide(), heldBackMs);
  }

  #decide(): void {
    this.#run.clock.clearTimeout(this.#timer);
    const first = this.#failed.find(({ root }) => root) ?? this.#failed[0]!;
    const others = this.#failed.filter((failed) => failed !== first).map(({ error }) => error);
    this.#failure.reject(first.error.withConsequences(others));
    this.wake();
  }

  #owe(): void {
    if (!this.#waited) this.#run.children.owe(this, `${this.name} was never waited for`);
  }

  #claim(): void {
    this.#waited = true;
    this.#run.children.settled(this);
  }
}

/** Why a child failed; undefined if it did not, or was stopped by its own parent. */
function failureOf(child: Child<KindRun>): IpcError | undefined {
  try {
    child.outcome.take();
    return undefined;
  } catch (error) {
    const failure = error as IpcError;
    return failure.code === 'ERR_KIND_ENDED' ? undefined : failure;
  }
}

/** Whether the error says no more than that something else is over. The first code in its causes that is not about a kind. */
function isConsequence(error: unknown): boolean {
  for (let at = error; at instanceof Error; at = at.cause) {
    const { code } = at as Partial<IpcError>;
    if (code !== undefined && code !== 'ERR_KIND_FAILED') return secondary.has(code);
  }
  return false;
}
