// Borrow: a reader's hold on memory of its peer, or a small message's private copy with the same manners.
import { IpcError } from '../errors.ts';
import type { Borrowed } from '../spec/memory.ts';
import { type NativeSegment, native } from './native.ts';

let checked = false;

/** From now on, in the whole process, what is borrowed from a peer can't be read any more once it has been released. */
export function checkBorrows(): void {
  checked = true;
}

/** Memory of a peer for one borrow, and how it is given back. */
export function lookInto(
  segment: NativeSegment,
  offset: number,
  bytes: number,
): { view: Uint8Array; close: () => void } {
  if (!checked) return { view: new Uint8Array(segment.buffer, offset, bytes), close: () => {} };
  const window = segment.window(offset, bytes);
  return { view: new Uint8Array(window), close: () => native().closeWindow(window) };
}

export class Borrow<T = Uint8Array> implements Borrowed<T> {
  #bytes: Uint8Array | undefined;
  #value: T | undefined;
  readonly #what: string;
  readonly #read: (bytes: Uint8Array) => T;
  #giveBack: () => void;

  constructor(what: string, bytes: Uint8Array, read: (bytes: Uint8Array) => T, giveBack: () => void) {
    this.#what = what;
    this.#bytes = bytes;
    this.#read = read;
    this.#giveBack = giveBack;
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

  /** Has somebody else told of the end too: whoever counts those that are out. */
  alsoOnRelease(tell: () => void): void {
    const giveBack = this.#giveBack;
    this.#giveBack = () => {
      giveBack();
      tell();
    };
  }

  release(): void {
    if (!this.#bytes) throw IpcError.of('ERR_MEMORY_RETURNED', `what was borrowed from ${this.#what}`);
    this.#bytes = undefined;
    this.#value = undefined;
    this.#giveBack();
  }

  [Symbol.dispose](): void {
    if (this.#bytes) this.release();
  }
}
