// Sending line: those who wait for room in a lane, in order, and those who wait until its reader has taken everything.
import { IpcError } from '../errors.ts';
import type { WaitOptions } from '../spec/waiting.ts';
import type { LaneWriter } from './lane.ts';
import type { Link } from './link.ts';
import { type Call, WaitingLine, waiting } from './waiting.ts';

export interface WaitingSend extends Call<void> {
  /** Sends it now if there is room. @throws what makes it impossible for good. */
  readonly put: () => boolean;
}

interface WaitingFlush extends Call<void> {
  /** Everything before this place of the lane must have been read. */
  position: number;
}

/** What a call answers whose record was there at once. */
export const done = Promise.resolve();

export class SendingLine {
  /** Whoever finds somebody here goes behind. */
  readonly sending = new WaitingLine<WaitingSend>();
  readonly #flushing = new WaitingLine<WaitingFlush>();
  readonly #name: string;
  readonly #link: Link;
  readonly #writer: LaneWriter;
  #unwatchHead: (() => void) | undefined;

  constructor(name: string, link: Link, writer: LaneWriter) {
    this.#name = name;
    this.#link = link;
    this.#writer = writer;
  }

  /** @param always for records of which there are few: they wait behind any number of calls. */
  later(put: () => boolean, options?: WaitOptions, always = false): Promise<void> {
    if (this.sending.full && !always)
      return Promise.reject(IpcError.of('ERR_CHANNEL_BUSY', this.#name, this.sending.length));
    return waiting<void>(`send on channel ${this.#name}`, options, (call) => {
      const leave = this.sending.join({ ...call, put });
      this.#awaitReader();
      return () => {
        leave();
        this.#awaitReader();
      };
    });
  }

  flush(options?: WaitOptions): Promise<void> {
    const position = this.#writer.position;
    if (this.sending.length === 0 && this.#isRead(position)) return done;
    return waiting<void>(`flush of channel ${this.#name}`, options, (call) => {
      const leave = this.#flushing.join({ ...call, position });
      this.#awaitReader();
      return () => {
        leave();
        this.#awaitReader();
      };
    });
  }

  /** Lets through whoever can go on, now that the reader may have moved. */
  poll(): void {
    if (this.#unwatchHead === undefined) return;
    for (let next = this.sending.first; next; next = this.sending.first) {
      try {
        if (!next.put()) break;
        this.sending.shift();
        next.resolve();
      } catch (error) {
        this.sending.shift();
        next.reject(error);
        continue;
      }
      // Whoever waits for a flush since before this send waits for it too: it had been asked for earlier.
      this.#flushing.take((flush) => {
        flush.position = this.#writer.position;
        return false;
      });
    }
    if (this.sending.length === 0)
      for (const flush of this.#flushing.take(({ position }) => this.#isRead(position))) flush.resolve();
    this.#awaitReader();
  }

  finish(cause: IpcError): void {
    this.#unwatchHead?.();
    this.#unwatchHead = undefined;
    this.sending.rejectAll(cause);
    this.#flushing.rejectAll(cause);
  }

  #isRead(position: number): boolean {
    return ((this.#writer.readerHead() - position) | 0) >= 0;
  }

  /** Has the reader ring when it moves on, for as long as anybody here waits for that. */
  #awaitReader(): void {
    const wanted = this.sending.length + this.#flushing.length > 0;
    if (wanted === (this.#unwatchHead !== undefined)) return;
    this.#writer.wantRoom(wanted);
    if (!wanted) {
      this.#unwatchHead?.();
      this.#unwatchHead = undefined;
      return;
    }
    this.#unwatchHead = this.#link.watchHead(this.#writer.headBytes, this.#writer.readerHead());
    // Once more, now that WANT is set: the reader may have moved before it could see it.
    this.poll();
  }
}
