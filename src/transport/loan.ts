// Loan: memory of the arena in the hands of the one who writes a message, until it is sent or given back.
import { IpcError } from '../errors.ts';
import type { Loan } from '../spec/memory.ts';
import type { WaitOptions } from '../spec/waiting.ts';
import type { Arena, Block } from './arena.ts';
import type { Sender } from './sender.ts';

export class ChannelLoan implements Loan {
  readonly #channel: string;
  readonly #sender: Sender;
  readonly #capacity: number;
  #bytes: Uint8Array | undefined;
  #block: Block | undefined;
  /** Waits for room; the block stays ours until it is sent, but may not be given back meanwhile. */
  #sending = false;
  #disposed = false;
  readonly #refusal: () => IpcError | undefined;

  /** @param refusal why nothing can be sent now, if that is so. */
  constructor(
    channel: string,
    sender: Sender,
    { arena, block }: { arena: Arena; block: Block },
    capacity: number,
    refusal: () => IpcError | undefined,
  ) {
    this.#channel = channel;
    this.#sender = sender;
    this.#capacity = capacity;
    this.#block = block;
    this.#bytes = arena.view(block, 0, capacity);
    this.#refusal = refusal;
  }

  get bytes(): Uint8Array {
    if (!this.#bytes || this.#sending) throw this.#returned();
    return this.#bytes;
  }

  trySend(length: number = this.#capacity): boolean {
    const block = this.#ready(length);
    if (!this.#sender.trySendLoan(block, length)) return false;
    this.#end();
    return true;
  }

  async send(length: number = this.#capacity, options?: WaitOptions): Promise<void> {
    const block = this.#ready(length);
    this.#sending = true;
    try {
      await this.#sender.sendLoan(block, length, options);
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
    this.#sender.giveBack(block);
  }

  [Symbol.dispose](): void {
    if (this.#sending) this.#disposed = true;
    else if (this.#block) this.release();
  }

  #ready(length: number): Block {
    const block = this.#block;
    if (!block || this.#sending) throw this.#returned();
    const refusal = this.#refusal();
    if (refusal) throw refusal;
    if (!Number.isSafeInteger(length) || length < 0 || length > this.#capacity)
      throw IpcError.of('ERR_MESSAGE_TOO_LARGE', this.#channel, length, this.#capacity);
    return block;
  }

  #end(): void {
    this.#block = undefined;
    this.#bytes = undefined;
  }

  #returned(): IpcError {
    return IpcError.of('ERR_MEMORY_RETURNED', `a loan of channel ${this.#channel}`);
  }
}
