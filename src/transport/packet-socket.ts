// PacketSocket: frames and descriptors between two processes, in order, each whole or not at all. The control plane of
// sessions, of supervised processes and of the command line.
import { IpcError, messageOf } from '../errors.ts';
import { decodeFrame, encodeFrame, type Frame } from './frame.ts';
import { type Credentials, type NativeSocket, native, nativeCode, type SocketEnd } from './native.ts';

/** Frames that may wait for room in the kernel's queue; a peer that reads nothing can't make us hold more. */
const outboxMax = 256;
/** No frame is a lone zero. */
const bell = new Uint8Array(1);

export interface PacketObserver {
  /** The descriptors are the receiver's to close. Throws if the frame makes no sense; the socket then ends. */
  frame(frame: Frame, fds: number[], sender: Credentials): void;
  /** The peer has rung. Without this function, a ring makes no sense. */
  rung?(): void;
  /** Called once, at the end of the stream or at the first frame that makes no sense. */
  ended(end: SocketEnd, why: string): void;
}

export class PacketSocket {
  readonly #socket: NativeSocket;
  /** Descriptors in it are our own copies. */
  #outbox: { bytes: Uint8Array; fds: number[] }[] = [];
  #observer: PacketObserver | undefined;
  #closed = false;
  #lingering = false;
  /** A ring waits for room; one is as good as many. */
  #ringDue = false;

  private constructor(socket: NativeSocket) {
    this.#socket = socket;
  }

  /** @throws the addon's error: code SYSTEM with errno (ENOENT, ECONNREFUSED, EACCES), or AGAIN for a full backlog. */
  static connect(path: string): PacketSocket {
    return new PacketSocket(new (native().Socket)(path));
  }

  /** Takes over a connected descriptor. */
  static adopt(fd: number): PacketSocket {
    return new PacketSocket(new (native().Socket)(fd));
  }

  /** The process at the other end when the connection was made. */
  get peer(): Credentials {
    return this.#socket.peer();
  }

  /** Begins to receive, or goes on with another observer. */
  listen(observer: PacketObserver): void {
    const first = this.#observer === undefined;
    this.#observer = observer;
    if (!first) return;
    this.#socket.listen(
      (bytes, fds, sender) => this.#onPacket(bytes, fds, sender),
      (end) => this.#end(end, endings[end]),
      () => this.#onRoom(),
    );
  }

  /** Whether this socket alone keeps the process running; it does by default. */
  hold(on: boolean): void {
    this.#socket.hold(on);
  }

  /** Hands over what has come, without waiting for the event loop's next turn. */
  readNow(): void {
    if (!this.#closed && this.#observer) this.#socket.read();
  }

  /**
   * Sends a frame, or queues it while the peer reads slowly. Descriptors stay the caller's.
   * A peer that is gone is told by `ended`, not here.
   * @throws {IpcError} ERR_PROTOCOL if the peer has let too many frames pile up; ERR_SYSTEM for a frame that is too large.
   */
  send(frame: Frame, fds: number[] = []): void {
    if (this.#closed || this.#lingering) return;
    const bytes = encodeFrame(frame);
    if (bytes.length > native().layout.packetBytesMax)
      throw IpcError.of('ERR_SYSTEM', 'sending a frame', `${bytes.length} bytes are too many for a packet`);
    if (this.#outbox.length >= outboxMax)
      throw IpcError.of('ERR_PROTOCOL', 'the peer', `it left ${outboxMax} frames unread`);
    if (this.#outbox.length === 0 && this.#trySend(bytes, fds)) return;
    this.#outbox.push({ bytes, fds: fds.map((fd) => native().dupFd(fd)) });
  }

  /** Wakes the peer. While the kernel's queue is full, all rings together wait as one. */
  ring(): void {
    if (this.#closed || this.#lingering || this.#ringDue) return;
    this.#ringDue = this.#outbox.length > 0 || !this.#trySend(bell, []);
  }

  /** Closes once the kernel has taken what was sent. Nothing is received any more. */
  close(): void {
    if (this.#closed || this.#lingering) return;
    this.#observer = undefined;
    if (this.#outbox.length > 0) this.#lingering = true;
    else this.destroy();
  }

  /** Closes now, whatever waits. */
  destroy(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#observer = undefined;
    for (const { fds } of this.#outbox.splice(0)) closeAll(fds);
    this.#socket.close();
  }

  #trySend(bytes: Uint8Array, fds: number[]): boolean {
    try {
      if (this.#socket.send(bytes, fds)) return true;
      this.#socket.wantRoom();
      return false;
    } catch (error) {
      const code = nativeCode(error);
      // The end of the stream tells it, after what the peer had still sent.
      if (code === 'CLOSED' || code === 'RESET') return true;
      throw IpcError.from(error, 'ERR_SYSTEM', 'sending a frame', messageOf(error));
    }
  }

  #onRoom(): void {
    for (let next = this.#outbox[0]; next && this.#trySend(next.bytes, next.fds); next = this.#outbox[0])
      closeAll(this.#outbox.shift()!.fds);
    if (this.#ringDue && this.#outbox.length === 0) {
      this.#ringDue = false;
      this.ring();
    }
    if (this.#lingering && this.#outbox.length === 0) this.destroy();
  }

  #onPacket(bytes: Buffer, fds: number[], sender: Credentials): void {
    if (!this.#observer) {
      closeAll(fds);
      return;
    }
    if (bytes.length === 1 && bytes[0] === 0 && fds.length === 0 && this.#observer.rung)
      return this.#observer.rung();
    let frame: Frame;
    try {
      frame = decodeFrame(bytes);
    } catch (error) {
      closeAll(fds);
      this.#end('BAD_PACKET', messageOf(error));
      return;
    }
    try {
      this.#observer.frame(frame, fds, sender);
    } catch (error) {
      // What it has not taken out of the list.
      closeAll(fds);
      this.#end('BAD_PACKET', messageOf(error));
    }
  }

  #end(end: SocketEnd, why: string): void {
    const observer = this.#observer;
    this.#observer = undefined;
    if (this.#lingering) this.destroy();
    observer?.ended(end, why);
  }
}

const endings: Record<SocketEnd, string> = {
  CLOSED: 'it closed the connection',
  RESET: 'it closed the connection without reading what was sent',
  BAD_PACKET: 'it sent a packet that was empty or cut off',
  SYSTEM: 'the connection failed',
};

/** Closes descriptors that arrived where none, or fewer, belong. */
export function closeAll(fds: number[]): void {
  for (const fd of fds.splice(0)) native().closeFd(fd);
}

/** Takes exactly `count` descriptors out of the list. @throws if there are more or fewer; all are closed then. */
export function takeFds(fds: number[], count: number, what: string): number[] {
  if (fds.length === count) return fds.splice(0);
  const found = fds.length;
  closeAll(fds);
  throw new Error(`${what} came with ${found} descriptors instead of ${count}`);
}
