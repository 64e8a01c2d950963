// Borrows: what one channel's reader holds of its peer's memory, and how much more it may.
import { IpcError } from '../errors.ts';
import type { ChannelOptions } from '../spec/channel-spec.ts';
import type { InPlaceCodec } from '../spec/memory.ts';
import type { WaitOptions } from '../spec/waiting.ts';
import { Borrow, type BorrowCounter } from './borrow.ts';
import type { BorrowedMemory } from './borrowed-memory.ts';

export class Borrows implements BorrowCounter {
  /** Borrows in hand, and calls that wait for one. */
  count = 0;
  /** Messages were left because the handler of batches has as many borrows as it may. */
  heldBack = false;

  readonly #name: string;
  readonly #what: string;
  readonly #options: ChannelOptions;
  readonly #goOn: () => void;

  /** @param goOn is called when messages that were held back may be read. */
  constructor(name: string, options: ChannelOptions, goOn: () => void) {
    this.#name = name;
    this.#what = `channel ${name}`;
    this.#options = options;
    this.#goOn = goOn;
  }

  get full(): boolean {
    return this.count >= this.#options.maxBorrows;
  }

  /** Counts a borrow that leaves; a small message is a copy already, and gets the same manners. */
  counted(message: Borrow | Uint8Array): Borrow {
    const borrow =
      message instanceof Borrow ? message : new Borrow(this.#what, message, asTheyAre, undefined, 0);
    this.count++;
    borrow.countedBy(this);
    return borrow;
  }

  /** Borrows what a handle leads to; counted with the messages. */
  async ofValue<T>(
    memory: BorrowedMemory,
    handle: unknown,
    codec: InPlaceCodec<T, never>,
    options?: WaitOptions,
  ): Promise<Borrow<T>> {
    this.needRoom();
    this.count++;
    try {
      const borrow = await memory.borrowValue(this.#what, handle, codec, options);
      borrow.countedBy(this);
      return borrow;
    } catch (error) {
      this.count--;
      throw error;
    }
  }

  borrowEnded(): void {
    this.count--;
    if (!this.heldBack) return;
    this.heldBack = false;
    this.#goOn();
  }

  need(): void {
    this.needBytes();
    this.needRoom();
  }

  needRoom(): void {
    if (this.full) throw IpcError.of('ERR_BORROW_LIMIT', this.#name, this.#options.maxBorrows);
  }

  needBytes(): void {
    if (this.#options.codec !== 'bytes')
      throw IpcError.of('ERR_CHANNEL_CODEC', this.#name, 'borrow messages');
  }
}

/** The reading of a borrow whose value is its bytes. */
export const asTheyAre = (bytes: Uint8Array) => bytes;
