// Inbox: messages of a channel that have been read and that nobody has taken, and the forms in which they are taken. They
// are kept as they came: plain, as a borrow, or with the descriptor that came with them.
import type { Received } from '../spec/native-handle.ts';
import { Borrow } from './borrow.ts';
import type { OwnedDescriptor } from './descriptor.ts';
import { handlesMax } from './handles.ts';

/** A message that a descriptor came with, on its way to whoever takes it. */
export class Handled implements Received<unknown> {
  readonly message: unknown;
  readonly handle: OwnedDescriptor;

  constructor(message: unknown, handle: OwnedDescriptor) {
    this.message = message;
    this.handle = handle;
  }
}

export class Inbox {
  /** Messages in hand that a descriptor came with. */
  handled = 0;

  readonly #max: number;
  readonly #copy: (borrow: Borrow) => unknown;
  #messages: unknown[] = [];

  /** @param copy answers what a borrow says, and releases it. */
  constructor(max: number, copy: (borrow: Borrow) => unknown) {
    this.#max = max;
    this.#copy = copy;
  }

  get length(): number {
    return this.#messages.length;
  }

  get full(): boolean {
    return this.#messages.length >= this.#max;
  }

  /** Whether one more message without a taker may be set aside, with a descriptor or not. */
  get hasRoom(): boolean {
    return !this.full && this.handled < handlesMax;
  }

  push(message: unknown): void {
    this.#messages.push(message);
  }

  /** Makes it the next one. */
  unshift(message: unknown): void {
    this.#messages.unshift(message);
  }

  shift(): unknown {
    return this.#messages.shift();
  }

  takeAll(): unknown[] {
    return this.#messages.splice(0);
  }

  /** Closes the descriptors of those that are left. */
  closeDescriptors(): void {
    for (const message of this.#messages) if (message instanceof Handled) message.handle.close();
  }

  /** A message as its taker wants it: alone, where its descriptor is closed, or with it. */
  plainOf(message: unknown, handles = false): unknown {
    if (message instanceof Handled) {
      this.handled--;
      if (handles) return { message: message.message, handle: message.handle };
      message.handle.close();
      return message.message;
    }
    const plain = message instanceof Borrow ? this.#copy(message) : message;
    return handles && plain !== undefined ? { message: plain, handle: undefined } : plain;
  }

  /** What came with a descriptor, or by itself. */
  messageIn(message: unknown): unknown {
    return message instanceof Handled ? message.message : message;
  }
}
