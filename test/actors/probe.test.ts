// Probes with real looks at real servers, which hang, refuse, answer wrongly or send what is no answer.
import { once } from 'node:events';
import { createServer as createHttpServer } from 'node:http';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { assert } from 'chai';
import { startProbe } from '../../src/actors/probe.ts';
import type { ProbeReport } from '../../src/machines/probe.ts';
import { addressOf } from '../../src/names.ts';
import { Host } from '../../src/runtime/host.ts';
import type { Probe } from '../../src/spec/probe.ts';
import { waitUntil } from '../support/wait-until.ts';

const silent = { debug() {}, info() {}, warn() {}, error() {} };

describe('a probe of a real server', () => {
  const servers: Server[] = [];
  const sockets = new Set<Socket>();

  async function serving(server: Server): Promise<number> {
    servers.push(server);
    server.on('connection', (socket) => {
      sockets.add(socket);
      socket.on('close', () => sockets.delete(socket)).on('error', () => {});
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return (server.address() as AddressInfo).port;
  }
  /** Does that with each connection. */
  const raw = (does: (socket: Socket) => void) =>
    serving(createServer((socket) => void does(socket.resume())));
  const answering = (status: number, headers: Record<string, string> = {}) =>
    serving(createHttpServer((_, response) => void response.writeHead(status, headers).end('x')));
  /** A port that was just free. */
  async function unused(): Promise<number> {
    const server = createServer();
    const port = await serving(server);
    server.close();
    await once(server, 'close');
    return port;
  }

  afterEach(async () => {
    for (const socket of sockets) socket.destroy();
    for (const server of servers.splice(0))
      if (server.listening) await new Promise((done) => server.close(done));
  });

  /** What it tells first. */
  async function told(by: Probe['by'], timeoutMs = 300): Promise<string> {
    const host = new Host({ log: silent });
    const reports: ProbeReport[] = [];
    const probe = startProbe(
      host,
      { by, periodMs: 20, timeoutMs, failures: 2 },
      {
        address: addressOf('probe'),
        cwd: '/',
        env: () => ({ PATH: process.env.PATH }),
        ask: () => () => {},
        see: () => () => () => {},
        onReport: (report) => reports.push(report),
      },
    );
    try {
      await waitUntil('its word', () => reports.length > 0);
    } finally {
      probe.stop();
    }
    const [first] = reports;
    return first!.type === 'probe.passed' ? 'passed' : first!.why;
  }
  const http = (port: number) => told({ kind: 'http', url: `http://127.0.0.1:${port}/health` });
  const tcp = (port: number) => told({ kind: 'tcp', host: '127.0.0.1', port });

  const trickle = (socket: Socket, text: string) => {
    const timer = setInterval(() => socket.write(text), 10);
    socket.on('close', () => clearInterval(timer));
  };

  const ofHttp: [what: string, start: () => Promise<number>, says: RegExp][] = [
    ['holds for 200', () => answering(200), /^passed$/],
    [
      'holds for a redirect, and does not follow it',
      () => answering(302, { location: 'http://127.0.0.1:1/' }),
      /^passed$/,
    ],
    [
      'holds for a body without an end',
      () =>
        serving(
          createHttpServer((_, response) => {
            const timer = setInterval(() => response.write('x'), 10);
            response.on('close', () => clearInterval(timer));
          }),
        ),
      /^passed$/,
    ],
    ['fails for 500', () => answering(500), /health answers 500 \(2 times in a row\)/],
    ['fails for 404', () => answering(404), /answers 404/],
    ['fails for a refusal', unused, /does not answer: .*ECONNREFUSED/],
    ['fails for one that never answers', () => raw(() => {}), /no answer within 300 ms \(2 times in a row\)/],
    [
      'fails for a head that never ends',
      () => raw((socket) => trickle(socket, 'HTTP/1.1 200 OK\r\nx: y\r\n')),
      /health/,
    ],
    [
      'fails for a head that comes too slowly',
      () => raw((socket) => trickle(socket, 'H')),
      /health|no answer/,
    ],
    [
      'fails for a head of any size',
      () => raw((socket) => socket.end(`HTTP/1.1 200 OK\r\nx: ${'y'.repeat(1e6)}\r\n\r\n`)),
      /does not answer: /,
    ],
    [
      'fails for garbage',
      () => raw((socket) => socket.end(Buffer.from([0, 255, 13, 10, 128, 7]))),
      /does not answer: Parse Error/,
    ],
    [
      'fails for another protocol',
      () => raw((socket) => socket.end('SSH-2.0-OpenSSH_9.9\r\n')),
      /does not answer: Parse Error/,
    ],
    [
      'fails for a connection that is closed at once',
      () => raw((socket) => socket.end()),
      /does not answer: socket hang up/,
    ],
    [
      'fails for a connection that is reset',
      () => raw((socket) => socket.resetAndDestroy()),
      /does not answer: .*(ECONNRESET|hang up)/,
    ],
    [
      'fails for an answer that is only informational',
      () => raw((socket) => void socket.write('HTTP/1.1 100 Continue\r\n\r\n')),
      /no answer within 300 ms/,
    ],
  ];
  describe('by http', () => {
    for (const [what, start, says] of ofHttp)
      it(`${what}`, async () => assert.match(await http(await start()), says));

    it('fails for a name that leads nowhere', async () =>
      assert.match(await told({ kind: 'http', url: 'http://nobody.invalid/' }, 10_000), /does not answer: /));
  });

  const ofTcp: [what: string, start: () => Promise<number>, says: RegExp][] = [
    ['holds for one that only accepts', () => raw(() => {}), /^passed$/],
    ['holds for one that closes at once', () => raw((socket) => socket.end()), /^passed$/],
    ['holds for one that sends without being asked', () => raw((socket) => trickle(socket, 'x')), /^passed$/],
    ['fails for a refusal', unused, /127\.0\.0\.1:\d+ does not accept: .*ECONNREFUSED/],
  ];
  describe('by tcp', () => {
    for (const [what, start, says] of ofTcp)
      it(`${what}`, async () => assert.match(await tcp(await start()), says));
  });

  it('leaves no connection behind', async () => {
    const port = await raw(() => {});
    await http(port);
    await waitUntil('all to be closed', () => sockets.size === 0);
  });

  describe('by a program', () => {
    for (const [what, args, says] of [
      ['holds for code 0', ['true'], /^passed$/],
      ['fails for another code', ['sh', '-c', 'exit 3'], /sh ended with code 3/],
      ['fails for one that is killed', ['sh', '-c', 'kill -9 $$'], /sh ended with SIGKILL/],
      ['fails for one that never ends', ['sleep', '1000'], /no answer within 300 ms/],
      ['fails for one that is not there', ['no-such-program'], /no-such-program could not be started/],
    ] as const)
      it(`${what}`, async () => {
        const [file, ...rest] = args;
        assert.match(await told({ kind: 'exec', file, args: rest }), says);
      });
  });
});
