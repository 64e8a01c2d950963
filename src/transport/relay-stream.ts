// Relay stream: frames in a byte stream between two machines. Each has four bytes of length and one that says what it is:
// a control frame of the link, or a numbered message. What arrives is input: the length is looked at before anything is kept.

/** What stands before the body: length of what follows it, kind. */
const headBytes = 5;
/** The number of a message: 48 bits are enough for a million a second in nine years. */
const numberBytes = 6;

/** A message with its head, at most. Larger things go in pieces. */
export const relayFrameBytesMax = 1024 * 1024;
/** Before its hello, a peer may say no more than this. */
export const helloBytesMax = 4 * 1024;

export const frameKind = { control: 0, message: 1 } as const;

/** A control frame. */
export function controlBytes(body: Uint8Array): Buffer {
  const frame = Buffer.allocUnsafe(headBytes + body.length);
  frame.writeUInt32BE(body.length + 1);
  frame[4] = frameKind.control;
  frame.set(body, headBytes);
  return frame;
}

/** What stands before the body of a message. */
export function messageHead(number: number, bodyBytes: number): Buffer {
  const head = Buffer.allocUnsafe(headBytes + numberBytes);
  head.writeUInt32BE(1 + numberBytes + bodyBytes);
  head[4] = frameKind.message;
  head.writeUIntBE(number, headBytes, numberBytes);
  return head;
}

export interface RelayFrames {
  control(body: Buffer): void;
  message(number: number, body: Buffer): void;
}

/** Cuts a stream into frames, wherever the network has cut it. A body is a view that is valid only during the call. */
export class RelayStream {
  /** The most that a frame may take from now on. */
  bytesMax = helloBytesMax;
  readonly #to: RelayFrames;
  #parts: Buffer[] = [];
  #waiting = 0;
  /** Bytes that are needed before there is anything to look at. */
  #needed = headBytes;
  #stopped = false;

  constructor(to: RelayFrames) {
    this.#to = to;
  }

  /** Bytes that are kept until the rest of their frame comes. */
  get waiting(): number {
    return this.#waiting;
  }

  /** Nothing is handed over any more, even of what has come. */
  stop(): void {
    this.#stopped = true;
    this.#parts = [];
    this.#waiting = 0;
  }

  /** @throws an Error that says what is wrong; the stream is of no use then. */
  push(chunk: Buffer): void {
    if (this.#stopped || chunk.length === 0) return;
    this.#parts.push(chunk);
    this.#waiting += chunk.length;
    // A frame that comes in a thousand pieces is put together once.
    if (this.#waiting < this.#needed) return;
    const bytes = this.#parts.length === 1 ? chunk : Buffer.concat(this.#parts);
    const taken = this.#take(bytes);
    if (this.#stopped) return;
    this.#parts = taken < bytes.length ? [bytes.subarray(taken)] : [];
    this.#waiting = bytes.length - taken;
  }

  #take(bytes: Buffer): number {
    let at = 0;
    while (!this.#stopped) {
      this.#needed = headBytes;
      if (bytes.length - at < headBytes) break;
      const length = bytes.readUInt32BE(at);
      if (length < 1 || length > this.bytesMax)
        throw new Error(`a frame of ${length} bytes, where 1 to ${this.bytesMax} are allowed`);
      this.#needed = 4 + length;
      if (bytes.length - at < this.#needed) break;
      this.#hand(bytes.subarray(at + 4, at + 4 + length));
      at += 4 + length;
    }
    return at;
  }

  #hand(frame: Buffer): void {
    const kind = frame[0];
    if (kind === frameKind.control) return this.#to.control(frame.subarray(1));
    if (kind !== frameKind.message) throw new Error(`a frame of unknown kind ${kind}`);
    if (frame.length < 1 + numberBytes) throw new Error('a message without its number');
    this.#to.message(frame.readUIntBE(1, numberBytes), frame.subarray(1 + numberBytes));
  }
}
