// Connection: the WebSocket to the server, opened again whenever it is lost. The server tells everything anew each time.
import type { PageMessage, ServerMessage } from '../../../src/inspector/protocol.ts';
import type { Model } from './model.ts';

const protocol = 1;
/** The server may be gone for good, or be back in a moment. */
const retryMinMs = 250;
const retryMaxMs = 5_000;

export class Connection {
  readonly #model: Model;
  readonly #url: string;
  #socket: WebSocket | null = null;
  #retryMs = retryMinMs;
  /** What a new server has to be told again. */
  #watch: PageMessage | null = null;

  constructor(model: Model, url: string) {
    this.#model = model;
    this.#url = url;
  }

  open(): void {
    const socket = new WebSocket(this.#url);
    this.#socket = socket;
    let greeted = false;
    socket.onmessage = ({ data }) => {
      const message = parse(data);
      if (!message) return;
      if (message.type === 'hello') {
        if (message.protocol !== protocol) {
          const why = `the server speaks version ${String(message.protocol)} of the protocol, this page version ${protocol}: reload the page`;
          this.#model.setConnection('refused', why);
          socket.onclose = null;
          socket.close();
          return;
        }
        greeted = true;
        this.#retryMs = retryMinMs;
        this.#model.take(message);
        this.#model.setConnection('open');
        if (this.#watch) this.send(this.#watch);
        return;
      }
      this.#model.take(message);
    };
    socket.onclose = ({ reason }) => {
      if (this.#socket !== socket) return;
      this.#socket = null;
      const never = !greeted && this.#model.hello === null;
      this.#model.setConnection(never ? 'connecting' : 'lost', reason);
      setTimeout(() => this.open(), this.#retryMs);
      this.#retryMs = Math.min(retryMaxMs, this.#retryMs * 2);
    };
  }

  /** Without a connection nothing is sent, except that the watched actor is told to the next server. */
  send(message: PageMessage): boolean {
    if (message.type === 'watch') this.#watch = message;
    if (this.#socket?.readyState !== WebSocket.OPEN) return false;
    this.#socket.send(JSON.stringify(message));
    return true;
  }
}

function parse(data: unknown): ServerMessage | null {
  if (typeof data !== 'string') return null;
  try {
    const message: unknown = JSON.parse(data);
    const known = typeof message === 'object' && message !== null && 'type' in message;
    return known ? (message as ServerMessage) : null;
  } catch {
    return null;
  }
}
