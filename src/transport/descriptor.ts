// Descriptor: an open file or socket that came with a message and is ours now.
import { Server, Socket, type SocketConstructorOpts } from 'node:net';
import { IpcError, messageOf } from '../errors.ts';
import type { Descriptor, NativeHandle } from '../spec/native-handle.ts';
import { native } from './native.ts';

/** Closes what its owner has lost without closing it. Not to be relied on: nobody knows when. */
const lost = new FinalizationRegistry<number>((fd) => native().closeFd(fd));

export class OwnedDescriptor implements Descriptor {
  #fd: number;

  constructor(fd: number) {
    this.#fd = fd;
    lost.register(this, fd, this);
  }

  get open(): boolean {
    return this.#fd >= 0;
  }

  get fd(): number {
    if (this.#fd < 0) throw IpcError.of('ERR_HANDLE_INVALID', 'the descriptor was closed or taken already');
    return this.#fd;
  }

  take(): number {
    const { fd } = this;
    this.#fd = -1;
    lost.unregister(this);
    return fd;
  }

  toSocket(options: Omit<SocketConstructorOpts, 'fd' | 'handle'> = {}): Socket {
    const { fd } = this;
    let socket: Socket;
    try {
      socket = new Socket({ readable: true, writable: true, ...options, fd });
    } catch (error) {
      throw IpcError.from(error, 'ERR_HANDLE_INVALID', messageOf(error));
    }
    this.take();
    return socket;
  }

  close(): void {
    if (this.open) native().closeFd(this.take());
  }

  [Symbol.dispose](): void {
    this.close();
  }

  toJSON(): { fd: number | null } {
    return { fd: this.open ? this.#fd : null };
  }
}

/**
 * A copy of the descriptor of anything that has one; the caller's to close.
 * @throws {IpcError} ERR_HANDLE_INVALID.
 */
export function copyOfHandle(handle: NativeHandle): number {
  const fd = numberOf(handle);
  if (fd === undefined || !Number.isInteger(fd) || fd < 0 || fd > 0x7fffffff)
    throw IpcError.of('ERR_HANDLE_INVALID', 'it has no open descriptor');
  try {
    return native().dupFd(fd);
  } catch (error) {
    throw IpcError.from(error, 'ERR_HANDLE_INVALID', `${fd} is no open descriptor`);
  }
}

function numberOf(handle: NativeHandle): number | undefined {
  if (typeof handle === 'number') return handle;
  if (typeof handle !== 'object' || handle === null) return undefined;
  if ('fd' in handle) return handle.fd;
  // What Node itself passes to child processes by.
  if (handle instanceof Socket || handle instanceof Server)
    return (handle as unknown as { _handle: { fd?: number } | null })._handle?.fd;
  // A datagram socket keeps its handle under a symbol; its `_handle` warns.
  const state = Object.getOwnPropertySymbols(handle).find(
    ({ description }) => description === 'state symbol',
  );
  return (
    state && (handle as unknown as Record<symbol, { handle?: { fd?: number } | null }>)[state]?.handle?.fd
  );
}
