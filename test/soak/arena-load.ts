// What either side of the arena soak does: it lends loans, large messages and values as fast as the other takes them, checks
// what it gets, and keeps some of that borrowed.
import { setImmediate as turn } from 'node:timers/promises';
import { type Borrowed, IpcError, rawBytes, type Session, type SharedArena } from '../../src/index.ts';
import type { Random } from '../support/random.ts';
import { Ledger } from './ledger.ts';
import { faultOf, fillMessage } from './message.ts';
import type { arenaSoak } from './universe.ts';

export type ArenaSession =
  | Session<typeof arenaSoak.quarry, 'server'>
  | Session<typeof arenaSoak.quarry, 'client'>;

const keptMax = 6;
const messageBytesMax = 20_000;

/** What is for later: the other side has all that it may have, or the arena is full of it. */
const later = ['ERR_LOAN_LIMIT', 'ERR_ARENA_FULL', 'ERR_CHANNEL_BUSY'];

/** An arena tells only that it is gone. Those who wait on a channel are told why. */
const over = new Error('the session is over');

interface Kept {
  readonly borrow: Borrowed<Uint8Array>;
  readonly number: number;
  /** A value; else a message. */
  readonly value: boolean;
}

export class ArenaLoad {
  readonly ledger: Ledger;
  /** Handles made, whether or not they were sent. */
  valuesLent = 0;
  fault: string | undefined;
  /** Of everybody who waited on the session. */
  readonly causes: unknown[] = [];
  readonly kept: Kept[] = [];
  /** Resolves when nobody here waits any more. */
  readonly settled: Promise<unknown>;
  readonly #session: Session<typeof arenaSoak.quarry, 'server'>;
  readonly #shared: SharedArena;
  readonly #random: Random;

  /** @param lends, borrows what this side does; it reads in any case. */
  constructor(
    session: ArenaSession,
    shared: SharedArena,
    random: Random,
    does: { lends: boolean; borrows: boolean },
    ledger = new Ledger(),
  ) {
    this.ledger = ledger;
    // The two directions carry the same.
    this.#session = session as Session<typeof arenaSoak.quarry, 'server'>;
    this.#shared = shared;
    this.#random = random;
    const parts = [this.#takeMessages(does.borrows), this.#takeValues(does.borrows)];
    if (does.lends) parts.push(this.#sendMessages(), this.#sendValues());
    this.settled = Promise.all(parts.map((part) => part.catch((error) => this.#ended(error))));
  }

  /** Checks what is still borrowed, and lets go of it. */
  releaseAll(): void {
    while (this.kept.length > 0) this.#release(0);
  }

  /** What is wrong with what is still borrowed. */
  checkKept(): string | undefined {
    for (const { borrow, number } of this.kept) this.fault ??= faultOf(borrow.value, number);
    return this.fault;
  }

  #ended(error: unknown): void {
    if (error === over) return;
    if (error instanceof IpcError && error.code === 'ERR_CHANNEL_HOSED') this.causes.push(error.cause);
    else this.fault ??= `it ended with ${error}`;
  }

  async #sendMessages(): Promise<void> {
    const { blocks } = this.#session.channels;
    const random = this.#random;
    for (let number = 0; ; number++) {
      const bytes = 8 + random.below(random.below(4) === 0 ? 500 : messageBytesMax);
      if (random.below(2) === 0) {
        const message = new Uint8Array(bytes);
        fillMessage(message, number, random);
        this.ledger.count('messagesBegun');
        await blocks.send(message);
      } else {
        using loan = await whenRoom(this.#session, () => blocks.loan(messageBytesMax + 8));
        fillMessage(loan.bytes.subarray(0, bytes), number, random);
        this.ledger.count('messagesBegun');
        await loan.send(bytes);
      }
      this.ledger.count('messagesSent');
      if (random.below(4) === 0) await turn();
    }
  }

  async #sendValues(): Promise<void> {
    const { values } = this.#session.channels;
    const random = this.#random;
    for (let number = 0; ; number++) {
      const arena = random.below(2) === 0 ? this.#session.arena : this.#shared;
      const bytes = 8 + random.below(messageBytesMax);
      const write = (memory: Uint8Array) => fillMessage(memory.subarray(0, bytes), number, random);
      using value = await whenRoom(this.#session, () => arena.construct(rawBytes, { bytes, write }));
      const handle = await whenRoom(this.#session, () => values.lend(value));
      this.valuesLent++;
      this.ledger.count('valuesBegun');
      await values.send({ number, value: handle });
      this.ledger.count('valuesSent');
      if (random.below(4) === 0) await turn();
    }
  }

  async #takeMessages(borrows: boolean): Promise<void> {
    const { blocks } = this.#session.channels;
    for (;;) {
      if (!borrows || this.#random.below(3) === 0) {
        const message = await blocks.receive();
        this.fault ??= faultOf(message, this.ledger.counted.messagesTaken);
        this.ledger.count('messagesTaken');
      } else {
        const borrow = await blocks.receive({ borrow: true });
        const number = this.ledger.counted.messagesTaken;
        this.ledger.count('messagesTaken');
        this.#keep({ borrow, number, value: false });
      }
    }
  }

  async #takeValues(borrows: boolean): Promise<void> {
    const { values } = this.#session.channels;
    for (;;) {
      const { number, value } = await values.receive();
      const { valuesTaken } = this.ledger.counted;
      if (number !== valuesTaken) this.fault ??= `value ${number} instead of ${valuesTaken}`;
      this.ledger.count('valuesTaken');
      const borrow = await values.borrow(value, rawBytes);
      this.#keep({ borrow, number, value: true });
      if (!borrows) this.releaseAll();
    }
  }

  /** Holds it, and lets go of another by chance if there are too many. */
  #keep(kept: Kept): void {
    this.fault ??= faultOf(kept.borrow.value, kept.number);
    this.kept.push(kept);
    if (this.kept.length > keptMax) this.#release(this.#random.below(this.kept.length));
  }

  #release(index: number): void {
    const [{ borrow, number, value }] = this.kept.splice(index, 1) as [Kept];
    this.fault ??= faultOf(borrow.value, number);
    if (value) this.ledger.count('releasesBegun');
    borrow.release();
    if (value) this.ledger.count('releasesDone');
  }
}

/** Tries until there is room. Nothing but the end of the session makes other errors. */
async function whenRoom<T>(session: ArenaSession, attempt: () => T): Promise<T> {
  for (;;) {
    try {
      return attempt();
    } catch (error) {
      if (!(error instanceof IpcError)) throw error;
      if (!session.channels.blocks.open) throw over;
      if (!later.includes(error.code)) throw error;
    }
    await turn();
  }
}
