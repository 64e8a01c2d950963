// Numbered sender: records that a number belongs to. Requests and what follows them, and messages with a descriptor.
import { IpcError, messageOf } from '../errors.ts';
import type { ChannelOptions } from '../spec/channel-spec.ts';
import type { NativeHandle, SendOptions } from '../spec/native-handle.ts';
import type { WaitOptions } from '../spec/waiting.ts';
import { packPlain } from './codec.ts';
import { copyOfHandle } from './descriptor.ts';
import { OutgoingHandles } from './handles.ts';
import type { LaneWriter } from './lane.ts';
import { native } from './native.ts';
import { recordFlag, recordKind } from './record.ts';
import { numbersBytes, type Sender } from './sender.ts';
import { done, type SendingLine } from './sending-line.ts';

const nothing = new Uint8Array(0);

export class NumberedSender {
  readonly #name: string;
  readonly #options: ChannelOptions;
  readonly #sender: Sender;
  readonly #line: SendingLine;
  readonly #handles: OutgoingHandles;

  constructor(
    name: string,
    options: ChannelOptions,
    sender: Sender,
    writer: LaneWriter,
    sendHandle: (number: number, fd: number) => void,
  ) {
    this.#name = name;
    this.#options = options;
    this.#sender = sender;
    this.#line = sender.line;
    this.#handles = new OutgoingHandles(writer, sendHandle);
  }

  /** As trySend, with a descriptor that travels with it. */
  trySendHandle(message: unknown, handle: NativeHandle): boolean {
    const payload = this.#sender.ringPayload(message);
    const fd = copyOfHandle(handle);
    try {
      if (this.#line.sending.length === 0 && this.#putHandle(recordKind.message, 0, 0, payload, fd))
        return true;
    } finally {
      native().closeFd(fd);
    }
    this.#sender.full++;
    if (this.#options.overflow === 'drop-newest') this.#sender.dropped++;
    return false;
  }

  async sendHandle(message: unknown, handle: NativeHandle, options: WaitOptions): Promise<void> {
    if (this.trySendHandle(message, handle) || this.#options.overflow === 'drop-newest') return;
    const bytes = new Uint8Array(this.#sender.ringPayload(message));
    return this.#sendHandleLater(recordKind.message, 0, 0, bytes, copyOfHandle(handle), options);
  }

  /** Requests and what belongs to them: a number and a self-contained value. */
  sendNumbered(
    kind: number,
    number: number,
    value: unknown,
    options?: WaitOptions & SendOptions,
    flags = 0,
  ): Promise<void> {
    if (options?.handle !== undefined)
      return this.#sendNumberedHandle(kind, number, value, options.handle, options, flags);
    return this.#sendNumbered(kind, number, value, options, flags, false);
  }

  /** The same for a record of which there are few: it may wait for room behind any number of calls. */
  postNumbered(kind: number, number: number, value: unknown, flags = 0): Promise<void> {
    return this.#sendNumbered(kind, number, value, undefined, flags, true);
  }

  /** Whether what a call has answered means that the record was there at once. */
  isSent(sending: Promise<void>): boolean {
    return sending === done;
  }

  #sendNumbered(
    kind: number,
    number: number,
    value: unknown,
    options: WaitOptions | undefined,
    flags: number,
    always: boolean,
  ): Promise<void> {
    let bytes: Uint8Array;
    try {
      this.#sender.needOpen();
      bytes = this.#plainPayload(value);
    } catch (error) {
      return Promise.reject(error);
    }
    if (this.#line.sending.length === 0 && this.#sender.put(kind, number, bytes, flags)) return done;
    return this.#line.later(() => this.#sender.put(kind, number, bytes, flags), options, always);
  }

  async #sendNumberedHandle(
    kind: number,
    number: number,
    value: unknown,
    handle: NativeHandle,
    options: WaitOptions,
    flags: number,
  ): Promise<void> {
    const bytes = this.#plainPayload(value);
    return this.#sendHandleLater(kind, number, flags, bytes, copyOfHandle(handle), options);
  }

  /** @throws {IpcError} ERR_MESSAGE_INVALID, ERR_MESSAGE_TOO_LARGE. */
  #plainPayload(value: unknown): Uint8Array {
    let bytes: Uint8Array;
    try {
      bytes = value === undefined ? nothing : packPlain(value);
    } catch (error) {
      throw IpcError.from(error, 'ERR_MESSAGE_INVALID', this.#name, messageOf(error));
    }
    const max = Math.min(this.#options.maxMessageBytes, this.#sender.numberedMax);
    if (bytes.length > max) throw IpcError.of('ERR_MESSAGE_TOO_LARGE', this.#name, bytes.length, max);
    return bytes;
  }

  /** Sends as soon as there is room for message and descriptor, which is closed then. */
  #sendHandleLater(
    kind: number,
    number: number,
    flags: number,
    bytes: Uint8Array,
    fd: number,
    options: WaitOptions,
  ): Promise<void> {
    const close = () => native().closeFd(fd);
    const put = () => this.#putHandle(kind, number, flags, bytes, fd);
    let sending: Promise<void>;
    try {
      this.#sender.needOpen();
      sending = this.#line.sending.length === 0 && put() ? done : this.#line.later(put, options);
    } catch (error) {
      sending = Promise.reject(error);
    }
    sending.then(close, close);
    return sending;
  }

  /** A record with its descriptor. The descriptor goes first: what follows it can't fail. */
  #putHandle(kind: number, number: number, flags: number, payload: Uint8Array, fd: number): boolean {
    if (this.#handles.full) return false;
    if (!this.#sender.hasRoom(payload.length + numbersBytes)) return false;
    // A copy: sending a frame writes over the encoder's bytes.
    const body = new Uint8Array(number === 0 ? payload.length : payload.length + 4);
    body.set(payload, body.length - payload.length);
    const handle = this.#handles.send(fd);
    if (number !== 0) new DataView(body.buffer).setUint32(0, handle, true);
    this.#sender.put(kind, number === 0 ? handle : number, body, flags | recordFlag.handle);
    this.#handles.written();
    return true;
  }
}
