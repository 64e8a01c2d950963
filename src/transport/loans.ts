// Loans: what one channel has lent. Memory of the session's arena that becomes a message, at the caller's wish or because
// the message is too large for the ring, and values whose handles travel in messages.
import { IpcError } from '../errors.ts';
import type { ChannelOptions } from '../spec/channel-spec.ts';
import type { Handle } from '../spec/memory.ts';
import type { WaitOptions } from '../spec/waiting.ts';
import type { Block } from './arena.ts';
import { referenceBytes } from './block-reference.ts';
import type { Lender, LentMemory } from './lent-memory.ts';
import { recordKind } from './record.ts';
import { done, type SendingLine } from './sending-line.ts';

/** What loans need of the channel's sender. */
export interface LoanLane {
  readonly line: SendingLine;
  /** A loan found no room. */
  full: number;
  hasRoom(bytes: number): boolean;
  /** Writes and publishes a record. Answers false if there is no room. */
  put(kind: number, number: number, payload: Uint8Array): boolean;
}

export class Loans implements Lender {
  /** Blocks and values that are out: loans in hand, and what the peer has not given back. */
  out = 0;

  readonly #name: string;
  readonly #options: ChannelOptions;
  readonly #memory: LentMemory | undefined;
  readonly #lane: LoanLane;

  /** @param memory undefined where the app has no arena. */
  constructor(name: string, options: ChannelOptions, memory: LentMemory | undefined, lane: LoanLane) {
    this.#name = name;
    this.#options = options;
    this.#memory = memory;
    this.#lane = lane;
  }

  /**
   * Memory of the arena for one message.
   * @throws {IpcError} ERR_ARENA_FULL, ERR_LOAN_LIMIT, ERR_NO_ARENA, ERR_CHANNEL_CODEC, ERR_MESSAGE_TOO_LARGE.
   */
  loan(bytes: number): Block {
    const memory = this.#memory;
    if (!memory) throw IpcError.of('ERR_NO_ARENA', `a loan of channel ${this.#name}`, 'arenaBytes');
    if (this.#options.codec !== 'bytes') throw IpcError.of('ERR_CHANNEL_CODEC', this.#name, 'lend memory');
    if (!Number.isSafeInteger(bytes) || bytes < 0)
      throw IpcError.of('ERR_MESSAGE_INVALID', this.#name, `a loan of ${bytes} bytes`);
    if (bytes > this.#options.maxMessageBytes)
      throw IpcError.of('ERR_MESSAGE_TOO_LARGE', this.#name, bytes, this.#options.maxMessageBytes);
    this.#needLoan(memory);
    const { arena } = memory;
    let block = arena.allocate(bytes);
    if (!block) {
      memory.poll();
      block = arena.need(bytes);
    }
    this.out++;
    return block;
  }

  /** The memory of a loan. */
  bytesOf(block: Block, bytes: number): Uint8Array {
    return this.#memory!.arena.view(block, 0, bytes);
  }

  /** Sends what was written into a loan; the block is the peer's then. @returns false if there is no room now. */
  trySend(block: Block, bytes: number): boolean {
    if (this.#lane.line.sending.length === 0 && this.#putLoan(block, bytes)) return true;
    this.#lane.full++;
    return false;
  }

  send(block: Block, bytes: number, options?: WaitOptions): Promise<void> {
    if (this.trySend(block, bytes)) return done;
    return this.#lane.line.later(() => this.#putLoan(block, bytes), options);
  }

  /** A loan that was not sent. */
  giveBack(block: Block): void {
    this.#memory!.arena.release(block);
    this.returned();
  }

  /** @throws {IpcError} ERR_LOAN_LIMIT, ERR_LOAN_FOREIGN, ERR_NO_ARENA, ERR_MEMORY_RETURNED, ERR_ARENA_FULL. */
  lend(memory: LentMemory | undefined, value: unknown): Handle {
    if (!memory)
      throw IpcError.of('ERR_NO_ARENA', `lending on channel ${this.#name}`, 'arenaBytes or sharedBytes');
    this.#needLoan(memory);
    const handle = memory.lendValue(this, value);
    this.out++;
    return handle;
  }

  /** The peer has given one back. Those who wait for memory get their turn from `poll`. */
  returned(): void {
    this.out--;
  }

  /** A message too large for the ring: into a block. @throws {IpcError} ERR_ARENA_FULL if no release can help. */
  putMessage(payload: Uint8Array): boolean {
    const memory = this.#memory!;
    const { arena } = memory;
    if (!this.#lane.hasRoom(referenceBytes)) return false;
    let block = this.#mayLend(memory) ? arena.allocate(payload.length) : undefined;
    if (!block) {
      memory.poll();
      if (!this.#mayLend(memory)) return false;
      block = arena.allocate(payload.length);
      if (!block && memory.count > 0) return false;
      if (!block) throw arena.full(payload.length);
    }
    this.out++;
    // Before anything else: a new segment goes out as a frame, and encoding that writes over the encoder's bytes.
    arena.view(block, 0, payload.length).set(payload);
    if (this.#putLoan(block, payload.length)) return true;
    this.giveBack(block);
    return false;
  }

  /** Publishes a block as a message; it is the peer's from then on. */
  #putLoan(block: Block, bytes: number): boolean {
    const memory = this.#memory!;
    if (!memory.hasSlot) return false;
    const record = memory.lend(this, memory.arena, block, 0, bytes);
    if (this.#lane.put(recordKind.block, 0, record)) return true;
    memory.undoLend();
    return false;
  }

  #needLoan(memory: LentMemory): void {
    const { maxLoans } = this.#options;
    if (!this.#mayLend(memory)) memory.poll();
    if (!this.#mayLend(memory)) throw IpcError.of('ERR_LOAN_LIMIT', this.#name, maxLoans);
  }

  #mayLend(memory: LentMemory): boolean {
    return this.out < this.#options.maxLoans && memory.hasSlot;
  }
}
