// What a child sends as records is input: whatever it is, the root shows it or leaves it out, and goes on.
import { assert } from 'chai';
import fc from 'fast-check';
import { Mirror } from '../../src/inspector/mirror.ts';
import type { MetricsRecord } from '../../src/runtime/feed.ts';
import { checkedRecord } from '../../src/runtime/record-check.ts';

const spread = { p50: 1, p99: 2, max: 3 };
const channel = {
  ...{ actor: 'a/machine', link: '1', channel: 'samples' },
  ...{ sentPerS: 1, receivedPerS: 0, unread: 0, waitMs: 0.5, dropped: 0 },
};
const pipe = {
  ...{ kind: 'pipe', name: 'orders', region: 'market', pids: [1], counts: 'packets' },
  ...{ depth: 1, capacity: null, drops: 0, facts: {} },
};
/** One of each kind, as the host makes them. */
const whole: Readonly<Record<string, object>> = {
  chart: { k: 'chart', hash: 'h', chart: { id: 'lamp', states: {} } },
  actor: { k: 'actor', at: 1, actor: 'lamp', chart: 'h', value: { a: 'b' }, status: 'active' },
  transition: {
    ...{ k: 'transition', at: 1, actor: 'lamp', event: 'turn', value: 'on', status: 'active' },
    ...{ steps: [{ event: 'turn', from: 'lamp.off', to: ['lamp.on'] }], actions: ['light'] },
  },
  ignored: { k: 'ignored', at: 1, actor: 'lamp', event: 'turn' },
  send: { k: 'send', at: 1, from: null, to: 'lamp', event: 'turn' },
  crash: { k: 'crash', at: 1, actor: 'lamp', message: 'burnt', stack: null },
  stop: { k: 'stop', at: 1, actor: 'lamp', how: 'done' },
  report: { k: 'report', at: 1, actor: 'lamp', report: { kind: 'exit' } },
  log: { k: 'log', at: 1, level: 'info', message: 'on', facts: {} },
  dropped: { k: 'dropped', at: 1, count: 3 },
  reset: { k: 'reset', at: 1 },
  session: { k: 'session', at: 1, actor: 'lamp', link: '1', peer: { app: 'house', pid: 7 } },
  context: {
    ...{ k: 'context', at: 1, actor: 'lamp', gone: false, value: 'on', status: 'active', context: {} },
    next: [{ event: 'turn', from: 'lamp.on', to: ['lamp.off'], guard: null, sendable: true }],
  },
  metrics: {
    ...{ k: 'metrics', at: 1, heapBytes: 1, actors: 1, transitionsPerS: 0, loopDelayMs: spread },
    ...{ handlingUs: null, channels: [channel], resources: [pipe] },
  },
};

function nested(levels: number): unknown {
  let value: unknown = 'a';
  for (let i = 0; i < levels; i++) value = { a: value };
  return value;
}

/** What the root does with a record that it has let in. */
function use(record: NonNullable<ReturnType<typeof checkedRecord>>): void {
  JSON.stringify(new Mirror().apply('child#1', record));
  if (record.k === 'transition') for (const { to } of record.steps) assert.isArray(to);
  if (record.k !== 'metrics') return;
  const { channels, resources, loopDelayMs }: MetricsRecord = record;
  assert.isNumber(channels.reduce((total, { sentPerS, unread }) => total + sentPerS + unread, 0));
  for (const { pids, facts } of resources) assert.isTrue(pids.every(Number.isFinite) && facts !== null);
  assert.isNumber(loopDelayMs.p99);
}

describe('the check of records', () => {
  for (const [kind, record] of Object.entries(whole))
    it(`lets ${kind} in as the host makes it`, () => assert.equal<unknown>(checkedRecord(record), record));

  const spoilt: Readonly<Record<string, object>> = {
    'a channel that is none': { ...whole.metrics, channels: [null] },
    'a channel without figures': { ...whole.metrics, channels: [{ actor: 'a' }] },
    'a resource that is none': { ...whole.metrics, resources: [null] },
    'a resource whose users are none': { ...whole.metrics, resources: [{ ...pipe, pids: 'all' }] },
    'a spread without numbers': { ...whole.metrics, loopDelayMs: {} },
    'a step that is none': { ...whole.transition, steps: [null] },
    'a step that leads to no list': { ...whole.transition, steps: [{ event: 'e', from: 'f', to: 'g' }] },
    'an action that is no text': { ...whole.transition, actions: [{}] },
    'a peer that is none': { ...whole.session, peer: [] },
    'a state value without an end': { ...whole.actor, value: nested(100_000) },
    'a state value that is no state value': { ...whole.actor, value: { on: 3 } },
    'a chart without an end': { ...whole.chart, chart: nested(100_000) },
    'a number that JSON has no word for': { ...whole.report, report: { count: 1n } },
    'a text of ten megabytes': { ...whole.ignored, event: 'x'.repeat(10_000_000) },
    'a text of ten megabytes below': { ...whole.report, report: { text: 'x'.repeat(10_000_000) } },
    'a list of a million': { ...whole.transition, actions: new Array(1_000_000).fill('a') },
    'a kind of all objects': { k: 'constructor', at: 1 },
    'a list': [],
  };
  for (const [what, record] of Object.entries(spoilt))
    it(`leaves out ${what}`, () => assert.isUndefined(checkedRecord(record)));

  it('takes any value, and what it lets in can be shown', () => {
    const anything = fc.anything({ withBigInt: true, withDate: true, withMap: true, withTypedArray: true });
    fc.assert(
      fc.property(
        fc.constantFrom(...Object.values(whole)),
        fc.array(fc.tuple(fc.nat(), anything), { maxLength: 3 }),
        (record, changes) => {
          const changed: Record<string, unknown> = { ...record };
          const names = Object.keys(changed);
          for (const [at, value] of changes) changed[names[at % names.length]!] = value;
          const checked = checkedRecord(changed);
          if (checked) use(checked);
        },
      ),
      { numRuns: 2_000 },
    );
  });
});
