// Samples: for each machine an input, and one event of each type that it knows.

import type { ErrorData } from '../../../src/errors.ts';
import type { AppSessionEvent, AppSessionInput } from '../../../src/machines/app-session.ts';
import type { CacheAttachmentEvent, CacheAttachmentInput } from '../../../src/machines/cache-attachment.ts';
import type { ChannelEvent, ChannelInput } from '../../../src/machines/channel.ts';
import type { Exit } from '../../../src/machines/exit.ts';
import type { IncomingSessionEvent, IncomingSessionInput } from '../../../src/machines/incoming-session.ts';
import type { LinkPeerEvent, LinkPeerInput } from '../../../src/machines/link-peer.ts';
import { type Hello, type PeerProcess, protocolVersions } from '../../../src/machines/login.ts';
import type { MulticastEvent, MulticastInput } from '../../../src/machines/multicast.ts';
import type { ProbeEvent, ProbeInput } from '../../../src/machines/probe.ts';
import type {
  ClientProcessEvent,
  ClientProcessInput,
  ServerProcessEvent,
  ServerProcessInput,
} from '../../../src/machines/process.ts';
import type {
  RegionAttachmentEvent,
  RegionAttachmentInput,
} from '../../../src/machines/region-attachment.ts';
import type { RelayNodeEvent, RelayNodeInput } from '../../../src/machines/relay-node.ts';
import type { RemoteHostEvent, RemoteHostInput } from '../../../src/machines/remote-host.ts';
import type { RetirementEvent, RetirementInput } from '../../../src/machines/retirement.ts';
import type { SessionEvent, SessionInput } from '../../../src/machines/session.ts';
import type { SessionServerEvent, SessionServerInput } from '../../../src/machines/session-server.ts';
import type { SubscriptionEvent, SubscriptionInput } from '../../../src/machines/subscription.ts';
import type { SupervisorEvent, SupervisorInput } from '../../../src/machines/supervisor.ts';
import type { UnitEvent, UnitInput } from '../../../src/machines/unit.ts';
import type { ChildPolicy } from '../../../src/spec/child.ts';

export const error: ErrorData = { code: 'ERR_SYSTEM', message: 'it failed' };

// ---- supervision

/** Round numbers, and no jitter, so that a test can say when. */
export const policy: ChildPolicy = {
  restart: 'permanent',
  shutdown: 1_000,
  dependsOn: {},
  startTimeoutMs: 5_000,
  backoff: { minMs: 100, maxMs: 1_000, factor: 2, jitter: 0 },
  stableMs: 10_000,
  giveUp: { restarts: 10, periodMs: 300_000 },
  significant: false,
};

export const unitInput: UnitInput = { id: 'a', path: 'tree/a', policy, canAsk: true, adopt: null };

export const unitEvents: UnitEvent[] = [
  { type: 'start' },
  { type: 'stop' },
  { type: 'restart', reason: 'a new release' },
  { type: 'kill' },
  { type: 'reset' },
  { type: 'remove' },
  { type: 'reload' },
  { type: 'signal', number: 10 },
  { type: 'adopt', pid: 9, startTicks: 99 },
  { type: 'policy.changed', policy },
  { type: 'standby.changed', warm: 1 },
  { type: 'gate.opened' },
  { type: 'gate.closed', missing: ['db:operative'] },
  { type: 'gate.barred', why: 'db is failed and will not be operative' },
  { type: 'verdict.restart', delayMs: 0 },
  { type: 'verdict.down' },
  { type: 'verdict.done' },
  { type: 'verdict.fail', why: 'too many restarts' },
  { type: 'verdict.remove' },
  { type: 'dependency.lost', dependency: 'db', state: 'operative' },
  { type: 'dependency.back', dependency: 'db', state: 'operative' },
  { type: 'incarnation.spawned', epoch: 1, pid: 7, atMs: 10 },
  { type: 'incarnation.ready', epoch: 1, atMs: 20 },
  { type: 'incarnation.reported', epoch: 1, state: 'operative' },
  { type: 'incarnation.refused', epoch: 1, why: 'no such file', permanent: true },
  { type: 'incarnation.unhealthy', epoch: 1, why: 'nobody answers' },
  { type: 'incarnation.replaced', epoch: 1, next: 2, pid: 8, atMs: 25 },
  { type: 'incarnation.unreplaced', epoch: 1, why: 'it ended' },
  { type: 'incarnation.exited', epoch: 1, code: 1, signal: null, atMs: 30 },
  { type: 'incarnation.emptied', epoch: 1, atMs: 30 },
];

export const exit: Exit = {
  class: 'abnormal',
  reason: 'ended with code 1',
  code: 1,
  signal: null,
  requested: 'none',
  uptimeMs: 20,
  atMs: 30,
};

export const supervisorInput: SupervisorInput = {
  path: 'tree',
  strategy: 'one-for-one',
  intensity: 3,
  periodMs: 5_000,
  children: [
    { id: 'a', policy },
    { id: 'b', policy },
  ],
  endsWhenIdle: false,
  seed: 1,
};

export const supervisorEvents: SupervisorEvent[] = [
  { type: 'unit.changed', id: 'a', phase: 'up', epoch: 1, pid: 7, state: null, note: null },
  { type: 'unit.stable', id: 'a', epoch: 1 },
  { type: 'unit.exited', id: 'a', epoch: 1, exit },
  { type: 'shutdown' },
  { type: 'force' },
  {
    type: 'spec.changed',
    supervision: { strategy: 'one-for-one', intensity: 3, periodMs: 5_000 },
    children: supervisorInput.children,
  },
  { type: 'child.forgotten', id: 'a' },
  { type: 'remotes.changed', views: [] },
];

export const probeInput: ProbeInput = { how: 'look', periodMs: 1_000, timeoutMs: 200, failures: 3 };

export const probeEvents: ProbeEvent[] = [
  { type: 'look.passed', look: 1 },
  { type: 'look.failed', look: 1, why: 'nobody answers' },
  { type: 'heard' },
];

// ---- processes and sessions

export const serverProcessInput: ServerProcessInput = { app: 'market', stopTimeoutMs: 2_000 };

export const serverProcessEvents: ServerProcessEvent[] = [
  { type: 'server.listening' },
  { type: 'server.failed', error },
  { type: 'session.opened' },
  { type: 'session.ended' },
  { type: 'stop' },
];

export const clientProcessInput: ClientProcessInput = {
  app: 'trader',
  server: 'market',
  reconnect: { minMs: 250, maxMs: 1_000, jitter: 0, giveUpAfterMs: 'never' },
  stopTimeoutMs: 2_000,
  seed: 1,
};

export const clientProcessEvents: ClientProcessEvent[] = [
  { type: 'session.opened' },
  { type: 'session.failed', error, atMs: 100 },
  { type: 'session.ended', atMs: 100, refused: false, lastedMs: 50 },
  { type: 'stop' },
];

export const sessionServerInput: SessionServerInput = { app: 'market', pendingMax: 1 };

export const sessionServerEvents: SessionServerEvent[] = [
  { type: 'claim.granted' },
  { type: 'claim.refused', error },
  { type: 'connection.accepted', connection: 9 },
  { type: 'login.accepted' },
  { type: 'login.refused' },
  { type: 'listener.failed', error },
  { type: 'stop' },
];

export const peer: PeerProcess = { pid: 42, uid: 1000, gid: 1000 };

export const hello: Hello = {
  versions: protocolVersions,
  layoutHash: 99,
  client: 'trader',
  server: 'market',
  universe: { universe: 'floor', channels: {}, broadcasts: {} },
  pid: 42,
  startTicks: 1,
  segmentBytes: 4096,
  metadata: null,
};

export const incomingSessionInput: IncomingSessionInput = { number: 1, app: 'market', loginTimeoutMs: 5_000 };

export const incomingSessionEvents: IncomingSessionEvent[] = [
  { type: 'peer.identified', peer },
  { type: 'hello.received', hello },
  { type: 'login.passed' },
  { type: 'login.failed', error },
  { type: 'memory.mapped' },
  { type: 'ready.received' },
  { type: 'socket.ended', error },
  { type: 'stop' },
];

export const clientSessionInput: SessionInput = {
  side: 'client',
  peerApp: 'market',
  loginTimeoutMs: 5_000,
  closeTimeoutMs: 1_000,
  stallHoseMs: 30_000,
  channels: ['orders', 'prices'],
};
export const serverSessionInput: SessionInput = { ...clientSessionInput, side: 'server', peerApp: 'trader' };

export const sessionEvents: SessionEvent[] = [
  { type: 'dial.connected' },
  { type: 'dial.failed', error },
  { type: 'login.accepted' },
  { type: 'login.rejected', error },
  { type: 'attach' },
  { type: 'close', reason: 'lunch' },
  { type: 'peer.goodbye', why: 'dinner' },
  { type: 'peer.closed', why: 'its process ended' },
  { type: 'peer.reset', why: 'its process was killed' },
  { type: 'peer.idle', why: 'it gave no sign of life for 5000 ms' },
  { type: 'peer.stalled', ms: 1_200 },
  { type: 'peer.resumed' },
  { type: 'protocol.violated', why: 'a frame of unknown type' },
  { type: 'channel.opened', name: 'quotes' },
  { type: 'memory.violated', why: 'the tail is outside the ring' },
  { type: 'channel.peer-ended', name: 'prices' },
  { type: 'channel.ended', name: 'prices' },
  { type: 'release' },
];

export const appSessionInput: AppSessionInput = { number: 1, peerApp: 'trader' };

export const appSessionEvents: AppSessionEvent[] = [
  { type: 'session.attached' },
  { type: 'user.done' },
  { type: 'user.crashed', error },
  { type: 'channel.closed', channel: 'prices' },
  { type: 'peer.stalled', ms: 1_200 },
  { type: 'peer.resumed' },
  { type: 'session.closed', reason: 'lunch' },
  { type: 'session.hosed', reason: 'peer.reset', why: 'its process was killed' },
  { type: 'close', reason: 'lunch' },
];

export const channelInput: ChannelInput = { name: 'prices', drainTimeoutMs: 1_000, opening: 'init' };

export const offeringChannelInput: ChannelInput = { ...channelInput, opening: 'offering' };
export const offeredChannelInput: ChannelInput = { ...channelInput, opening: 'offered' };

export const channelEvents: ChannelEvent[] = [
  { type: 'open' },
  { type: 'close' },
  { type: 'offer.noticed' },
  { type: 'offer.accepted' },
  { type: 'offer.rejected', error },
  { type: 'withdraw', error },
  { type: 'accept' },
  { type: 'reject', error },
  { type: 'offer.withdrawn' },
  { type: 'peer.parted' },
  { type: 'lane.drained' },
  { type: 'drain.failed' },
  { type: 'peer.ended' },
  { type: 'hose', reason: 'peer.reset', why: 'its process was killed' },
];

export const subscriptionInput: SubscriptionInput = { name: 'ticks' };

export const subscriptionEvents: SubscriptionEvent[] = [
  { type: 'subscribe', number: 1 },
  { type: 'unsubscribe' },
  { type: 'server.admitted', number: 1 },
  { type: 'reader.dropped', number: 1 },
  { type: 'close' },
  { type: 'hose', reason: 'peer.reset', why: 'its process was killed' },
];

export const regionAttachmentInput: RegionAttachmentInput = { region: 'market' };

export const regionAttachmentEvents: RegionAttachmentEvent[] = [
  { type: 'region.attached', attached: { generation: '0123', bytes: 100_000, slot: 3 } },
  { type: 'attach.failed', error },
  { type: 'region.ended', error },
];

export const cacheAttachmentInput: CacheAttachmentInput = { cache: 'sessions' };

export const cacheAttachmentEvents: CacheAttachmentEvent[] = [
  { type: 'cache.attached', attached: { generation: '0123', capacity: 20_000, slot: 3 } },
  { type: 'attach.failed', error },
  { type: 'cache.ended', error },
];

export const multicastInput: MulticastInput = { readers: ['a', 'b'], policy: 'drop', slowAfterMs: 500 };

export const multicastEvents: MulticastEvent[] = [
  { type: 'packet.taken' },
  { type: 'reader.took', reader: 0 },
  { type: 'reader.took', reader: 1 },
  { type: 'reader.late', reader: 0 },
  { type: 'pipe.failed', error: { code: 'ERR_REGION_CLOSED', message: 'pipe market/a is closed' } },
  { type: 'stop' },
];

export const linkPeerInput: LinkPeerInput = {
  peer: 'relay:7878',
  side: 'dials',
  beatMs: 1_000,
  silentBeatsMax: 3,
  dialTimeoutMs: 5_000,
  backoff: { minMs: 50, maxMs: 2_000, jitter: 0 },
  resumeMs: 30_000,
  drainTimeoutMs: 1_000,
  seed: 1,
};

export const linkPeerEvents: LinkPeerEvent[] = [
  { type: 'dial.connected' },
  { type: 'dial.failed', why: 'nobody is there' },
  { type: 'peer.welcomed' },
  { type: 'peer.refused', error: { code: 'ERR_RELAY_REFUSED', message: 'it refused' } },
  { type: 'peer.arrived' },
  { type: 'link.lost', why: 'cut' },
  { type: 'peer.goodbye', why: 'it stops' },
  { type: 'beat.heard' },
  { type: 'beat.missed' },
  { type: 'line.drained' },
  { type: 'close' },
];

export const relayNodeInput: RelayNodeInput = {
  node: 'relay',
  role: 'relay',
  needs: ['sibling'],
  stopTimeoutMs: 3_000,
};

export const relayNodeEvents: RelayNodeEvent[] = [
  { type: 'node.opened' },
  { type: 'node.failed', error },
  { type: 'neighbour.found', node: 'sibling', role: 'sibling' },
  { type: 'neighbour.lost', node: 'sibling', role: 'sibling' },
  { type: 'node.closed' },
  { type: 'stop' },
  { type: 'table.ended', error },
];

export const remoteHostInput: RemoteHostInput = { host: 'b', silentAfterMs: 10_000 };

const told = { root: 'r1', pid: 7, startedAtMs: 0, state: 'operative' };
export const remoteHostEvents: RemoteHostEvent[] = [
  {
    type: 'host.heard',
    told,
    units: [{ id: 'db', phase: 'up', epoch: 1, pid: 8, state: 'operative', note: null, exit: null }],
  },
  { type: 'host.left' },
];

export const retirementInput: RetirementInput = { shutdown: 5_000, canAsk: true };

export const retirementEvents: RetirementEvent[] = [{ type: 'process.emptied' }, { type: 'hurry' }];
