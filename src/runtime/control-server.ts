// Control server: the root's end of the socket on which the command line asks about a running tree. Only the same user gets
// an answer.
import { IpcError, messageOf } from '../errors.ts';
import { type Frame, textOf } from '../transport/frame.ts';
import { type NativeListener, native } from '../transport/native.ts';
import { closeAll, PacketSocket } from '../transport/packet-socket.ts';

/** One question, and the way to its asker. */
export interface Asker {
  /** Aborted when the asker goes away. */
  readonly gone: AbortSignal;
  /** Tells something before the answer. @returns whether the asker reads fast enough to be told. */
  tell(item: unknown): boolean;
}

/** What can be asked, by the name of the question. A promise is waited for; what a handler throws is told to the asker. */
export type ControlHandlers = Readonly<Record<string, (frame: Frame, asker: Asker) => unknown>>;

/** An answer travels as JSON in parts, since one of a large tree is larger than a packet. */
export const answerPartLength = 64 * 1024;

const backlog = 16;
/** Askers at once; a further one waits in the socket's queue. */
const askersMax = 64;

export class ControlServer {
  readonly #listener: NativeListener;
  readonly #handlers: ControlHandlers;
  readonly #sockets = new Set<PacketSocket>();

  /** @throws the addon's error if the socket can't be made. */
  constructor(path: string, handlers: ControlHandlers) {
    this.#handlers = handlers;
    this.#listener = new (native().Listener)(path, 0o600, backlog);
    // Keeps this process running: a tree of which everything was stopped waits to be told what to start.
    this.#listener.listen((connection) => this.#onConnection(connection));
  }

  /** Nobody new is heard. Whoever has asked for the end gets the answer that is on its way. */
  close(): void {
    this.#listener.close();
    setImmediate(() => {
      for (const socket of this.#sockets) socket.close();
      this.#sockets.clear();
    });
  }

  #onConnection(connection: number): void {
    if (connection < 0) return;
    const socket = PacketSocket.adopt(connection);
    const { uid } = socket.peer;
    if (uid !== process.getuid!()) {
      const error = IpcError.of('ERR_REFUSED', 'control', `this tree is not the one of user ${uid}`);
      answer(socket, { error: error.toJSON() });
      return socket.close();
    }
    if (this.#sockets.size >= askersMax) {
      const error = IpcError.of('ERR_REFUSED', 'control', `${askersMax} others ask already`);
      answer(socket, { error: error.toJSON() });
      return socket.close();
    }
    this.#sockets.add(socket);
    const gone = new AbortController();
    socket.listen({
      frame: (frame, fds) => {
        closeAll(fds);
        void this.#answer(socket, frame, gone.signal);
      },
      ended: () => {
        this.#sockets.delete(socket);
        socket.destroy();
        gone.abort(new Error('the asker is gone'));
      },
    });
    socket.hold(false);
  }

  async #answer(socket: PacketSocket, frame: Frame, gone: AbortSignal): Promise<void> {
    const asker = { gone, tell: (item: unknown) => answer(socket, { item }) };
    try {
      const question = textOf(frame, 't', 64);
      // First a sign that somebody is there at all; the answer may take its time.
      answer(socket, { heard: true });
      if (question === 'alive') return;
      const handler = Object.hasOwn(this.#handlers, question) ? this.#handlers[question] : undefined;
      if (!handler) throw IpcError.of('ERR_REFUSED', question, 'this supervisor does not know the question');
      answer(socket, { value: (await handler(frame, asker)) ?? null });
    } catch (error) {
      const { code, message } =
        error instanceof IpcError ? error : { code: 'ERR_SYSTEM', message: messageOf(error) };
      answer(socket, { error: { code, message } });
    }
  }
}

/** What is told: that the question was heard, any number of items, then a value or an error. */
export type ControlAnswer =
  | { readonly heard: true }
  | { readonly item: unknown }
  | { readonly value: unknown }
  | { readonly error: { readonly code: string; readonly message: string } };

/** Whether all of it was taken. One who reads too slowly misses items; whether the answer comes is its own matter. */
function answer(socket: PacketSocket, content: ControlAnswer): boolean {
  const text = JSON.stringify(content);
  try {
    for (let at = 0; at < text.length; at += answerPartLength) {
      const more = at + answerPartLength < text.length;
      socket.send({ t: 'part', text: text.slice(at, at + answerPartLength), more });
    }
    return true;
  } catch {
    return false;
  }
}
