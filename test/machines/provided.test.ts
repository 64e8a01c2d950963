import { assert } from 'chai';
import type { AnyActorLogic, AnyStateMachine } from 'xstate';
import { startAppSession } from '../../src/actors/app-session.ts';
import { attachCache } from '../../src/actors/cache-attachment.ts';
import { startChannel } from '../../src/actors/channel.ts';
import type { Host, Hosted } from '../../src/actors/hosting.ts';
import { startLogin } from '../../src/actors/incoming-session.ts';
import { startLinkPeer } from '../../src/actors/link-peer.ts';
import { sessionDefaults } from '../../src/actors/live-session.ts';
import { startMulticast } from '../../src/actors/multicast.ts';
import { startProbe } from '../../src/actors/probe.ts';
import { startClientProcess, startServerProcess } from '../../src/actors/process.ts';
import { attachRegion } from '../../src/actors/region-attachment.ts';
import { startRelayNode } from '../../src/actors/relay-node.ts';
import { startRemoteHost } from '../../src/actors/remote-host.ts';
import { retire } from '../../src/actors/retirement.ts';
import { dialSession } from '../../src/actors/session.ts';
import { startSessionServer } from '../../src/actors/session-server.ts';
import { startSubscription } from '../../src/actors/subscription.ts';
import { startSupervisor } from '../../src/actors/supervisor.ts';
import type { Tree } from '../../src/actors/tree.ts';
import { SimulatedClock } from '../../src/machines/clock.ts';
import { addressOf } from '../../src/names.ts';
import { broadcast } from '../../src/spec/broadcast-spec.ts';
import { channel } from '../../src/spec/channel-spec.ts';
import { processRulesDefaults, readyOf } from '../../src/spec/probe.ts';
import { linkTimes } from '../../src/spec/relay-link.ts';
import { defineUniverse } from '../../src/spec/universe.ts';
import { Link } from '../../src/transport/link.ts';
import { native } from '../../src/transport/native.ts';
import { walks } from '../support/machines/all.ts';
import { placeholders } from '../support/machines/chart.ts';
import { policy } from '../support/machines/samples.ts';

const { market, trader } = defineUniverse('floor', {
  market: { allow: ['trader'], channels: { prices: channel<{ down: number }>() } },
  trader: {},
});
const address = addressOf('x');
const command = { file: 'true', args: [], env: {}, cwd: '/' };
const silent = { debug() {}, info() {}, warn() {}, error() {} };
const limits = sessionDefaults;

/** A host that starts nothing and keeps what it was given. */
class CollectingHost implements Host {
  readonly clock = new SimulatedClock();
  readonly log = silent;
  readonly random = Math.random;
  readonly logics: AnyStateMachine[] = [];

  start<L extends AnyActorLogic>(logic: L): Hosted<L> {
    this.logics.push(logic as unknown as AnyStateMachine);
    return { address, post() {}, stop() {} };
  }

  showSession = () => () => {};
  showResources = () => () => {};
  later(): void {}
}

/** What src/actors gives to a host, from all that it can start. Objects stand in for what a start does not look at. */
function provided(): AnyStateMachine[] {
  const host = new CollectingHost();
  const unused = {} as never;
  startSupervisor(
    { host, units: new Map(), supervisors: new Map(), leftFor: () => null } as Partial<Tree> as Tree,
    {
      strategy: 'one-for-one',
      intensity: 'infinity',
      periodMs: 5_000,
      autoShutdown: 'never',
      children: {
        a: { kind: 'exec', ...command, ...policy, ...processRulesDefaults, ready: readyOf('exec') },
      },
    },
    { address, path: address, endsWhenIdle: false, onEnd() {} },
  );
  startServerProcess(host, { address, app: market, limits } as Partial<ServerSettings> as ServerSettings);
  startClientProcess(host, {
    address,
    client: trader,
    server: market,
  } as Partial<ClientSettings> as ClientSettings);
  startSessionServer(host, { address, login: { policy: { app: market } } } as never);
  dialSession(host, { address, server: market, client: trader, limits } as never);
  startAppSession(host, { address, running: { session: { peer: { app: 'trader' } } } } as never);
  const [connection, other] = native().socketPair();
  startLogin(host, { policy: { app: market }, limits } as never, {
    address,
    number: 1,
    connection,
    onEnd: unused,
  });
  native().closeFd(other);
  startChannel(host, {
    address,
    name: 'prices',
    options: market.channels.prices,
    link: linkToNobody(),
    lane: 0,
  } as never);
  startSubscription(host, {
    address,
    name: 'ticks',
    options: broadcast(),
    link: linkToNobody(),
    lane: 0,
  } as never);
  attachCache(host, { address, runDirectory: '', name: 'sessions' } as never).catch(() => {});
  attachRegion(host, { address, runDirectory: '', name: 'market' } as never).catch(() => {});
  startProbe(host, readyOf('exec'), {
    address,
    cwd: '/',
    env: () => ({}),
    ask: unused,
    see: unused,
    onReport() {},
  });
  retire(host, address, unused, { shutdown: 'kill', kind: 'exec' });
  startMulticast(host, { address, readers: [] } as never);
  startRelayNode(host, { address, runDirectory: '', spec: { role: 'relay', node: 'x' } } as never);
  startRemoteHost(host, { address, input: { host: 'b', silentAfterMs: 1 }, onReport: unused });
  startLinkPeer(host, { address, endpoint: { path: '' }, times: linkTimes } as never);
  return host.logics;
}

type ServerSettings = Parameters<typeof startServerProcess>[1];
type ClientSettings = Parameters<typeof startClientProcess>[1];

function linkToNobody(): Link {
  const capacities = [market.channels.prices.capacityBytes];
  const link = new Link(capacities);
  const { bytes, fds } = new Link(capacities).offer;
  link.attach(bytes, native().dupFd(fds[0]), native().dupFd(fds[1]));
  return link;
}

describe('src/actors', () => {
  const all = new Map<string, AnyStateMachine>();
  before(() => {
    for (const machine of provided()) all.set(machine.id, machine);
  });

  it('has an actor for each machine', () => {
    assert.sameMembers(
      [...all.keys()],
      walks.map(({ machine }) => machine.id),
    );
  });

  for (const { machine } of walks)
    it(`provides every effect that ${machine.id} needs`, () => {
      const needed = placeholders(machine);
      const actual = all.get(machine.id)!.implementations;
      for (const name of needed.actions)
        assert.notEqual(actual.actions[name], machine.implementations.actions[name], name);
      for (const name of needed.actors)
        assert.notEqual(actual.actors[name], machine.implementations.actors[name], name);
    });

  for (const { machine } of walks)
    it(`provides ${machine.id} with nothing that it does not name`, () => {
      const { actions, actors, guards, delays } = machine.implementations;
      const actual = all.get(machine.id)!.implementations;
      assert.sameMembers(Object.keys(actual.actions), Object.keys(actions));
      assert.sameMembers(Object.keys(actual.actors), Object.keys(actors));
      assert.sameMembers(Object.keys(actual.guards), Object.keys(guards));
      assert.sameMembers(Object.keys(actual.delays), Object.keys(delays));
    });
});
