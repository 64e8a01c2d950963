// Control server: the root's end of the socket on which the command line asks about a running tree. Only the same user gets
// an answer.
import { messageOf } from '../errors.ts';
import { type Frame, textOf } from '../transport/frame.ts';
import { type NativeListener, native } from '../transport/native.ts';
import { closeAll, PacketSocket } from '../transport/packet-socket.ts';

/** What can be asked, by the name of the question. What a handler throws is told to the asker. */
export type ControlHandlers = Readonly<Record<string, (frame: Frame) => unknown>>;

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
    this.#listener.listen((connection) => this.#onConnection(connection));
    this.#listener.hold(false);
  }

  close(): void {
    this.#listener.close();
    for (const socket of this.#sockets) socket.close();
    this.#sockets.clear();
  }

  #onConnection(connection: number): void {
    if (connection < 0) return;
    const socket = PacketSocket.adopt(connection);
    if (socket.peer.uid !== process.getuid!() || this.#sockets.size >= askersMax) return socket.destroy();
    this.#sockets.add(socket);
    socket.listen({
      frame: (frame, fds) => {
        closeAll(fds);
        this.#answer(socket, frame);
      },
      ended: () => {
        this.#sockets.delete(socket);
        socket.destroy();
      },
    });
    socket.hold(false);
  }

  #answer(socket: PacketSocket, frame: Frame): void {
    const question = textOf(frame, 't', 64);
    let answer: { value?: unknown; error?: string };
    try {
      const handler = Object.hasOwn(this.#handlers, question) ? this.#handlers[question] : undefined;
      if (!handler) throw new Error(`this supervisor does not know the question ${question}`);
      answer = { value: handler(frame) };
    } catch (error) {
      answer = { error: messageOf(error) };
    }
    const text = JSON.stringify(answer);
    for (let at = 0; at < text.length; at += answerPartLength) {
      const more = at + answerPartLength < text.length;
      socket.send({ t: 'part', text: text.slice(at, at + answerPartLength), more });
    }
  }
}
