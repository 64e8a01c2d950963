// Borrow: a reader's hold on memory of its peer, or a small message's private copy with the same manners.
import { IpcError } from '../errors.ts';
import type { Borrowed } from '../spec/memory.ts';
import { type NativeSegment, native } from './native.ts';

let checked = false;

/** From now on, in the whole process, what is borrowed from a peer can't be read any more once it has been released. */
export function checkBorrows(): void {
  checked = true;
}

/** Memory of a peer for one borrow that can be taken away again by `closeView`; undefined where nobody checks. */
export function checkedView(segment: NativeSegment, offset: number, bytes: number): Uint8Array | undefined {
  return checked ? new Uint8Array(segment.window(offset, bytes)) : undefined;
}

export function closeView(view: Uint8Array): void {
  native().closeWindow(view.buffer as ArrayBuffer);
}

/** Whose memory is borrowed. */
export interface BorrowedFrom {
  /** @param place what it gave the borrow to know it by. */
  takeBack(place: number, bytes: Uint8Array): void;
}

/** Who counts the borrows that are out. */
export interface BorrowCounter {
  borrowEnded(): void;
}

export class Borrow<T = Uint8Array> implements Borrowed<T> {
  #bytes: Uint8Array | undefined;
  #value: T | undefined;
  readonly #what: string;
  readonly #read: (bytes: Uint8Array) => T;
  readonly #from: BorrowedFrom | undefined;
  readonly #place: number;
  #counter: BorrowCounter | undefined;

  /** @param from undefined for a private copy. */
  constructor(
    what: string,
    bytes: Uint8Array,
    read: (bytes: Uint8Array) => T,
    from: BorrowedFrom | undefined,
    place: number,
  ) {
    this.#what = what;
    this.#bytes = bytes;
    this.#read = read;
    this.#from = from;
    this.#place = place;
  }

  get bytes(): Uint8Array {
    if (!this.#bytes) throw IpcError.of('ERR_MEMORY_RETURNED', `what was borrowed from ${this.#what}`);
    return this.#bytes;
  }

  get value(): T {
    const bytes = this.bytes;
    this.#value ??= this.#read(bytes);
    return this.#value;
  }

  /** Whom it tells of its end. */
  countedBy(counter: BorrowCounter): void {
    this.#counter = counter;
  }

  release(): void {
    const bytes = this.#bytes;
    if (!bytes) throw IpcError.of('ERR_MEMORY_RETURNED', `what was borrowed from ${this.#what}`);
    this.#bytes = undefined;
    this.#value = undefined;
    this.#from?.takeBack(this.#place, bytes);
    this.#counter?.borrowEnded();
  }

  [Symbol.dispose](): void {
    if (this.#bytes) this.release();
  }
}
