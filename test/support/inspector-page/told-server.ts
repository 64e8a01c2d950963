// Told server: the built inspector page, and a feed that says what a test tells it. For trees that no test could run: five
// thousand actors, hostile names, charts of every kind. The page can't tell it from the real one.
import { readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type WebSocket, WebSocketServer } from 'ws';
import type { PageMessage, ServerMessage } from '../../../src/inspector/protocol.ts';

const pageFolder = fileURLToPath(new URL('../../../dist/inspector-page/', import.meta.url));
const types: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
};
/** The strictest there is: whatever the real server allows beyond it, the page does not need. */
const policy = "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

export class ToldServer implements AsyncDisposable {
  /** What pages have sent. */
  readonly heard: PageMessage[] = [];
  readonly #server: Server;
  readonly #sockets: WebSocketServer;
  readonly #viewers = new Set<WebSocket>();
  /** What a page that comes is told first. */
  #greeting: readonly ServerMessage[] = [];

  static async start(greeting: readonly ServerMessage[], port = 0): Promise<ToldServer> {
    const server = new ToldServer(greeting);
    await new Promise<void>((resolve) => server.#server.listen(port, '127.0.0.1', resolve));
    return server;
  }

  private constructor(greeting: readonly ServerMessage[]) {
    this.#greeting = greeting;
    this.#server = createServer(({ url = '/' }, response) => {
      const { pathname } = new URL(url, 'http://page');
      const name = pathname === '/' ? 'index.html' : pathname.slice(1);
      try {
        const content = readFileSync(join(pageFolder, name));
        const type = types[extname(name)] ?? 'application/octet-stream';
        response.writeHead(200, { 'content-type': type, 'content-security-policy': policy }).end(content);
      } catch {
        response.writeHead(404).end();
      }
    });
    this.#sockets = new WebSocketServer({ server: this.#server, path: '/feed' });
    this.#sockets.on('connection', (socket) => {
      this.#viewers.add(socket);
      socket.on('close', () => this.#viewers.delete(socket));
      socket.on('message', (data) => this.heard.push(JSON.parse(String(data)) as PageMessage));
      for (const message of this.#greeting) socket.send(JSON.stringify(message));
    });
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}/?token=test`;
  }

  greet(greeting: readonly ServerMessage[]): void {
    this.#greeting = greeting;
  }

  tell(...messages: readonly ServerMessage[]): void {
    for (const message of messages) {
      const text = JSON.stringify(message);
      for (const viewer of this.#viewers) viewer.send(text);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const viewer of this.#viewers) viewer.terminate();
    this.#sockets.close();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
