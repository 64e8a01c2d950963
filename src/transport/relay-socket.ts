// Relay socket: one stream to another node, plain or with TLS, over TCP or a Unix socket. Knows frames, and nothing of who
// may say what.
import { rmSync } from 'node:fs';
import { connect, createServer, type Socket as NetSocket, type Server } from 'node:net';
import {
  createSecureContext,
  createServer as createTlsServer,
  type PeerCertificate,
  type SecureContextOptions,
  type TLSSocket,
  connect as tlsConnect,
} from 'node:tls';
import { messageOf } from '../errors.ts';
import type { RelayEndpoint } from '../spec/relay-link.ts';
import { decodeFrame, encodeFrame, type Frame } from './frame.ts';
import { controlBytes, messageHead, RelayStream, relayFrameBytesMax } from './relay-stream.ts';

/** Certificates and key as they stand in their files; both sides show one. */
export interface LinkKeys {
  readonly ca: readonly Buffer[];
  readonly cert: Buffer;
  readonly key: Buffer;
  /** What the server's certificate must be made out to, where that is not the host's name. */
  readonly serverName?: string | undefined;
}

export interface RelaySocketObserver {
  control(frame: Frame): void;
  message(number: number, body: Buffer): void;
  /** All frames of a portion have been handed over. */
  settled(): void;
  /** Called once. `nonsense`: the peer has broken the protocol. */
  ended(why: string, nonsense: boolean): void;
}

/** The kernel looks, too; beats find out first. */
const tcpKeepAliveMs = 10_000;

export class RelaySocket {
  readonly #socket: NetSocket;
  readonly #stream: RelayStream;
  /** Where it comes from, for people. */
  readonly fromHost: string;
  #observer: RelaySocketObserver | undefined;
  #corked = false;
  /** Anything came since somebody looked. */
  heard = false;
  bytesIn = 0;
  bytesOut = 0;

  constructor(socket: NetSocket) {
    this.#socket = socket;
    this.fromHost = socket.remoteAddress ?? 'a local socket';
    this.#stream = new RelayStream({
      control: (body) => this.#observer?.control(decodeFrame(body)),
      message: (number, body) => this.#observer?.message(number, body),
    });
    socket.setNoDelay(true);
    socket.setKeepAlive(true, tcpKeepAliveMs);
    socket.on('data', (chunk: Buffer) => this.#onData(chunk));
    socket.on('error', (error) => this.#end(messageOf(error), false));
    socket.on('close', () => this.#end('it closed the connection', false));
  }

  /** The names in the peer's certificate; none without TLS. */
  get identities(): string[] | undefined {
    const { getPeerCertificate } = this.#socket as TLSSocket;
    if (typeof getPeerCertificate !== 'function') return undefined;
    return namesIn((this.#socket as TLSSocket).getPeerCertificate());
  }

  listen(observer: RelaySocketObserver): void {
    this.#observer = observer;
  }

  /** From now on messages may be as large as they are between nodes that know each other. */
  trust(): void {
    this.#stream.bytesMax = relayFrameBytesMax;
  }

  send(frame: Frame): void {
    this.#write(controlBytes(encodeFrame(frame)));
  }

  sendMessage(number: number, body: Uint8Array): void {
    this.#write(messageHead(number, body.length));
    this.#write(body);
  }

  /** Sends a last frame and closes; a peer that does not take it is cut off. */
  finish(frame: Frame): void {
    this.#observer = undefined;
    this.#stream.stop();
    if (this.#socket.destroyed) return;
    this.#socket.end(controlBytes(encodeFrame(frame)), () => this.#socket.destroySoon());
    const late = setTimeout(() => this.#socket.destroy(), 500);
    late.unref();
    this.#socket.once('close', () => clearTimeout(late));
  }

  destroy(): void {
    this.#observer = undefined;
    this.#stream.stop();
    this.#socket.destroy();
  }

  /** Whether this socket alone keeps the process running. */
  hold(on: boolean): void {
    if (on) this.#socket.ref();
    else this.#socket.unref();
  }

  #write(bytes: Uint8Array): void {
    if (this.#socket.destroyed) return;
    // What is sent in one turn leaves in one piece.
    if (!this.#corked) {
      this.#corked = true;
      this.#socket.cork();
      process.nextTick(() => {
        this.#corked = false;
        this.#socket.uncork();
      });
    }
    this.bytesOut += bytes.length;
    this.#socket.write(bytes);
  }

  #onData(chunk: Buffer): void {
    this.heard = true;
    this.bytesIn += chunk.length;
    try {
      this.#stream.push(chunk);
    } catch (error) {
      this.#end(messageOf(error), true);
      return;
    }
    this.#observer?.settled();
  }

  #end(why: string, nonsense: boolean): void {
    const observer = this.#observer;
    this.destroy();
    observer?.ended(why, nonsense);
  }
}

/**
 * Opens a socket.
 * @returns how to give up.
 */
export function dialRelay(
  endpoint: RelayEndpoint,
  keys: LinkKeys | undefined,
  done: (socket: RelaySocket | undefined, why: string) => void,
): () => void {
  let settled = false;
  const target = 'path' in endpoint ? { path: endpoint.path } : { host: endpoint.host, port: endpoint.port };
  let socket: NetSocket;
  const settle = (connected: boolean, why: string) => {
    if (settled) return;
    settled = true;
    if (connected) {
      socket.off('error', fail);
      socket.off('close', closed);
      done(new RelaySocket(socket), '');
    } else {
      socket?.destroy();
      done(undefined, why);
    }
  };
  const fail = (error: Error) => settle(false, messageOf(error));
  const closed = () => settle(false, 'it closed the connection');
  try {
    socket = keys
      ? tlsConnect({
          ...target,
          ...contextOf(keys),
          servername: keys.serverName ?? serverNameOf(endpoint),
          rejectUnauthorized: true,
        })
      : connect(target);
  } catch (error) {
    // Keys that are none.
    queueMicrotask(() => settle(false, messageOf(error)));
    return () => {
      settled = true;
    };
  }
  socket.once(keys ? 'secureConnect' : 'connect', () => settle(true, ''));
  socket.on('error', fail);
  socket.on('close', closed);
  return () => {
    settled = true;
    socket.on('error', () => {});
    socket.destroy();
  };
}

export interface RelayServer {
  readonly port: number | undefined;
  close(): void;
}

/**
 * Listens. Whoever shows no certificate of ours, where one is asked for, is refused before `accept`.
 * @throws the system's error.
 */
export function listenRelay(
  endpoint: RelayEndpoint,
  keys: LinkKeys | undefined,
  accept: (socket: RelaySocket) => void,
  refused: (why: string, host: string) => void,
): Promise<RelayServer> {
  const server: Server = keys
    ? createTlsServer(
        { ...contextOf(keys), requestCert: true, rejectUnauthorized: true, handshakeTimeout: 5_000 },
        (socket) => accept(new RelaySocket(socket)),
      )
    : createServer((socket) => accept(new RelaySocket(socket)));
  server.on('tlsClientError', (error: Error, socket: TLSSocket) => {
    refused(messageOf(error), socket.remoteAddress ?? 'somebody who has left');
    socket.destroy();
  });
  return new Promise((resolve, reject) => {
    const target =
      'path' in endpoint ? { path: endpoint.path } : { host: endpoint.host, port: endpoint.port };
    const fail = (error: NodeJS.ErrnoException) => {
      if (!('path' in endpoint) || error.code !== 'EADDRINUSE') return reject(error);
      // Its last owner may have been killed; nobody answers then.
      isDeserted(endpoint.path, (deserted) => {
        if (!deserted) return reject(error);
        rmSync(endpoint.path, { force: true });
        server.off('error', fail).once('error', reject).listen(target);
      });
    };
    server.on('error', fail);
    server.once('listening', () => {
      server.off('error', fail).off('error', reject);
      server.on('error', (error) => refused(messageOf(error), 'accepting'));
      const at = server.address();
      resolve({
        port: typeof at === 'object' && at !== null ? at.port : undefined,
        close: () => void server.close(),
      });
    });
    server.listen(target);
  });
}

function isDeserted(path: string, tell: (deserted: boolean) => void): void {
  const socket = connect({ path });
  socket.once('connect', () => {
    socket.destroy();
    tell(false);
  });
  socket.once('error', (error: NodeJS.ErrnoException) => tell(error.code === 'ECONNREFUSED'));
}

/** @throws the error of a certificate or key that is none. */
export function checkKeys(keys: LinkKeys): void {
  createSecureContext(contextOf(keys));
}

function contextOf({ ca, cert, key }: LinkKeys): SecureContextOptions {
  return { ca: [...ca], cert, key, minVersion: 'TLSv1.2' };
}

function serverNameOf(endpoint: RelayEndpoint): string {
  if ('path' in endpoint) return 'localhost';
  // An address is no server name; Node checks it against the certificate all the same.
  return /^[\d.]+$|:/.test(endpoint.host) ? '' : endpoint.host;
}

function namesIn({ subject, subjectaltname }: PeerCertificate): string[] {
  const common = subject?.CN;
  // A name with a comma in it stands in quotes, and is nobody's here.
  const others = [
    ...(subjectaltname ?? '').matchAll(/(?:^|, )(?:DNS|IP Address|URI):("(?:[^"\\]|\\.)*"|[^,]*)/g),
  ]
    .map(([, name]) => name!)
    .filter((name) => name !== '' && !name.startsWith('"'));
  return [...(common === undefined ? [] : [common].flat()), ...others];
}
