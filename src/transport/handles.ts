// Handles: descriptors that travel with the messages of one channel. The message goes through the lane, its descriptor
// through the session's socket; both have a number, and each direction counts its own from 1.
import { OwnedDescriptor } from './descriptor.ts';
import { native } from './native.ts';

/**
 * Descriptors on their way on one channel and direction, and those that came with messages which nobody has taken. The
 * kernel allows a process as many as it may have open; a few channels must not use them up.
 */
export const handlesMax = 64;

/** What a sender needs of its lane. */
interface Place {
  readonly position: number;
  readerHead(): number;
}

export class OutgoingHandles {
  readonly #lane: Place;
  /** Sends a copy of the descriptor. */
  readonly #send: (number: number, fd: number) => void;
  #last = 0;
  /** Where in the lane the messages end whose descriptors the peer may not have taken yet. */
  #positions: number[] = [];

  constructor(lane: Place, send: (number: number, fd: number) => void) {
    this.#lane = lane;
    this.#send = send;
  }

  get full(): boolean {
    if (this.#positions.length < handlesMax) return false;
    const head = this.#lane.readerHead();
    this.#positions = this.#positions.filter((position) => ((head - position) | 0) < 0);
    return this.#positions.length >= handlesMax;
  }

  /** Sends one. REQUIRES: not full, and the message will be written now. @returns its number. */
  send(fd: number): number {
    const number = (this.#last % 0x7fffffff) + 1;
    this.#send(number, fd);
    this.#last = number;
    return number;
  }

  /** The message of the last one stands in the lane. */
  written(): void {
    this.#positions.push(this.#lane.position);
  }
}

export class IncomingHandles {
  /** Those whose message has not been read, oldest first. */
  readonly #arrived: OwnedDescriptor[] = [];
  /** The number of the last that has arrived, and of the last message that had one. */
  #lastArrived = 0;
  #lastTaken = 0;
  #finished = false;

  /** One has come; it is ours, also if this throws because it makes no sense. */
  arrive(number: number, fd: number): void {
    if (this.#finished || number !== next(this.#lastArrived) || this.#arrived.length >= handlesMax) {
      native().closeFd(fd);
      if (this.#finished) return;
      throw new Error('a handle out of order, or one too many');
    }
    this.#lastArrived = number;
    this.#arrived.push(new OwnedDescriptor(fd));
  }

  /** A message says that the one with that number is its own. Throws if that makes no sense. */
  claim(number: number): void {
    if (number !== next(this.#lastTaken)) throw new Error('a message with a handle out of order');
    this.#lastTaken = number;
  }

  /** The one that was claimed; undefined if it has not come yet. */
  take(): OwnedDescriptor | undefined {
    return this.#arrived.shift();
  }

  /** Closes what nobody has received. */
  finish(): void {
    this.#finished = true;
    for (const descriptor of this.#arrived.splice(0)) descriptor.close();
  }
}

function next(number: number): number {
  return (number % 0x7fffffff) + 1;
}
