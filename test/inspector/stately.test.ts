// The bridge to the official protocol, with the official client and the official receiver.
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createWebSocketInspector, createWebSocketReceiver } from '@statelyai/inspect';
import { assert } from 'chai';
import { createActor, setup } from 'xstate';
import type { Log } from '../../src/actors/hosting.ts';
import { LiveSource } from '../../src/inspector/live-source.ts';
import { InspectorServer } from '../../src/inspector/server.ts';
import { StatelyBridge } from '../../src/inspector/stately.ts';
import { openWorkspace } from '../../src/runtime/place.ts';
import { Tree } from '../../src/runtime/tree.ts';
import { node } from '../../src/spec/topology.ts';
import { checkTopology } from '../../src/spec/topology-check.ts';
import { scratch } from '../cli/command.ts';
import { waitUntil } from '../support/wait-until.ts';
import { Spectator } from './spectator.ts';

const lamp = fileURLToPath(new URL('../fixtures/inspector/lamp.mjs', import.meta.url));
const silent: Log = { debug() {}, info() {}, warn() {}, error() {} };

interface Told {
  readonly type: string;
  readonly sessionId: string;
  readonly parentId?: string;
  readonly definition?: string;
  readonly snapshot?: { readonly status: string; readonly value?: unknown; readonly context: unknown };
  readonly _version: string;
}

describe('the bridge to the official inspector', function () {
  this.timeout(120_000);
  const place = scratch();
  const runDirectory = process.env.ACTOR_IPC_RUN_DIR;
  let tree: Tree;
  let source: LiveSource;
  let server: InspectorServer;

  before(async () => {
    process.env.ACTOR_IPC_RUN_DIR = place.env.ACTOR_IPC_RUN_DIR;
    const topology = checkTopology(
      { name: 'coast', children: { lamp: node(lamp) } },
      join(place.folder, 'topology.ts'),
    );
    tree = new Tree(topology, { workspace: openWorkspace(place.workspace), log: silent, onLine: () => {} });
    source = new LiveSource(tree);
    server = await InspectorServer.open(source, { doors: { '/stately': new StatelyBridge(source) } });
    await waitUntil('the lamp', () => tree.status().units[0]!.phase === 'up', 40_000);
  });

  after(async () => {
    server.close();
    tree.stop();
    await tree.ended;
    if (runDirectory === undefined) delete process.env.ACTOR_IPC_RUN_DIR;
    else process.env.ACTOR_IPC_RUN_DIR = runDirectory;
    place.remove();
  });

  it('tells the official receiver each actor with its chart first, then what it does, and no context', async () => {
    const told: Told[] = [];
    const { subscribe } = createWebSocketReceiver({ server: server.urlOf('/stately', 'ws') });
    const { unsubscribe } = subscribe((event) => void told.push(event as unknown as Told));
    const id = 'lamp#1/lamp';
    await waitUntil(
      'some turns',
      () => told.filter(({ type, sessionId }) => type === '@xstate.snapshot' && sessionId === id).length > 3,
    );
    unsubscribe();
    const actor = told.find(({ type, sessionId }) => type === '@xstate.actor' && sessionId === id)!;
    assert.hasAllKeys(JSON.parse(actor.definition!).states, ['dark', 'bright']);
    assert.isBelow(
      told.indexOf(actor),
      told.findIndex(({ type, sessionId }) => type === '@xstate.snapshot' && sessionId === id),
    );
    const values = new Set(
      told.flatMap(({ sessionId, snapshot }) => (sessionId === id ? (snapshot?.value ?? []) : [])),
    );
    assert.sameMembers([...values], ['dark', 'bright']);
    for (const { snapshot, _version } of told) {
      assert.isString(_version);
      if (snapshot) assert.deepEqual(snapshot.context, {});
    }
    // Those of the root stand below each other.
    assert.isTrue(
      told.some(({ sessionId, parentId }) => sessionId === '#0/coast/lamp' && parentId === '#0/coast'),
    );
  });

  it('shows what the official client tells as a guest, also to who comes late', async () => {
    const { inspect, stop } = createWebSocketInspector({ url: server.urlOf('/stately', 'ws') }) as never as {
      inspect: never;
      stop(): void;
    };
    const light = setup({}).createMachine({
      id: 'light',
      initial: 'green',
      context: { password: 'hush' },
      states: { green: { on: { turn: 'red' } }, red: { on: { turn: 'green' } } },
    });
    using page = new Spectator(server.url);
    await page.waits('the dump', () => page.actors.size > 0);
    const actor = createActor(light, { id: 'light', inspect });
    actor.start();
    const guest = await page.waits('the guest', () =>
      page.last('processes')?.units.find(({ kind }) => kind === 'guest'),
    );
    assert.match(guest.path, /^guest\/\d+$/);
    const mine = () => [...(page.actors.get(guest.process!)?.entries() ?? [])][0];
    const [name, { chart }] = await page.waits('its actor', mine);
    assert.match(name, /^light x:\d+$/);
    assert.isTrue(page.charts.has(chart!));
    actor.send({ type: 'turn' });
    await page.waits('its turn', () => mine()?.[1].value === 'red');
    assert.notInclude(JSON.stringify(page.messages), 'hush');
    using late = new Spectator(server.url);
    await late.waits(
      'the same',
      () => [...(late.actors.get(guest.process!)?.values() ?? [])][0]?.value === 'red',
    );
    late.send({ type: 'send', place: { process: guest.process!, actor: name }, event: { type: 'turn' } });
    await late.waits('a refusal', () => late.last('refused'));
    actor.stop();
    stop();
    await page.waits('its end', () => !page.last('processes')!.units.some(({ kind }) => kind === 'guest'));
  });

  it('takes nothing that is no message of the protocol', async () => {
    using page = new Spectator(server.urlOf('/', 'http'));
    await page.waits('the dump', () => page.actors.size > 0);
    const { WebSocket } = await import('ws');
    const stranger = new WebSocket(server.urlOf('/stately', 'ws'));
    await new Promise((resolve) => stranger.on('open', resolve));
    const actor = { type: '@xstate.actor', _version: '1', sessionId: 'x:1', name: 'n' };
    for (const text of [
      '{',
      '7',
      'null',
      '{"type":"@xstate.actor"}',
      JSON.stringify({ ...actor, type: '@xstate.other' }),
    ])
      stranger.send(text);
    stranger.send(JSON.stringify({ ...actor, definition: '{"states', snapshot: 7 }));
    stranger.send(JSON.stringify({ ...actor, type: '@xstate.snapshot', sessionId: 'nobody', snapshot: {} }));
    const guest = await page.waits('the one that makes sense', () =>
      page.last('processes')?.units.find(({ kind }) => kind === 'guest'),
    );
    await page.waits('its actor', () => page.actors.get(guest.process!)?.size === 1);
    stranger.terminate();
    await page.waits('its end', () => !page.last('processes')!.units.some(({ kind }) => kind === 'guest'));
  });

  it('is at a page that embeds the official one, for who has the token', async () => {
    const page = await fetch(server.urlOf('/stately', 'http'));
    const html = await page.text();
    assert.equal(page.status, 200);
    assert.include(html, 'https://stately.ai/inspect');
    const [, nonce] = /<script nonce="([^"]+)">/.exec(html)!;
    assert.include(page.headers.get('content-security-policy'), `script-src 'nonce-${nonce}'`);
    assert.equal((await fetch(server.urlOf('/stately', 'http').replace(/token=.*/, 'token=x'))).status, 403);
  });
});
