// Told tree: messages about a tree that does not run, for the told server.
import type {
  DeadIncarnation,
  DependenceView,
  Hello,
  Metrics,
  ProcessId,
  Records,
  ResourceView,
  ServerMessage,
  UnitView,
  ViewRecord,
} from '../../../src/inspector/protocol.ts';
import { addressOf } from '../../../src/names.ts';
import type { StateValue } from '../../../src/runtime/feed.ts';

export const startedAtMs = Date.UTC(2026, 0, 2, 3, 4, 5);

export function hello(more: Partial<Hello> = {}): Hello {
  return {
    type: 'hello',
    protocol: 1,
    topology: { name: 'shop', file: '/srv/shop/topology.ts', pid: 100, startedAtMs },
    mode: 'live',
    write: false,
    ...more,
  };
}

export function unit(path: string, more: Partial<UnitView> = {}): UnitView {
  const incarnation = more.incarnation ?? 1;
  return {
    path,
    kind: path === '' ? 'root' : 'node',
    phase: 'up',
    state: 'operative',
    pid: 100,
    process: path === '' ? '#0' : `${path}#${incarnation}`,
    incarnation,
    starts: incarnation,
    app: null,
    lastExit: null,
    waitsFor: null,
    dead: [],
    ...more,
  };
}

export function killed(
  path: string,
  incarnation: number,
  more: Partial<DeadIncarnation> = {},
): DeadIncarnation {
  return {
    process: `${path}#${incarnation}`,
    incarnation,
    pid: 4711,
    endedAtMs: startedAtMs + 60_000,
    exit: {
      class: 'killed',
      reason: 'killed by SIGKILL',
      code: null,
      signal: 'SIGKILL',
      uptimeMs: 59_000,
      verdict: 'restart',
    },
    state: 'operative',
    flight: [
      { atMs: startedAtMs + 58_000, actor: 'till/session/1', event: 'paid', state: 'open.idle' },
      { atMs: startedAtMs + 59_000, actor: 'till', event: 'session.opened', state: 'serving' },
    ],
    log: [
      { atMs: startedAtMs + 59_500, unit: path, stream: 'out', level: null, text: 'the last line it wrote' },
    ],
    ...more,
  };
}

export function actor(
  address: string,
  value: StateValue | null,
  chart: string | null = null,
  status = 'active',
): ViewRecord {
  return { k: 'actor', at: startedAtMs, actor: addressOf(address), chart, value, status };
}

export function records(process: ProcessId, ...list: ViewRecord[]): Records {
  return { type: 'records', batches: [{ process, records: list }] };
}

export function dump(...batches: Records['batches']): Records {
  return { type: 'records', dump: true, batches };
}

export function transition(
  address: string,
  event: string,
  value: StateValue,
  steps: Extract<ViewRecord, { k: 'transition' }>['steps'] = [],
  actions: readonly string[] = [],
): ViewRecord {
  return {
    k: 'transition',
    at: startedAtMs + 1_000,
    actor: addressOf(address),
    event,
    value,
    status: 'active',
    steps,
    actions,
  };
}

export const doorChart = {
  id: 'door',
  initial: 'closed',
  states: {
    closed: {
      description: 'Nobody gets in.',
      on: { open: { target: 'opened', actions: 'creak' }, knock: { actions: 'answer' } },
    },
    opened: { on: { close: { target: 'closed', guard: 'nobodyInside' } }, after: { patience: 'closed' } },
  },
};

export const shopUnits: readonly UnitView[] = [
  unit('', { pid: 100, incarnation: 0, process: '#0' }),
  unit('till', { app: 'till', pid: 101 }),
  unit('stock', { pid: 102 }),
];

export const shopEdges: readonly DependenceView[] = [
  { unit: 'till', on: 'stock', state: 'operative', mode: 'after', gate: 'open' },
];

export const shopResources: readonly ResourceView[] = [
  {
    kind: 'pipe',
    name: 'orders',
    region: 'shop',
    users: [{ unit: 'till', pid: 101 }],
    counts: 'packets',
    depth: 3,
    capacity: 64,
    drops: 7,
    facts: { waiting: 1 },
  },
];

/** A small tree: a till with a door, and a stock. */
export function shop(more: { hello?: Partial<Hello>; units?: readonly UnitView[] } = {}): ServerMessage[] {
  return [
    hello(more.hello),
    { type: 'processes', units: more.units ?? shopUnits },
    { type: 'dependences', edges: shopEdges },
    { type: 'resources', resources: shopResources },
    dump(
      { process: '#0', records: [actor('supervisor', 'operative')] },
      {
        process: 'till#1',
        records: [{ k: 'chart', hash: 'door', chart: doorChart }, actor('door', 'closed', 'door')],
      },
      { process: 'stock#1', records: [actor('shelf', null)] },
    ),
  ];
}

export function metricsOf(at: number, processes: readonly ProcessId[], scale = 1): Metrics {
  return {
    type: 'metrics',
    at,
    flows: [],
    processes: processes.map((process, index) => ({
      process,
      cpu: 0.1 + 0.05 * Math.sin(at / 9_000 + index),
      memoryBytes: 60_000_000 + index * 4_000_000,
      restarts: 0,
      inner: {
        heapBytes: 20_000_000,
        actors: 8,
        transitionsPerS: Math.round(40 * scale),
        sentPerS: Math.round((900 + 300 * Math.sin(at / 7_000 + index)) * scale),
        receivedPerS: Math.round(800 * scale),
        depth: Math.max(0, Math.round(6 * Math.sin(at / 5_000 + index))),
        loopDelayMs: { p50: 0.4, p99: 2 + Math.sin(at / 4_000), max: 6 },
        handlingUs: { p50: 6, p99: 40, max: 300 },
        latencyMs: 12,
      },
    })),
  };
}
