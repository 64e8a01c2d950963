// Borrow: a reader's hold on memory of its peer, or a small message's private copy with the same manners.
import { IpcError } from '../errors.ts';
import type { Borrowed } from '../spec/memory.ts';

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
