// Relay port: where messages of one node go in and come out, whatever carries them.
import type { RelayRole } from '../spec/relay.ts';
import { decodeFrame, encodeFrame, type Frame } from './frame.ts';

/** What the far end of a port does. */
export interface PortObserver {
  /** Throws if the message makes no sense. */
  message(message: Frame): void;
  /**
   * Messages flow. `fresh`: the far end knows nothing of what was said before; `lost`: messages that it perhaps never got;
   * `waiting`: how many of those that were posted last have not been sent yet, and will be.
   */
  opened(fresh: boolean, lost: number, waiting: number): void;
  /** They wait. */
  lost(why: string): void;
  /** Called once, last. */
  closed(why: string): void;
}

export interface RelayPort {
  /** Who is at the far end; '' while nobody has said so. */
  readonly node: string;
  readonly role: RelayRole;
  /** How long ago anything was heard of it, in ms. */
  readonly silenceMs: number;
  /** Takes a message, or refuses it for want of room. */
  post(message: Frame): boolean;
  listen(observer: PortObserver): void;
  close(): Promise<void>;
}

/** Two ports of one process. What goes through is copied, as between machines. */
export function localPorts(
  first: { node: string; role: RelayRole },
  second: { node: string; role: RelayRole },
): [RelayPort, RelayPort] {
  const one = new LocalPort(second);
  const other = new LocalPort(first);
  one.join(other);
  other.join(one);
  return [one, other];
}

/** As of a link: what nobody takes in the same turn. */
const localRoom = 8_192;

class LocalPort implements RelayPort {
  readonly node: string;
  readonly role: RelayRole;
  #far: LocalPort | undefined;
  #observer: PortObserver | undefined;
  #inbox: Uint8Array[] = [];
  #scheduled = false;
  #closed = false;

  constructor({ node, role }: { node: string; role: RelayRole }) {
    this.node = node;
    this.role = role;
  }

  join(far: LocalPort): void {
    this.#far = far;
  }

  get silenceMs(): number {
    return 0;
  }

  post(message: Frame): boolean {
    return this.#far?.take(encodeFrame(message)) ?? false;
  }

  listen(observer: PortObserver): void {
    this.#observer = observer;
    queueMicrotask(() => {
      // Whatever was posted before stands in an inbox, and is delivered.
      if (!this.#closed) observer.opened(true, 0, Number.POSITIVE_INFINITY);
    });
  }

  async close(): Promise<void> {
    const far = this.#far;
    this.end('it was closed here');
    // What was sent before goes first.
    queueMicrotask(() => far?.end('it was closed there'));
  }

  take(bytes: Uint8Array): boolean {
    if (this.#closed || this.#inbox.length >= localRoom) return false;
    this.#inbox.push(bytes);
    if (!this.#scheduled) {
      this.#scheduled = true;
      queueMicrotask(() => this.#deliver());
    }
    return true;
  }

  end(why: string): void {
    if (this.#closed) return;
    this.#deliver();
    this.#closed = true;
    this.#far = undefined;
    this.#observer?.closed(why);
  }

  #deliver(): void {
    this.#scheduled = false;
    for (const bytes of this.#inbox.splice(0)) {
      try {
        this.#observer?.message(decodeFrame(bytes));
      } catch {
        // A mistake of this process is told by what its call answers; here nobody can be cut off.
      }
    }
  }
}
