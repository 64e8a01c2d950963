// What other programs and other machines say, each to the real thing: pages to the inspector, servers to a probe, children to the
// feed, nodes to a relay and to the engine, and what poses as an engine.
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { assert } from 'chai';
import { WebSocket } from 'ws';
import { startProbe } from '../../src/actors/probe.ts';
import { IpcError } from '../../src/errors.ts';
import { Mirror } from '../../src/inspector/mirror.ts';
import { Playback } from '../../src/inspector/playback.ts';
import { InspectorServer } from '../../src/inspector/server.ts';
import type { ProbeReport } from '../../src/machines/probe.ts';
import { addressOf } from '../../src/names.ts';
import { Host } from '../../src/runtime/host.ts';
import { checkedRecord } from '../../src/runtime/record-check.ts';
import { packPlain } from '../../src/transport/codec.ts';
import {
  parseFound,
  parseKey,
  parseKeyedEntry,
  parseKeyedTombstone,
} from '../../src/transport/entry-frame.ts';
import { decodeFrame, encodeFrame, type Frame } from '../../src/transport/frame.ts';
import { NatsMember } from '../../src/transport/nats-member.ts';
import {
  helloFrame,
  parseHello,
  parseWelcome,
  relayVersions,
  welcomeFrame,
} from '../../src/transport/relay-hello.ts';
import {
  controlBytes,
  messageHead,
  RelayStream,
  relayFrameBytesMax,
} from '../../src/transport/relay-stream.ts';
import { NatsServer } from '../support/nats/server.ts';
import type { Random } from '../support/random.ts';
import { Nodes } from '../support/relay/nodes.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { waitUntil } from '../support/wait-until.ts';
import { mutate, mutateText } from './mutate.ts';
import type { Target } from './targets.ts';
import { feedRecords, httpAnswers, pageMessages, recordings } from './texts.ts';

const silent = { debug() {}, info() {}, warn() {}, error() {} };
/** Who waits for more than it was sent is left to itself. */
const lingerMs = 50;
const bytesOf = (text: string) => Uint8Array.from(Buffer.from(text));

/** Pages that say anything, by WebSocket and by HTTP; the next honest one is served. */
export async function inspectorTarget(): Promise<Target> {
  using folder = temporaryFolder();
  const file = join(folder.path, 'recording.jsonl');
  writeFileSync(file, recordings[0]!);
  const server = await InspectorServer.open(await Playback.open(file), { write: true });
  const { host, port, search } = new URL(server.url);
  const page = async (does: (socket: WebSocket) => void): Promise<string> => {
    const socket = new WebSocket(`ws://${host}/feed${search}`);
    socket.on('error', () => {});
    let said = '';
    socket.on('message', (data) => {
      said += String(data);
    });
    await once(socket, 'open');
    await waitUntil('the dump', () => said.includes('"dump":true'));
    does(socket);
    socket.close();
    await waitUntil('its end', () => socket.readyState === socket.CLOSED);
    return said;
  };
  return {
    async feed(random) {
      if (random.below(3) === 0) {
        const socket = connect(Number(port), '127.0.0.1');
        socket.on('error', () => {});
        const head = `GET /feed${search} HTTP/1.1\r\nhost: ${host}\r\nupgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n`;
        socket.resume().end(mutate(random, [bytesOf(head), bytesOf(head.replace('/feed', '/'))]));
        socket.setTimeout(lingerMs, () => socket.destroy());
        await waitUntil('its end', () => socket.closed);
        return;
      }
      await page((socket) => {
        for (let left = random.below(8); left > 0; left--)
          if (random.below(6) === 0) socket.send(mutate(random, pageMessages.map(bytesOf)));
          else socket.send(mutateText(random, pageMessages));
      });
      await waitUntil('the server has let it go', () => server.viewers === 0);
    },
    async close() {
      const said = await page((socket) => socket.send(pageMessages[3]!));
      server.close();
      assert.include(said, '"type":"hello"');
    },
  };
}

/** Records of a child's feed, as JSON made them. */
export function recordTarget(): Target {
  const corpus = feedRecords.map((record) => JSON.stringify(record));
  return {
    feed(random) {
      const mirror = new Mirror();
      for (let left = 1 + random.below(6); left > 0; left--) {
        let value: unknown;
        try {
          value = JSON.parse(mutateText(random, corpus));
        } catch {
          continue;
        }
        const record = checkedRecord(value);
        // What was let in can be shown.
        if (record) JSON.stringify(mirror.apply('child#1', record));
      }
      JSON.stringify([...mirror.dump()]);
    },
  };
}

/** A server that answers a probe with anything. The probe comes to one verdict, in time. */
export async function probeTarget(): Promise<Target> {
  let answer: Uint8Array = new Uint8Array();
  let cut = false;
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {}).on('close', () => sockets.delete(socket));
    socket.once('data', () => {
      socket.write(answer);
      if (cut) socket.destroy();
      else socket.end();
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const host = new Host({ log: silent });
  const corpus = httpAnswers.map(bytesOf);
  let number = 0;
  return {
    async feed(random) {
      answer = mutate(random, corpus);
      cut = random.below(4) === 0;
      const reports: ProbeReport[] = [];
      const never = () => () => () => {};
      const probe = startProbe(
        host,
        {
          by: { kind: 'http', url: `http://127.0.0.1:${port}/` },
          periodMs: 60_000,
          timeoutMs: 500,
          failures: 1,
        },
        {
          address: addressOf(`probe-${++number}`),
          cwd: '/',
          env: () => ({}),
          ask: never(),
          see: never,
          onReport: (report) => reports.push(report),
        },
      );
      await waitUntil('its verdict', () => reports.length > 0);
      probe.stop();
      assert.lengthOf(reports, 1);
      const [report] = reports as [ProbeReport];
      if (report.type === 'probe.failed') assert.isNotEmpty(report.why);
      // Nothing that is not HTTP is health.
      else assert.match(Buffer.from(answer).toString('latin1'), /HTTP\/\d\.\d\s+[123]/);
    },
    close() {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}

const who = {
  node: 'fuzzer',
  role: 'gateway' as const,
  me: 'run-1',
  got: 0,
  window: { messages: 512, bytes: 1 << 22 },
};
const hash = '0123456789abcdef';
const entry = { value: new Uint8Array(40), form: 'text', stamp: 7, ttlMs: 1_000 };
const controls: readonly Uint8Array[] = (
  [
    helloFrame({ ...who, versions: relayVersions, cluster: '', you: '' }),
    welcomeFrame({ ...who, resumed: false }),
    { t: 'refused', why: 'no' },
    { t: 'got', got: 3 },
    { t: 'beat', got: 1 },
    { t: 'bye', why: 'done' },
  ] as Frame[]
).map((frame) => Uint8Array.from(encodeFrame(frame)));
const said: readonly Uint8Array[] = (
  [
    { t: 'subscribe', n: 1, topic: 'news' },
    { t: 'unsubscribe', topic: 'news' },
    { t: 'publish', topic: 'news', body: { a: [1, 'x'] } },
    { t: 'serve', n: 2, service: 'work', group: 'workers' },
    { t: 'unserve', service: 'work' },
    { t: 'request', n: 3, service: 'echo', body: 'x', ms: 1_000, to: 'honest' },
    { t: 'request', n: 4, service: 'work', body: null, ms: 10 },
    { t: 'cancel', n: 3 },
    { t: 'answer', n: 1, body: 'x' },
    { t: 'failure', n: 1, code: 'ERR_REFUSED', why: 'no' },
    { t: 'request', n: 5, service: 'relay.lease', body: { name: 'a', ttlMs: 1_000 }, ms: 100 },
    { t: 'request', n: 6, service: 'relay.kv', body: { t: 'put', bucket: 'b', key: 'k', value: 1 }, ms: 100 },
    { t: 'message', topic: 'news', from: 'x', body: 1 },
    { t: 'gap', count: 3 },
  ] as Frame[]
).map((frame) => Uint8Array.from(encodeFrame(frame)));
const bodies: readonly Uint8Array[] = [
  { key: 'k', hash, entry },
  { key: 'k', hash, tombstone: { deleted: true, stamp: 8, ttlMs: 1_000 } },
  { deleted: true, stamp: 8, ttlMs: 1_000 },
  entry,
].map((value) => Uint8Array.from(packPlain(value)));

function framed(number: number, body: Uint8Array): Buffer {
  return Buffer.concat([messageHead(number, body.length), body]);
}

/** Frames of a link, cut anywhere. */
export function linkTarget(): Target {
  const streams = [
    ...controls.map((body) => controlBytes(body)),
    ...said.map((body, index) => framed(index + 1, body)),
    Buffer.concat([controlBytes(controls[0]!), framed(1, said[0]!), framed(2, said[2]!)]),
  ].map((bytes) => Uint8Array.from(bytes));
  return {
    feed(random) {
      const refusable = (call: () => unknown) => {
        try {
          call();
        } catch (error) {
          assert.instanceOf(error, Error);
          assert.isNotEmpty((error as Error).message);
        }
      };
      const stream = new RelayStream({
        control(body) {
          assert.isAtMost(body.length, stream.bytesMax);
          refusable(() => {
            const frame = decodeFrame(body);
            for (const parse of [parseHello, parseWelcome]) refusable(() => parse(frame));
          });
        },
        message(number, body) {
          assert.isTrue(Number.isSafeInteger(number) && body.length <= stream.bytesMax);
        },
      });
      if (random.below(2) === 0) stream.bytesMax = relayFrameBytesMax;
      const bytes = Buffer.from(mutate(random, streams));
      refusable(() => {
        for (let at = 0; at < bytes.length; ) {
          const end = at + 1 + random.below(64);
          stream.push(bytes.subarray(at, end));
          assert.isAtMost(stream.waiting, stream.bytesMax + 64 + 8);
          at = end;
        }
      });
      for (const parse of [parseKey, parseKeyedEntry, parseKeyedTombstone, parseFound])
        refusable(() =>
          parse(decodeFrame(Uint8Array.from(encodeFrame({ t: 'x', body: mutate(random, bodies) }))).body),
        );
      for (const parse of [parseKey, parseKeyedEntry, parseKeyedTombstone, parseFound])
        refusable(() => parse(decodeFrame(mutate(random, bodies))));
    },
  };
}

/** A real hub: nodes say anything, before and after their hello; honest ones are served on. */
export async function relayTarget(): Promise<Target> {
  const nodes = new Nodes();
  const hub = await nodes.serve({ listen: [{ host: '127.0.0.1', port: 0 }] });
  const endpoint = { host: '127.0.0.1', port: hub.ports[0]! };
  const honest = await nodes.connected({ node: 'honest', endpoint });
  const asker = await nodes.connected({ node: 'asker', endpoint });
  await honest.serve('echo', (body) => body);
  let number = 0;
  const stillServed = async () =>
    assert.equal(await asker.request('echo', ++number, { to: 'honest', timeoutMs: 10_000 }), number);
  return {
    async feed(random) {
      const socket = connect(endpoint.port, endpoint.host);
      let heard = 0;
      let over = false;
      socket
        .on('data', (data) => {
          heard += data.length;
        })
        .on('error', () => {})
        .on('close', () => {
          over = true;
        });
      await waitUntil('the connection', () => over || !socket.connecting);
      const isKnown = random.below(4) > 0;
      if (isKnown) {
        const hello = { ...who, node: `fuzzer-${random.below(4)}`, me: `run-${random.next()}` };
        socket.write(
          controlBytes(encodeFrame(helloFrame({ ...hello, versions: relayVersions, cluster: '', you: '' }))),
        );
        await waitUntil('the welcome', () => over || heard > 0);
      }
      let next = 1;
      for (let left = 1 + random.below(6); left > 0 && !over; left--) {
        const body = mutate(random, random.below(4) === 0 ? controls : said);
        const whole =
          random.below(4) === 0 ? controlBytes(body) : framed(random.below(8) === 0 ? 9 : next++, body);
        socket.write(random.below(6) === 0 ? mutate(random, [Uint8Array.from(whole)]) : whole);
      }
      socket.end();
      socket.setTimeout(lingerMs, () => socket.destroy());
      await waitUntil('its end', () => over);
      if (random.below(16) === 0) await stillServed();
    },
    async close() {
      await stillServed();
      await nodes.close();
    },
  };
}

/** A real engine with two honest nodes, on which somebody who may publish says anything; and what only says that it is an engine. */
export async function natsTarget(): Promise<Target> {
  const server = await NatsServer.start();
  const open = (node: string) => NatsMember.open({ node, cluster: 'fuzz', servers: [server.url] });
  const [a, b] = [await open('a'), await open('b')];
  const { connect: connectEngine } = await import('@nats-io/transport-node');
  const raw = await connectEngine({ servers: server.url });
  // What the honest ones say to each other, as it comes.
  const heard: { subject: string; data: Uint8Array }[] = [];
  raw.subscribe('>', {
    callback: (_, { subject, data }) => {
      if (/^(aipc|\$KV)\./.test(subject) && data.length < 4_096 && heard.length < 300)
        heard.push({ subject, data: Uint8Array.from(data) });
    },
  });
  await raw.flush();
  let number = 0;
  const news: unknown[] = [];
  await b.serve('echo', (body) => body);
  await b.subscribe('news', (message) => news.push(message));
  const stillServed = async () => {
    number++;
    assert.equal(await a.request('echo', number, { timeoutMs: 15_000 }), number);
  };
  await stillServed();
  a.publish('news', 1);
  await a.kv('table').put('k', { v: 1 });
  await waitUntil('the news', () => news.length > 0);
  await waitUntil('some of what they say', () => heard.length > 4);
  const subjects = [...new Set(heard.map(({ subject }) => subject))];
  return {
    async feed(random) {
      if (random.below(12) === 0) return posing(random);
      const corpus = heard.map(({ data }) => data);
      for (let left = 1 + random.below(8); left > 0; left--) {
        const subject = subjects[random.below(subjects.length)]!;
        raw.publish(subject, mutate(random, corpus));
      }
      await raw.flush();
      if (random.below(32) === 0) a.publish('news', number);
      if (random.below(64) === 0)
        await waitUntil('the two to be known again', () => a.status === 'connected');
    },
    async close() {
      assert.deepEqual([a.status, b.status], ['connected', 'connected']);
      // What was said in the name of an honest node may have hidden it until it says again that it is there.
      const untilMs = performance.now() + 30_000;
      for (;;) {
        try {
          await stillServed();
          break;
        } catch (error) {
          if (!(error instanceof IpcError) || performance.now() > untilMs) throw error;
          await pause(200);
        }
      }
      await raw.close();
      await Promise.all([a.close(), b.close()]);
      await server.remove();
    },
  };
}

const engineWords = [
  'INFO {"server_id":"X","version":"2.9.10","proto":1,"headers":true,"max_payload":1048576,"jetstream":true}\r\n',
  'INFO {"server_id":"X","version":"1.0.0","max_payload":10}\r\nPONG\r\n',
  'INFO {"version":"2.10.0","headers":true,"jetstream":true}\r\nPONG\r\nPONG\r\nMSG _INBOX.x 1 3\r\nabc\r\n',
  "-ERR 'Authorization Violation'\r\nPING\r\n+OK\r\n",
  'INFO {"version":"2.10.0"}\r\nPONG\r\nHMSG a 1 12 15\r\nNATS/1.0\r\n\r\nabc\r\n',
].map(bytesOf);

/** Opening fails with a word, in time, whatever answers at the engine's address. */
async function posing(random: Random): Promise<void> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {}).on('data', () => socket.write(mutate(random, engineWords)));
    socket.write(mutate(random, engineWords));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  try {
    await NatsMember.open({ node: 'a', cluster: 'c', servers: [`nats://127.0.0.1:${port}`], timeoutMs: 300 });
    assert.fail('it was taken for an engine');
  } catch (error) {
    assert.instanceOf(error, IpcError, String(error));
  } finally {
    for (const socket of sockets) socket.destroy();
    server.close();
  }
}
