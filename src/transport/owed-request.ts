// OwedRequest: a request of the peer from its arrival to its answer, as its handler knows it.
import { IpcError } from '../errors.ts';
import type { RequestContext } from '../spec/conversation.ts';
import type { Descriptor } from '../spec/native-handle.ts';
import type { Peer } from '../spec/peer.ts';
import type { Exchange } from './exchange.ts';
import { monotonicMs, timerMaxMs } from './monotonic.ts';
import type { RequestMode } from './record.ts';

export class OwedRequest implements RequestContext {
  readonly name: string;
  readonly requestId: number;
  readonly mode: RequestMode;
  readonly handle: Descriptor | undefined;
  /** Values that the asker has room for. */
  readonly credit: number;
  /** Where its values go to and fro, if it is for many or a dialog and somebody here takes part. */
  exchange: Exchange | undefined;
  /** Whether the asker says nothing more. */
  peerClosed = false;

  /** By the clock of the machine; Infinity if it has none. */
  readonly #deadline: number;
  readonly #peerOf: () => Peer;
  #controller: AbortController | undefined;
  #deadlineTimer: NodeJS.Timeout | undefined;
  /** Ends its wait for a handler. */
  #stopWaiting: (() => void) | undefined;
  #onAbandoned: (() => void) | undefined;
  #over = false;
  #failure: unknown;

  constructor(
    name: string,
    requestId: number,
    { mode, credit, deadline }: { mode: RequestMode; credit: number; deadline: number },
    handle: Descriptor | undefined,
    peerOf: () => Peer,
  ) {
    this.name = name;
    this.requestId = requestId;
    this.mode = mode;
    this.credit = credit;
    this.handle = handle;
    this.#deadline = deadline;
    this.#peerOf = peerOf;
  }

  get peer(): Peer {
    return this.#peerOf();
  }

  get remainingMs(): number {
    return Math.max(0, this.#deadline - monotonicMs());
  }

  get signal(): AbortSignal {
    // Made when it is asked for: most handlers answer before anybody could cancel.
    if (this.#controller) return this.#controller.signal;
    this.#controller = new AbortController();
    if (this.#over) {
      if (this.#failure !== undefined) this.#controller.abort(this.#failure);
    } else if (this.#deadline !== Number.POSITIVE_INFINITY) {
      const { remainingMs } = this;
      const late = () =>
        this.#controller!.abort(IpcError.of('ERR_TIMEOUT', `request ${this.name}`, remainingMs));
      this.#deadlineTimer = setTimeout(late, Math.min(remainingMs, timerMaxMs));
    }
    return this.#controller.signal;
  }

  /** Calls back when nobody has taken it within the limit. */
  waitForHandler(limitMs: number, onLate: () => void): void {
    // Timers of Node count whole milliseconds and may be one early; before its deadline the request would be answered.
    const timer = setTimeout(onLate, Math.min(limitMs, Math.ceil(this.remainingMs) + 1));
    this.#stopWaiting = () => clearTimeout(timer);
  }

  /** Somebody takes it. */
  taken(): void {
    this.#stopWaiting?.();
  }

  /** Calls back if it fails before it is answered. */
  onAbandoned(stop: () => void): void {
    this.#onAbandoned = stop;
  }

  /** It is over. With a failure, its handler works for nothing and is told so. */
  settled(failure?: unknown): void {
    if (this.#over) return;
    this.#over = true;
    this.#failure = failure;
    this.#stopWaiting?.();
    clearTimeout(this.#deadlineTimer);
    this.handle?.close();
    if (failure === undefined) return;
    this.exchange?.fail(failure);
    this.#controller?.abort(failure);
    this.#onAbandoned?.();
  }
}
