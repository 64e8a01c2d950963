// In place: the ends of a session whose messages are written and read where they stand, in the arenas of its sides.
import { type Arena, type Channel, IpcError, type Loan, rawBytes } from 'actor-ipc';
import type { Job } from './job.ts';
import { checkEnds, checkStamp, type Message, markEnds, type Payload, stamp } from './payload.ts';
import type { Port } from './port.ts';

/** What driver or responder work with. */
export interface End {
  readonly port: Port;
  readonly payload: Payload;
}

/** Few, so that the caches still have memory that comes back; enough that the writer seldom waits for it. */
export const loansMax = 8;
/** What an arena needs beside the messages. */
const overheadBytes = 1024 * 1024;

export function isInPlace({ transport }: Job): boolean {
  return transport === 'loan' || transport === 'loan-view' || transport === 'lent';
}

export function arenaBytesOf(job: Job): number {
  if (!isInPlace(job)) return 0;
  const messages = job.transport === 'lent' ? 1 : loansMax;
  return messages * (job.payload as number) + overheadBytes;
}

const end = Buffer.alloc(1);
const isEnd = (message: unknown) => message instanceof Uint8Array && message.length === end.length;

/** Each message is a loan of its writer and a borrow of its reader. With `loan-view`, only its two ends are touched. */
export function loanEnd(data: Channel<Message, Message>, { payload, transport }: Job): End {
  const sizeBytes = payload as number;
  const [write, check] = transport === 'loan-view' ? [markEnds, checkEnds] : [stamp, checkStamp];
  let loan: Loan;
  let next: Loan | undefined;
  /** The reader has all loans: waits until it has taken them, and takes the first that comes back. */
  const untilLoan = async () => {
    while (!next) {
      await data.flush();
      next = loanOrLimit(data, sizeBytes);
    }
  };
  return {
    payload: {
      write(n) {
        loan = next ?? data.loan(sizeBytes);
        next = undefined;
        write(loan.bytes, n);
        return loan.bytes;
      },
      check(message, n) {
        checkSize(message, sizeBytes, n);
        check(message, n);
      },
      end,
      isEnd,
    },
    port: {
      send(message) {
        if (message === end) return data.trySend(message) ? undefined : data.send(message);
        // The ring holds more references than there are loans.
        if (!loan.trySend()) throw new Error('the ring has no room for a loan');
        return data.stats().loans < loansMax ? undefined : untilLoan();
      },
      listen(handler) {
        data.onBatch(
          (borrows) => {
            for (const borrow of borrows) {
              handler(borrow.bytes);
              borrow.release();
            }
          },
          { borrow: true },
        );
      },
    },
  };
}

function loanOrLimit(data: Channel<Message, Message>, sizeBytes: number): Loan | undefined {
  try {
    return data.loan(sizeBytes);
  } catch (error) {
    if (error instanceof IpcError && error.code === 'ERR_LOAN_LIMIT') return undefined;
    throw error;
  }
}

/** One value, built once, lent anew with each message; its reader borrows it and reads its two ends. */
export function lentEnd(data: Channel<Message, Message>, arena: Arena, { payload }: Job): End {
  const sizeBytes = payload as number;
  const value = arena.construct(rawBytes, { bytes: sizeBytes, write: (memory) => markEnds(memory, 0) });
  return {
    payload: {
      write: () => data.lend(value),
      check(message, n) {
        checkSize(message, sizeBytes, n);
        checkEnds(message, 0);
      },
      end,
      isEnd,
    },
    port: {
      send: (message) => (data.trySend(message) ? undefined : data.send(message)),
      listen(handler) {
        const read = async (handle: Uint8Array) => {
          using borrow = await data.borrow(handle, rawBytes);
          handler(borrow.value);
        };
        data.onBatch((messages) => {
          for (const message of messages)
            if (isEnd(message)) handler(message);
            else void read(message as Uint8Array);
        });
      },
    },
  };
}

function checkSize(message: unknown, sizeBytes: number, n: number): asserts message is Uint8Array {
  if (!(message instanceof Uint8Array) || message.length !== sizeBytes)
    throw new Error(`message ${n} is not of ${sizeBytes} bytes`);
}
