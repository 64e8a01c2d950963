// Native handles: open files and sockets that travel with a message.
import type { Socket as DatagramSocket } from 'node:dgram';
import type { Server, Socket, SocketConstructorOpts } from 'node:net';

/** What has a descriptor: its number, a `FileHandle` or `Descriptor`, a socket or server of `node:net` or `node:dgram`. */
export type NativeHandle = number | { readonly fd: number } | Socket | Server | DatagramSocket;

/** An open descriptor that came with a message. It is ours: close it, or take it. */
export interface Descriptor extends Disposable {
  /** Its number, for calls that take one. @throws {IpcError} ERR_HANDLE_INVALID once it is closed or taken. */
  readonly fd: number;
  /** Whether it is still ours to use. */
  readonly open: boolean;
  /** Its number, which is the caller's to close from now on. @throws {IpcError} ERR_HANDLE_INVALID. */
  take(): number;
  /** A socket of `node:net` that has taken it. @throws {IpcError} ERR_HANDLE_INVALID. */
  toSocket(options?: Omit<SocketConstructorOpts, 'fd' | 'handle'>): Socket;
  /** Closes it, unless it was taken. Closing twice is fine. */
  close(): void;
}

/** A message with the handle that came with it. */
export interface Received<M> {
  readonly message: M;
  readonly handle: Descriptor | undefined;
}

/** Receives the handles that come with messages. */
export interface HandleOptions {
  /** Answers `{ message, handle }`. Without it, a handle that comes with a message is closed. */
  handles: true;
}

/** What travels with a message. */
export interface SendOptions {
  /** Travels with the message; ours stays open and is ours to close. */
  handle?: NativeHandle;
}
