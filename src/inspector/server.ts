// Server: the inspector's page and its WebSocket, for this machine alone. Whoever has the address with its token may look on; nobody
// else, and no other page of the same browser.
import { randomBytes, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage, Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { createAdaptorServer } from '@hono/node-server';
import { Hono } from 'hono';
import { type WebSocket, WebSocketServer } from 'ws';
import { IpcError, messageOf } from '../errors.ts';
import { pageFile } from './page-folder.ts';
import type { Source } from './source.ts';
import { Viewer } from './viewer.ts';

const host = '127.0.0.1';
const viewersMax = 32;
/** What a page sends is small: an event for an actor is the largest. */
const messageBytesMax = 64 * 1024;

export interface InspectorOptions {
  /** 0 (default): any that is free. */
  readonly port?: number;
  /** Whether pages may send events to actors. */
  readonly write?: boolean;
  /** Other WebSockets, by their paths. Of any origin: their tokens must do. */
  readonly doors?: Readonly<Record<string, Door>>;
}

/** A WebSocket of another protocol. */
export interface Door {
  readonly messageBytesMax: number;
  open(socket: WebSocket, request: IncomingMessage): void;
  /** A page at the same path. */
  page?(url: (path: string, scheme: 'http' | 'ws') => string): { html: string; csp: string };
  close(): void;
}

export class InspectorServer {
  readonly #source: Source;
  readonly #options: InspectorOptions;
  readonly #token = randomBytes(24).toString('base64url');
  readonly #server: Server;
  readonly #sockets = new WebSocketServer({
    noServer: true,
    maxPayload: messageBytesMax,
    perMessageDeflate: false,
    clientTracking: false,
  });
  readonly #viewers = new Set<Viewer>();
  #port = 0;

  /** @returns once pages can connect. @throws {IpcError} ERR_INSPECTOR if the port is taken. */
  static async open(source: Source, options: InspectorOptions = {}): Promise<InspectorServer> {
    const server = new InspectorServer(source, options);
    await server.#listen(options.port ?? 0);
    return server;
  }

  private constructor(source: Source, options: InspectorOptions) {
    this.#source = source;
    this.#options = options;
    this.#server = createAdaptorServer({ fetch: this.#app().fetch }) as Server;
    this.#server.on('upgrade', (request, socket, head) => this.#upgrade(request, socket, head));
    // An inspector alone keeps no tree running.
    this.#server.on('connection', (socket) => socket.unref());
  }

  /** The address of the page; with its token, so only for those who may look on. */
  get url(): string {
    return this.urlOf('/', 'http');
  }

  urlOf(path: string, scheme: 'http' | 'ws'): string {
    return `${scheme}://${host}:${this.#port}${path}?token=${this.#token}`;
  }

  get viewers(): number {
    return this.#viewers.size;
  }

  close(): void {
    for (const viewer of this.#viewers) viewer.terminate();
    for (const door of Object.values(this.#options.doors ?? {})) door.close();
    this.#server.close();
    this.#server.closeAllConnections();
  }

  #listen(port: number): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', (error) =>
        reject(IpcError.from(error, 'ERR_INSPECTOR', `${host}:${port}`, messageOf(error))),
      );
      this.#server.listen(port, host, () => {
        this.#port = (this.#server.address() as AddressInfo).port;
        this.#server.unref();
        resolve();
      });
    });
  }

  #app(): Hono {
    const app = new Hono();
    app.use(async (context, next) => {
      // A name that somebody has pointed at this machine would make its page one of ours.
      if (!this.#isOurHost(context.req.header('host'))) return context.text('not this host', 403);
      await next();
      const { headers } = context.res;
      if (!headers.has('content-security-policy')) headers.set('content-security-policy', this.#policy());
      headers.set('x-content-type-options', 'nosniff');
      headers.set('referrer-policy', 'no-referrer');
      headers.set('cache-control', 'no-store');
      headers.set('cross-origin-resource-policy', 'same-origin');
    });
    app.get('/', async (context) => {
      if (!this.#isToken(context.req.query('token')))
        return context.text('open the address as it was printed, with its token', 403);
      const file = await pageFile('/');
      if (!file) return context.text('the page of the inspector is not part of this installation', 503);
      return context.body(new Uint8Array(file.bytes), 200, { 'content-type': file.type });
    });
    for (const [path, door] of Object.entries(this.#options.doors ?? {}))
      app.get(path, (context) => {
        if (!this.#isToken(context.req.query('token')))
          return context.text('open the address as it was printed, with its token', 403);
        if (!door.page) return context.text('a WebSocket is here', 426);
        const { html, csp } = door.page((at, scheme) => this.urlOf(at, scheme));
        return context.html(html, 200, { 'content-security-policy': csp });
      });
    app.get('*', async (context) => {
      const file = await pageFile(context.req.path);
      if (!file) return context.text('there is no such file', 404);
      return context.body(new Uint8Array(file.bytes), 200, { 'content-type': file.type });
    });
    return app;
  }

  #policy(): string {
    const own = `ws://${host}:${this.#port} ws://localhost:${this.#port}`;
    return [
      "default-src 'none'",
      "script-src 'self'",
      "style-src 'self' 'unsafe-inline'",
      "img-src 'self' data:",
      "font-src 'self'",
      "worker-src 'self'",
      `connect-src 'self' ${own}`,
      "base-uri 'none'",
      "form-action 'none'",
      "frame-ancestors 'none'",
    ].join('; ');
  }

  #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    socket.on('error', () => {});
    const refuse = (status: string) => {
      socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
    };
    if (!this.#isOurHost(request.headers.host)) return refuse('403 Forbidden');
    const url = urlIn(request.url);
    const path = url?.pathname ?? '';
    const door = Object.hasOwn(this.#options.doors ?? {}, path) ? this.#options.doors![path] : undefined;
    if (path !== '/feed' && !door) return refuse('404 Not Found');
    if (!door && !this.#isOurOrigin(request.headers.origin)) return refuse('403 Forbidden');
    if (!this.#isToken(url?.searchParams.get('token') ?? undefined)) return refuse('403 Forbidden');
    if (!door && this.#viewers.size >= viewersMax) return refuse('503 Service Unavailable');
    this.#sockets.handleUpgrade(request, socket, head, (webSocket) => {
      if (door) return door.open(webSocket, request);
      const viewer: Viewer = new Viewer(webSocket, {
        source: this.#source,
        write: this.#options.write ?? false,
        onClose: () => this.#viewers.delete(viewer),
      });
      this.#viewers.add(viewer);
    });
  }

  #isOurHost(given: string | undefined): boolean {
    return given === `${host}:${this.#port}` || given === `localhost:${this.#port}`;
  }

  /** Programs send none; a browser always does. */
  #isOurOrigin(given: string | undefined): boolean {
    return (
      given === undefined ||
      given === `http://${host}:${this.#port}` ||
      given === `http://localhost:${this.#port}`
    );
  }

  #isToken(given: string | undefined): boolean {
    const [mine, theirs] = [Buffer.from(this.#token), Buffer.from(given ?? '')];
    return mine.length === theirs.length && timingSafeEqual(mine, theirs);
  }
}

function urlIn(target: string | undefined): URL | undefined {
  try {
    return new URL(target ?? '/', `http://${host}`);
  } catch {
    return undefined;
  }
}
