// Relay line: the numbered messages of one link, to and fro. It outlives the sockets that carry it: what the peer has not
// confirmed is kept and sent again by the next one, so that a cut neither loses nor doubles anything. Bounded everywhere: what
// has no room is refused at once.

/** What the receiver lets its peer have on the way. */
export interface LineWindow {
  readonly messages: number;
  readonly bytes: number;
}

export const lineWindow: LineWindow = { messages: 512, bytes: 4 * 1024 * 1024 };

/** What may wait for a peer that takes nothing, beside what is on its way. */
export interface LineRoom {
  readonly messages: number;
  readonly bytes: number;
}

export const lineRoom: LineRoom = { messages: 8_192, bytes: 32 * 1024 * 1024 };

interface Waiting {
  body: Uint8Array;
}

export interface LineStats {
  /** Messages that wait for room at the peer, or for a link. */
  readonly waiting: number;
  readonly waitingBytes: number;
  readonly sent: number;
  readonly received: number;
  readonly resent: number;
  readonly duplicates: number;
  /** Sent to a peer that has lost its memory before it confirmed them. */
  readonly lost: number;
  /** Refused for want of room. */
  readonly refused: number;
}

export class RelayLine {
  readonly #room: LineRoom;
  /** Unconfirmed ones first, then those that were never sent; the first has the number `#first`. */
  #queue: Waiting[] = [];
  #taken = 0;
  #queuedBytes = 0;
  #first = 1;
  /** The next number to send on the present socket. */
  #next = 1;
  /** The highest number that was ever sent, on any socket. */
  #sentMax = 0;
  #window: LineWindow = { messages: 0, bytes: 0 };
  #unconfirmedBytes = 0;
  #received = 0;
  #confirmed = 0;
  #sent = 0;
  #receivedTotal = 0;
  #resent = 0;
  #duplicates = 0;
  #lost = 0;
  #refused = 0;

  constructor(room: LineRoom = lineRoom) {
    this.#room = room;
  }

  get stats(): LineStats {
    return {
      waiting: this.#length,
      waitingBytes: this.#queuedBytes,
      sent: this.#sent,
      received: this.#receivedTotal,
      resent: this.#resent,
      duplicates: this.#duplicates,
      lost: this.#lost,
      refused: this.#refused,
    };
  }

  /** The number of the last message that has come: what a new socket's hello tells. */
  get received(): number {
    return this.#received;
  }

  get empty(): boolean {
    return this.#length === 0;
  }

  get #length(): number {
    return this.#queue.length - this.#taken;
  }

  /** Keeps a message until the peer has confirmed it. @returns whether there was room. */
  push(body: Uint8Array): boolean {
    const full =
      this.#length >= this.#room.messages ||
      (this.#queuedBytes + body.length > this.#room.bytes && this.#length > 0);
    if (full) {
      this.#refused++;
      return false;
    }
    this.#queue.push({ body });
    this.#queuedBytes += body.length;
    return true;
  }

  /** Sends what the peer's window lets through. */
  pump(write: (number: number, body: Uint8Array) => void): void {
    for (;;) {
      const index = this.#next - this.#first;
      const next = this.#queue[this.#taken + index];
      if (!next) return;
      if (index >= this.#window.messages) return;
      // One message always fits: else one above the window would stand there for ever.
      if (index > 0 && this.#unconfirmedBytes + next.body.length > this.#window.bytes) return;
      this.#unconfirmedBytes += next.body.length;
      if (this.#next <= this.#sentMax) this.#resent++;
      else {
        this.#sentMax = this.#next;
        this.#sent++;
      }
      write(this.#next++, next.body);
    }
  }

  /** The peer has everything up to that number. @throws an Error if that can't be. */
  confirm(number: number): void {
    if (number >= this.#next) throw new Error(`a confirmation of message ${number}, which was not sent`);
    this.#drop(number);
  }

  /** A message has come. @returns whether it is new. @throws an Error for a gap, which the peer must not make. */
  take(number: number): boolean {
    if (number <= this.#received) {
      this.#duplicates++;
      return false;
    }
    if (number !== this.#received + 1)
      throw new Error(`message ${number} came after message ${this.#received}`);
    this.#received = number;
    this.#receivedTotal++;
    return true;
  }

  /** The number to confirm now, or undefined if the peer knows it. */
  confirmation(): number | undefined {
    if (this.#confirmed === this.#received) return undefined;
    this.#confirmed = this.#received;
    return this.#received;
  }

  /** A new socket to the same peer, which has got everything up to `got`. @throws an Error if that can't be. */
  resume(got: number, window: LineWindow): void {
    if (got > this.#sentMax) throw new Error(`it has message ${got}, which was never sent`);
    if (got < this.#first - 1) throw new Error(`it lacks message ${got + 1}, which it had confirmed`);
    this.#drop(got);
    this.#next = this.#first;
    this.#unconfirmedBytes = 0;
    this.#confirmed = this.#received;
    this.#window = window;
  }

  /**
   * A new socket to a peer that knows nothing of us, or a new one. What was sent before and not confirmed may have been taken:
   * it is not sent twice.
   * @returns how many messages are lost with that.
   */
  restart(window: LineWindow): number {
    const lost = Math.max(0, this.#sentMax - this.#first + 1);
    this.#drop(this.#sentMax);
    this.#lost += lost;
    this.#first = 1;
    this.#next = 1;
    this.#sentMax = 0;
    this.#unconfirmedBytes = 0;
    this.#received = 0;
    this.#confirmed = 0;
    this.#window = window;
    return lost;
  }

  /** Forgets everything. */
  clear(): number {
    const waiting = this.#length;
    this.#queue = [];
    this.#taken = 0;
    this.#queuedBytes = 0;
    return waiting;
  }

  #drop(number: number): void {
    for (; this.#first <= number; this.#first++) {
      const { body } = this.#queue[this.#taken]!;
      this.#queuedBytes -= body.length;
      if (this.#first < this.#next) this.#unconfirmedBytes -= body.length;
      this.#queue[this.#taken++] = undefined as never;
    }
    if (this.#next < this.#first) this.#next = this.#first;
    // Moving up all that wait behind each one would cost the square of their number.
    if (this.#taken > 1024 && this.#taken * 2 > this.#queue.length) {
      this.#queue = this.#queue.slice(this.#taken);
      this.#taken = 0;
    }
  }
}
