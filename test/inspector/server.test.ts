// The inspector's server beside a tree of real processes, seen by pages without a screen.
import { request } from 'node:http';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { assert } from 'chai';
import { WebSocket } from 'ws';
import type { Log } from '../../src/actors/hosting.ts';
import { LiveSource } from '../../src/inspector/live-source.ts';
import { InspectorServer } from '../../src/inspector/server.ts';
import { openWorkspace } from '../../src/runtime/place.ts';
import { Tree } from '../../src/runtime/tree.ts';
import { exec, node, secret } from '../../src/spec/topology.ts';
import { checkTopology } from '../../src/spec/topology-check.ts';
import { scratch } from '../cli/command.ts';
import { waitUntil } from '../support/wait-until.ts';
import { Spectator } from './spectator.ts';

const fixture = (name: string) => fileURLToPath(new URL(`../fixtures/inspector/${name}.ts`, import.meta.url));
const silent: Log = { debug() {}, info() {}, warn() {}, error() {} };

describe('the inspector', function () {
  this.timeout(120_000);
  const place = scratch();
  const before_ = { run: process.env.ACTOR_IPC_RUN_DIR, secret: process.env.WARD_SECRET };
  let tree: Tree;
  let source: LiveSource;
  let looking: InspectorServer;
  let writing: InspectorServer;

  before(async () => {
    process.env.ACTOR_IPC_RUN_DIR = place.env.ACTOR_IPC_RUN_DIR;
    process.env.WARD_SECRET = 'open sesame';
    const topology = checkTopology(
      {
        name: 'ward',
        children: {
          door: node(fixture('door')),
          bell: node(fixture('bell'), { dependsOn: { door: 'operative' }, backoff: { minMs: 10 } }),
          patient: node(fixture('patient'), {
            env: { WARD_SECRET: secret('WARD_SECRET') },
            backoff: { minMs: 10 },
          }),
          clock: exec('/bin/sh', { args: ['-c', 'echo tick; exec sleep 1000'] }),
        },
      },
      join(place.folder, 'topology.ts'),
    );
    tree = new Tree(topology, { workspace: openWorkspace(place.workspace), log: silent, onLine: () => {} });
    source = new LiveSource(tree);
    looking = await InspectorServer.open(source);
    writing = await InspectorServer.open(source, { write: true });
    await waitUntil(
      'the tree to be up',
      () => tree.status().units.every(({ phase, state }) => phase === 'up' && state === 'operative'),
      40_000,
    );
  });

  after(async () => {
    looking.close();
    writing.close();
    tree.stop();
    await tree.ended;
    for (const [name, value] of [
      ['ACTOR_IPC_RUN_DIR', before_.run],
      ['WARD_SECRET', before_.secret],
    ] as const)
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    place.remove();
  });

  const patientPlace = () => ({
    process: `patient#${tree.status().units[2]!.starts}`,
    actor: 'patient',
  });

  it('tells who comes of all units, processes, edges, charts and actors', async () => {
    using page = new Spectator(looking.url);
    await page.waits('the actors of all processes', () => (page.actors.get('door#1')?.size ?? 0) > 4);
    const hello = page.messages[0]!;
    assert.deepInclude(hello, { type: 'hello', protocol: 1, mode: 'live', write: false });
    assert.deepEqual(
      page.last('processes')!.units.map(({ path, kind, process }) => [path, kind, process]),
      [
        ['', 'root', '#0'],
        ['door', 'node', 'door#1'],
        ['bell', 'node', 'bell#1'],
        ['patient', 'node', 'patient#1'],
        ['clock', 'exec', null],
      ],
    );
    assert.deepEqual(page.last('dependences')!.edges, [
      { unit: 'bell', on: 'door', state: 'operative', mode: 'requires', gate: 'open' },
    ]);
    assert.includeMembers([...page.actors.get('#0')!.keys()], ['supervisor', 'ward/door']);
    await page.waits('the machine of the bell', () =>
      page.actors.get('bell#1')?.has('bell-door/app-session#1/machine'),
    );
    for (const actors of page.actors.values())
      for (const [name, { chart }] of actors) if (chart !== null) assert.isTrue(page.charts.has(chart), name);
  });

  it('tells a late page all that an early one has seen', async () => {
    using early = new Spectator(looking.url);
    await early.waits('all actors', () => early.actors.get('patient#1')?.has('patient/nurse'));
    using late = new Spectator(looking.url);
    await late.waits('its first dump', () => late.actors.size > 0);
    const names = (page: Spectator) =>
      [...page.actors].map(([process, actors]) => [process, [...actors.keys()].sort()]).sort();
    assert.deepEqual(names(late), names(early));
    assert.deepEqual([...late.charts].sort(), [...early.charts].sort());
  });

  it('shows the context of the watched actor: redacted, bounded, without secrets', async () => {
    using page = new Spectator(looking.url);
    page.socket.on('open', () => page.send({ type: 'watch', place: patientPlace() }));
    const shown = await page.waits('its context', () => page.contextOf('patient'));
    const context = shown.context as Record<string, unknown>;
    assert.deepInclude(context, {
      name: 'Ann',
      diagnosis: { $: 'Redacted' },
      password: { $: 'Redacted' },
      heard: 'the word is ***',
      big: { $: 'BigInt', v: '12345678901234567890' },
      beats: { $: 'Map', n: 1, e: [['left', 72]] },
      broken: { $: 'Thrown', v: 'a getter that throws' },
      self: { $: 'Cycle', v: '$' },
    });
    assert.equal((context.essay as { n: number }).n, 10_000_000);
    assert.isBelow(JSON.stringify(shown).length, 128 * 1024);
    assert.deepInclude(
      shown.next.find(({ event }) => event === 'fall ill'),
      { from: 'patient.well', to: ['patient.ill'], sendable: true, guard: 'unlucky' },
    );
  });

  it('sends an event of a page, whose effect all pages see', async () => {
    using page = new Spectator(writing.url);
    using other = new Spectator(looking.url);
    await other.waits('the patient', () => other.valueOf(patientPlace()) === 'well');
    other.send({ type: 'watch', place: patientPlace() });
    await page.waits('the patient', () => page.valueOf(patientPlace()) === 'well');
    page.send({ type: 'send', place: patientPlace(), event: { type: 'fall ill' } });
    for (const each of [page, other])
      await each.waits('the illness', () => each.valueOf(patientPlace()) === 'ill');
    await other.waits('the new context', () => other.contextOf('patient')?.value === 'ill');
    page.send({ type: 'send', place: patientPlace(), event: { type: 'recover' } });
    await page.waits('the recovery', () => page.valueOf(patientPlace()) === 'well');
    page.send({ type: 'send', place: { process: 'nobody#1', actor: 'x' }, event: { type: 'y' } });
    const refused = await page.waits('a refusal', () => page.last('refused'));
    assert.deepInclude(refused, { what: 'send', why: 'there is no process nobody#1' });
  });

  it('sends none for who may only look on', async () => {
    using page = new Spectator(looking.url);
    await page.waits('the patient', () => page.valueOf(patientPlace()) === 'well');
    page.send({ type: 'send', place: patientPlace(), event: { type: 'fall ill' } });
    const refused = await page.waits('a refusal', () => page.last('refused'));
    assert.match(refused.why, /--inspect-write/);
    assert.equal(page.valueOf(patientPlace()), 'well');
  });

  it('tells figures of processes and of what goes between them', async () => {
    using page = new Spectator(looking.url);
    const metrics = await page.waits('figures of all', () => {
      const last = page.last('metrics');
      const inner = last?.processes.filter(({ inner }) => inner !== null).map(({ process }) => process);
      const all = ['#0', 'door#1', 'bell#1', 'patient#1'];
      return all.every((process) => inner?.includes(process)) && last;
    });
    const clock = metrics.processes.find(({ process }) => process === 'clock#1')!;
    assert.isNull(clock.inner);
    assert.isAbove(clock.memoryBytes!, 0);
    const { inner } = metrics.processes.find(({ process }) => process === 'door#1')!;
    assert.isAbove(inner!.heapBytes, 0);
    assert.isAbove(inner!.actors, 3);
    const rings = await page.waits('a channel whose messages were taken', () =>
      page.last('metrics')!.flows.find(({ channel, waitMs }) => channel === 'rings' && waitMs !== null),
    );
    assert.deepEqual([rings.from.process, rings.to.process], ['bell#1', 'door#1']);
    assert.isAbove(rings.messagesPerS, 1);
    assert.isAtLeast(rings.waitMs!, 0);
  });

  it('tells a message between processes with both its ends', async () => {
    using page = new Spectator(looking.url);
    const arrow = await page.waits('a message', () =>
      [...page.past, ...page.seen].find(({ record }) => record.k === 'message'),
    );
    const { record, process } = arrow as {
      process: string;
      record: { from: { process: string }; event: string };
    };
    assert.match(record.event, /^message\./);
    assert.notEqual(record.from.process, process);
    assert.match(record.from.process, /^(door|bell|patient)#1$/);
  });

  it('shows what a killed process was, and its next life', async () => {
    using page = new Spectator(looking.url);
    await page.waits('the bell', () => (page.actors.get('bell#1')?.size ?? 0) > 2);
    const { pid } = tree.status().units[1]!;
    process.kill(pid!, 'SIGKILL');
    const unit = await page.waits('its next life', () => {
      const shown = page.unit('bell');
      return shown?.incarnation === 2 && shown.phase === 'up' && shown;
    });
    const [dead] = unit.dead;
    assert.deepInclude(dead, { process: 'bell#1', incarnation: 1, pid, state: 'operative' });
    assert.deepInclude(dead!.exit, { class: 'abnormal', signal: 'SIGKILL', verdict: 'restart' });
    assert.isTrue(dead!.flight.some(({ event, state }) => event === 'session.opened' && state === 'active'));
    // As it left them: a page that comes now sees them as well.
    using late = new Spectator(looking.url);
    await late.waits('the dump', () => late.actors.has('bell#1'));
    assert.isTrue(late.actors.get('bell#1')!.has('bell-door'));
    await late.waits('the new ones', () => late.actors.get('bell#2')?.has('bell-door'));
  });

  it('shows lines of units, also to who comes late', async () => {
    using page = new Spectator(looking.url);
    process.kill(tree.status().units[3]!.pid!, 'SIGKILL');
    const line = () =>
      page.messages.some(
        (message) =>
          message.type === 'log' &&
          message.lines.some(({ unit, text }) => unit === 'clock' && text === 'tick'),
      );
    await page.waits('the line of its next life', line);
    using late = new Spectator(looking.url);
    await late.waits('the line', () =>
      late.messages.some(
        (message) => message.type === 'log' && message.lines.some(({ text }) => text === 'tick'),
      ),
    );
    assert.deepEqual(
      page.unit('clock')!.dead[0]!.log.map(({ text }) => text),
      ['tick'],
    );
  });

  it('watches nobody once all pages have gone', async () => {
    const pages = [new Spectator(looking.url), new Spectator(writing.url)];
    for (const page of pages) await page.waits('the dump', () => page.actors.size > 0);
    assert.isTrue(source.watched);
    assert.isTrue(tree.host.feed.watched);
    for (const page of pages) page.socket.close();
    await waitUntil('the end of watching', () => !source.watched && !tree.host.feed.watched);
  });

  describe('lets nobody in', () => {
    const statusOf = (path: string, headers: Record<string, string>): Promise<number> =>
      new Promise((resolve, reject) => {
        const { port } = new URL(looking.url);
        request({ host: '127.0.0.1', port, path, headers }, (response) => {
          response.resume();
          resolve(response.statusCode!);
        })
          .on('error', reject)
          .end();
      });
    const upgrade = (url: string, headers: Record<string, string> = {}): Promise<number | 'open'> =>
      new Promise((resolve) => {
        const socket = new WebSocket(url, { headers });
        socket.on('open', () => {
          socket.close();
          resolve('open');
        });
        socket.on('unexpected-response', (_, response) => {
          response.resume();
          socket.terminate();
          resolve(response.statusCode!);
        });
        socket.on('error', () => {});
      });
    const feed = (token?: string) => {
      const { host, searchParams } = new URL(looking.url);
      return `ws://${host}/feed?token=${token ?? searchParams.get('token')}`;
    };

    it('with a wrong token, or none', async () => {
      assert.equal(await upgrade(feed('wrong')), 403);
      assert.equal(await upgrade(`ws://${new URL(looking.url).host}/feed`), 403);
      assert.equal(await upgrade(feed('x'.repeat(32))), 403);
      assert.equal(await statusOf('/?token=wrong', {}), 403);
      assert.equal(await upgrade(feed()), 'open');
    });

    it('from a foreign page', async () => {
      for (const origin of ['https://example.com', 'http://127.0.0.1:1', 'null', 'http://localhost'])
        assert.equal(await upgrade(feed(), { origin }), 403, origin);
      assert.equal(await upgrade(feed(), { origin: `http://${new URL(looking.url).host}` }), 'open');
    });

    it('under a foreign name', async () => {
      const { search, host } = new URL(looking.url);
      assert.equal(await statusOf(`/${search}`, { host: 'example.com' }), 403);
      assert.equal(await upgrade(feed(), { host: `example.com:${new URL(looking.url).port}` }), 403);
      assert.notEqual(await statusOf(`/${search}`, { host }), 403);
    });

    it('by another path, or out of the folder of the page', async () => {
      const { host, search } = new URL(looking.url);
      assert.equal(await upgrade(`ws://${host}/other${search}`), 404);
      for (const path of [
        '/../package.json',
        '/%2e%2e/%2e%2e/package.json',
        '/..%2f..%2fpackage.json',
        '/%00.js',
      ])
        assert.equal(await statusOf(path, {}), 404, path);
    });
  });

  describe('a page that misbehaves', () => {
    it('is told what is wrong, and is closed when it does not stop', async () => {
      using page = new Spectator(looking.url);
      await page.waits('hello', () => page.last('hello'));
      for (const text of [
        '{',
        '7',
        '{"type":"dance"}',
        '{"type":"watch","place":{"process":1}}',
        '{"type":"play","speed":1e9}',
      ])
        page.socket.send(text);
      page.socket.send(Buffer.from([1, 2, 3]));
      await page.waits(
        'six refusals',
        () => page.messages.filter(({ type }) => type === 'refused').length === 6,
      );
      assert.equal(page.socket.readyState, WebSocket.OPEN);
      for (let i = 0; i < 20; i++) page.socket.send('?');
      await page.waits('the end', () => page.closed === 1008);
    });

    it('is closed when it sends a frame without end', async () => {
      using page = new Spectator(looking.url);
      await page.waits('hello', () => page.last('hello'));
      page.socket.send('x'.repeat(100_000));
      await page.waits('the end', () => page.closed === 1009);
    });

    it('holds up nobody when it never reads', async () => {
      using deaf = new Spectator(looking.url);
      await deaf.waits('the dump', () => deaf.actors.size > 0);
      deaf.socket.pause();
      using page = new Spectator(writing.url);
      await page.waits('the patient', () => page.valueOf(patientPlace()) === 'well');
      const heap = process.memoryUsage().heapUsed;
      const rounds = 16_000;
      for (let i = 0; i < rounds; i++)
        tree.host.feed.tell({ k: 'ignored', at: i, actor: 'x', event: 'y'.repeat(1_000) } as never);
      for (const type of ['fall ill', 'recover'])
        page.send({ type: 'send', place: patientPlace(), event: { type } });
      await page.waits('what the other does not see', () =>
        page.seen.some(({ record }) => record.k === 'transition' && record.event === 'recover'),
      );
      assert.isBelow(process.memoryUsage().heapUsed - heap, 100e6);
      // When it reads again it learns what is missing.
      deaf.socket.resume();
      await deaf.waits('the news', () => deaf.valueOf(patientPlace()) === 'well' && deaf.last('dropped'));
    });
  });
});
