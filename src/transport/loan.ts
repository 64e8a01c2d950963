// Loan: memory of the arena in the hands of the one who writes a message, until it is sent or given back.
import { IpcError } from '../errors.ts';
import type { Loan } from '../spec/memory.ts';
import type { WaitOptions } from '../spec/waiting.ts';
import type { Block } from './arena.ts';
import type { Loans } from './loans.ts';

/** Whose loans they are. */
export interface LoanOwner {
  readonly name: string;
  readonly loans: Loans;
  /** Why nothing can be sent now, if that is so. */
  refusal(): IpcError | undefined;
}

export class ChannelLoan implements Loan {
  readonly #owner: LoanOwner;
  readonly #capacity: number;
  #bytes: Uint8Array | undefined;
  #block: Block | undefined;
  /** Waits for room; the block stays ours until it is sent, but may not be given back meanwhile. */
  #sending = false;
  #disposed = false;

  constructor(owner: LoanOwner, block: Block, bytes: Uint8Array) {
    this.#owner = owner;
    this.#capacity = bytes.length;
    this.#block = block;
    this.#bytes = bytes;
  }

  get bytes(): Uint8Array {
    if (!this.#bytes || this.#sending) throw this.#returned();
    return this.#bytes;
  }

  trySend(length: number = this.#capacity): boolean {
    const block = this.#ready(length);
    if (!this.#owner.loans.trySend(block, length)) return false;
    this.#end();
    return true;
  }

  async send(length: number = this.#capacity, options?: WaitOptions): Promise<void> {
    const block = this.#ready(length);
    this.#sending = true;
    try {
      await this.#owner.loans.send(block, length, options);
      this.#end();
    } catch (error) {
      this.#sending = false;
      if (this.#disposed) this.release();
      throw error;
    }
  }

  release(): void {
    const block = this.#block;
    if (!block || this.#sending) throw this.#returned();
    this.#end();
    this.#owner.loans.giveBack(block);
  }

  [Symbol.dispose](): void {
    if (this.#sending) this.#disposed = true;
    else if (this.#block) this.release();
  }

  #ready(length: number): Block {
    const block = this.#block;
    if (!block || this.#sending) throw this.#returned();
    const refusal = this.#owner.refusal();
    if (refusal) throw refusal;
    if (!Number.isSafeInteger(length) || length < 0 || length > this.#capacity)
      throw IpcError.of('ERR_MESSAGE_TOO_LARGE', this.#owner.name, length, this.#capacity);
    return block;
  }

  #end(): void {
    this.#block = undefined;
    this.#bytes = undefined;
  }

  #returned(): IpcError {
    return IpcError.of('ERR_MEMORY_RETURNED', `a loan of channel ${this.#owner.name}`);
  }
}
