// Participation: what a program gets for its part: a handle on its end, on what it serves, on what runs.
import type { AnyActorLogic, InputFrom, OutputFrom } from 'xstate';
import type { Handle } from '../actors/kinds/handle.ts';
import type { Outcome } from '../actors/kinds/source.ts';
import type { NodeStats } from '../actors/midway-relay.ts';
import type { RunningNode } from '../actors/relay-node.ts';
import { type ErrorData, IpcError } from '../errors.ts';
import type { ReaderView } from '../machines/multicast.ts';
import type { Publishers } from '../spec/broadcast.ts';
import type { AppSpec } from '../spec/universe.ts';

/** What `serve` and `connect` give back. */
export interface Participation {
  /** Ends all its sessions in order, then itself. Resolves when nothing of it is left. */
  stop(): Promise<void>;
  /** Resolves at its end; rejects if it failed or gave up. */
  readonly ended: Promise<void>;
  /** Stops it in order. */
  [Symbol.asyncDispose](): Promise<void>;
}

/** Options of `run`. */
export interface RunOptions<L extends AnyActorLogic> {
  input?: InputFrom<L>;
  /** Its address; default: the name of the kind. */
  name?: string;
}

/** What `run` gives back. Stopping it lets a server or service finish what is in flight. */
export interface Running<L extends AnyActorLogic = AnyActorLogic> extends Participation {
  /** For messages, requests and streams. */
  readonly handle: Handle<L>;
  /** Its output; rejects if it failed, with ERR_KIND_ENDED if it was stopped without an output. */
  readonly result: Promise<OutputFrom<L>>;
}

/** What `serve` gives back: the part of this process, and the writing ends of the app's broadcasts. */
export interface Serving<A extends AppSpec = AppSpec> extends Participation {
  readonly broadcasts: Publishers<A>;
}

/** A multicast that runs: its readers as they are now. */
export interface Multicast extends Participation {
  /** Its readers as they are now. */
  readers(): readonly ReaderView[];
}

export class Part implements Participation {
  readonly ended: Promise<void>;
  readonly #requestStop: () => void;
  #settle: ((error: ErrorData | null) => void) | undefined;

  constructor(requestStop: () => void) {
    this.#requestStop = requestStop;
    this.ended = new Promise((resolve, reject) => {
      this.#settle = (error) => (error ? reject(IpcError.received(error)) : resolve());
    });
    // Nobody has to look at it.
    this.ended.catch(() => {});
  }

  settle(error: ErrorData | null): void {
    this.#settle?.(error);
  }

  async stop(): Promise<void> {
    this.#requestStop();
    await this.ended.catch(() => {});
  }

  /** As `stop`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }
}

/** A node of the relay tier that runs here. */
export class RelayNodePart extends Part {
  readonly #running: RunningNode;

  constructor(running: RunningNode) {
    super(() => running.hosted.post({ type: 'stop' }));
    this.#running = running;
  }

  /** Where it listens: ports that the system has chosen are known here. */
  get ports(): readonly (number | undefined)[] {
    return this.#running.open?.ports ?? [];
  }

  /** Undefined after its end. */
  get stats(): NodeStats | undefined {
    return this.#running.stats;
  }
}

export class ServingPart<A extends AppSpec> extends Part implements Serving<A> {
  readonly broadcasts: Publishers<A>;

  constructor(broadcasts: Publishers<A>, requestStop: () => void) {
    super(requestStop);
    this.broadcasts = broadcasts;
  }
}

export class RunningPart<L extends AnyActorLogic> extends Part implements Running<L> {
  handle!: Handle<L>;
  readonly result: Promise<OutputFrom<L>>;

  constructor(outcome: Outcome<OutputFrom<L>>, requestStop: () => void) {
    super(requestStop);
    this.result = new Promise((resolve, reject) => {
      outcome.arm(() => {
        try {
          resolve(outcome.take());
        } catch (error) {
          reject(error);
        }
      });
    });
    // Nobody has to look at it.
    this.result.catch(() => {});
  }
}
