// Flow: the clock of a one-way measure. Messages go until the time is over, then the reader's answer stops the clock.
import type { Figures } from './job.ts';

/** A look at the clock costs some 50 ns: one per so many bytes, and at the latest after so many messages. */
const bytesPerLook = 64 * 1024;
const messagesPerLookMax = 64;

export class Flow {
  readonly #beganMs = performance.now();
  readonly #untilMs: number;
  readonly #sizeBytes: number | undefined;
  readonly #messagesPerLook: number;
  #sent = 0;
  #left: number;

  /** The clock begins now. `sizeBytes` undefined: a message has no size that all transports agree on. */
  constructor(durationMs: number, sizeBytes: number | undefined) {
    this.#sizeBytes = sizeBytes;
    this.#untilMs = this.#beganMs + durationMs;
    this.#messagesPerLook = Math.min(messagesPerLookMax, Math.ceil(bytesPerLook / (sizeBytes ?? 1)));
    this.#left = this.#messagesPerLook;
  }

  /** Counts one message. @returns whether there shall be another. */
  count(): boolean {
    this.#sent++;
    if (--this.#left > 0) return true;
    this.#left = this.#messagesPerLook;
    return performance.now() < this.#untilMs;
  }

  /** The clock ends now. */
  figures(): Figures {
    const messages = (this.#sent / (performance.now() - this.#beganMs)) * 1e3;
    if (this.#sizeBytes === undefined) return { messages };
    return { messages, megabytes: (messages * this.#sizeBytes) / 1e6 };
  }
}
