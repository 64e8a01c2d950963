import { assert } from 'chai';
import type { Orders } from '../../src/machines/dependency.ts';
import {
  type SupervisorEvent,
  type SupervisorInput,
  type SupervisorReport,
  supervisorMachine,
} from '../../src/machines/supervisor.ts';
import type { UnitEvent, UnitPhase } from '../../src/machines/unit.ts';
import { exit, policy, supervisorEvents, supervisorInput } from '../support/machines/samples.ts';
import { after, type Effect, take } from '../support/machines/step.ts';
import {
  describeBeginning,
  describeCompleteness,
  describeStates,
  type Row,
  type Table,
} from '../support/machines/table.ts';

const changed = (id: string, phase: UnitPhase): SupervisorEvent => ({
  type: 'unit.changed',
  id,
  phase,
  epoch: 1,
  pid: 7,
  state: null,
  note: null,
});
const exited = (id: string, change: Partial<typeof exit> = {}): SupervisorEvent => ({
  type: 'unit.exited',
  id,
  epoch: 1,
  exit: { ...exit, ...change },
});
const stable: SupervisorEvent = { type: 'unit.stable', id: 'a', epoch: 1 };
const shutdown: SupervisorEvent = { type: 'shutdown' };
const force: SupervisorEvent = { type: 'force' };

const otherPolicy = { ...policy, stableMs: 1 };
const respecified: SupervisorEvent = {
  type: 'spec.changed',
  supervision: { strategy: 'one-for-one', intensity: 3, periodMs: 5_000 },
  children: [
    { id: 'a', policy: otherPolicy },
    { id: 'b', policy },
  ],
};

const tell = (unit: string, event: UnitEvent): Effect => [`tell ${unit}`, event];

/** Each order for itself: in how many goes they are given is of no account. */
function oneByOne([name, params]: Effect): Effect | readonly Effect[] {
  if (name !== 'tell') return [name, params];
  return (params as Orders).map(({ unit, event }) => tell(unit, event));
}
const becomes = (state: string): Effect => ['inform', { type: 'supervisor.changed', state }];
const told = (facts: Partial<Extract<SupervisorReport, { type: 'child.exited' }>> = {}): Effect => [
  'inform',
  {
    type: 'child.exited',
    id: 'a',
    epoch: 1,
    exit,
    verdict: 'restart',
    delayMs: 100,
    restartsLeft: 2,
    ...facts,
  },
];
const restartLater: UnitEvent = { type: 'verdict.restart', delayMs: 100 };
const restarts = [tell('a', restartLater), tell('b', { type: 'verdict.restart', delayMs: 0 })];
const toAll = (type: 'start' | 'stop' | 'kill') => [tell('a', { type }), tell('b', { type })];

const starting = [changed('a', 'starting'), changed('b', 'starting')];
const toOperative = [...starting, changed('a', 'up'), changed('b', 'up')];
const toDegraded = [...toOperative, changed('b', 'draining')];
const forAll: SupervisorInput = { ...supervisorInput, strategy: 'one-for-all' };
const forNothing: SupervisorInput = { ...supervisorInput, intensity: 0 };
const whenIdle: SupervisorInput = { ...supervisorInput, endsWhenIdle: true };

/** What a unit's end leads to beyond that unit; what the others are told by that is told in tests of whole trees. */
function consequences(
  of: SupervisorEvent,
  by: readonly SupervisorEvent[],
): Row<SupervisorEvent, SupervisorInput>[] {
  return [
    {
      on: of,
      by,
      input: forAll,
      when: 'if its group restarts with it',
      to: 'regrouping',
      does: 'elsewhere',
    },
    {
      on: of,
      by,
      input: forNothing,
      when: 'if that is one restart too many',
      to: 'stopping',
      does: 'elsewhere',
    },
  ];
}

/** Who runs on by other rules hears them, whatever else goes on. */
const heardOf: SupervisorEvent = { type: 'remotes.changed', views: [] };
/** What other hosts tell is the claim of remote-units.test.ts. */
const farNews = (to: string): Row<SupervisorEvent, SupervisorInput> => ({ on: heardOf, to, does: [] });
const otherRules = (to: string): Row<SupervisorEvent, SupervisorInput> => ({
  on: respecified,
  to,
  does: [tell('a', { type: 'policy.changed', policy: otherPolicy })],
});

const table: Table<SupervisorEvent, SupervisorInput> = {
  input: supervisorInput,
  events: supervisorEvents,
  seen: oneByOne,
  states: {
    booting: {
      by: starting,
      rows: [
        { on: changed('a', 'up'), to: 'booting', when: 'while others are not ready' },
        {
          on: changed('b', 'up'),
          by: [...starting, changed('a', 'up')],
          when: 'of the last that was not ready',
          to: 'running.operative',
          does: [becomes('operative')],
        },
        { on: exited('a'), to: 'booting', does: [told(), tell('a', restartLater)] },
        {
          on: exited('a', { class: 'permanent-failure', reason: 'no such file' }),
          when: 'if trying again is of no use',
          to: 'stopping',
          does: 'elsewhere',
        },
        ...consequences(exited('a'), starting),
        { on: shutdown, to: 'stopping', does: [becomes('stopping'), ...toAll('stop')] },
        { on: stable, to: 'booting' },
        otherRules('booting'),
        farNews('booting'),
        {
          on: changed('b', 'completed'),
          by: [...starting, changed('a', 'failed')],
          input: whenIdle,
          when: 'if nobody is left',
          to: 'done',
          does: [becomes('stopping')],
        },
      ],
    },
    'running.operative': {
      by: toOperative,
      rows: [
        { on: changed('a', 'up'), to: 'running.operative', when: 'without news' },
        {
          on: changed('a', 'draining'),
          to: 'running.degraded',
          when: 'of one that is ready no more',
          does: [becomes('degraded')],
        },
        ...consequences(exited('a'), toOperative),
        { on: shutdown, to: 'stopping', does: [becomes('stopping'), ...toAll('stop')] },
        { on: stable, to: 'running.operative' },
        otherRules('running.operative'),
        farNews('running.operative'),
      ],
    },
    'running.degraded': {
      by: toDegraded,
      rows: [
        { on: changed('a', 'draining'), to: 'running.degraded', when: 'of another' },
        {
          on: changed('b', 'up'),
          to: 'running.operative',
          when: 'of the last that was not ready',
          does: [becomes('operative')],
        },
        { on: exited('b'), to: 'running.degraded', does: [told({ id: 'b' }), tell('b', restartLater)] },
        ...consequences(exited('b'), toDegraded),
        { on: shutdown, to: 'stopping', does: [becomes('stopping'), ...toAll('stop')] },
        { on: stable, to: 'running.degraded' },
        otherRules('running.degraded'),
        farNews('running.degraded'),
        {
          on: changed('b', 'completed'),
          by: [...toDegraded, changed('a', 'failed')],
          input: whenIdle,
          when: 'if nobody is left',
          to: 'done',
          does: [becomes('stopping')],
        },
      ],
    },
    regrouping: {
      input: forAll,
      by: [...toOperative, exited('a')],
      rows: [
        { on: changed('a', 'exited'), to: 'regrouping', when: 'while others of the group stand' },
        {
          on: changed('b', 'exited'),
          by: [...toOperative, exited('a'), changed('a', 'exited')],
          input: forAll,
          when: 'of the last that stood',
          to: 'running.degraded',
          does: [...restarts, becomes('degraded')],
        },
        {
          on: changed('b', 'exited'),
          by: [...starting, exited('a'), changed('a', 'exited')],
          input: forAll,
          when: 'of the last that stood, before all have been ready',
          to: 'booting',
          does: restarts,
        },
        {
          on: exited('b', { requested: 'stop' }),
          by: [...toOperative, changed('c', 'up'), exited('a')],
          input: { ...forAll, children: [...forAll.children, { id: 'c', policy }] },
          when: 'while others of the group stand',
          to: 'regrouping',
          does: 'elsewhere',
        },
        {
          on: shutdown,
          by: [...toOperative, exited('a'), changed('a', 'exited')],
          input: forAll,
          to: 'stopping',
          does: [becomes('stopping'), tell('b', { type: 'stop' })],
        },
        { on: stable, to: 'regrouping' },
        otherRules('regrouping'),
        farNews('regrouping'),
      ],
    },
    stopping: {
      by: [...toOperative, shutdown],
      rows: [
        { on: changed('a', 'exited'), to: 'stopping', when: 'while others stand' },
        {
          on: changed('b', 'exited'),
          by: [...toOperative, shutdown, changed('a', 'exited')],
          when: 'of the last that stood',
          to: 'done',
        },
        {
          on: changed('b', 'unkillable'),
          by: [...toOperative, shutdown, changed('a', 'exited')],
          when: 'that it is stuck',
          to: 'done',
        },
        { on: exited('a'), to: 'stopping', does: 'elsewhere' },
        { on: force, to: 'stopping', does: toAll('kill') },
        { on: stable, to: 'stopping' },
        otherRules('stopping'),
        farNews('stopping'),
      ],
    },
    done: { by: [...toOperative, shutdown, changed('a', 'exited'), changed('b', 'exited')], rows: [] },
  },
};

describe('supervisorMachine', () => {
  describeBeginning(supervisorMachine, table, 'booting', [
    becomes('booting'),
    tell('a', { type: 'gate.opened' }),
    tell('b', { type: 'gate.opened' }),
    ...toAll('start'),
  ]);
  describeStates(supervisorMachine, table);
  describeCompleteness(supervisorMachine, table);

  it('takes no notice of a unit that it does not know', () => {
    for (const { by, input = supervisorInput } of Object.values(table.states)) {
      const before = after(supervisorMachine, input, by);
      for (const event of [changed('ghost', 'up'), exited('ghost'), { ...stable, id: 'ghost' }]) {
        const { state, effects } = take(supervisorMachine, before, event);
        assert.deepEqual(state.context, before.context);
        assert.deepEqual(effects, []);
      }
    }
  });

  it('forgets the tries in a row of a unit that has become stable', () => {
    const before = after(supervisorMachine, supervisorInput, [...toOperative, exited('a'), exited('a')]);
    assert.equal(before.context.units.a!.attempt, 2);
    assert.equal(take(supervisorMachine, before, stable).state.context.units.a!.attempt, 0);
  });

  it('does not take an earlier incarnation for stable', () => {
    const before = after(supervisorMachine, supervisorInput, [...toOperative, exited('a')]);
    const late = take(supervisorMachine, before, { type: 'unit.stable', id: 'a', epoch: 0 });
    assert.equal(late.state.context.units.a!.attempt, 1);
  });

  it('tells a unit about its gate when that changes, and not again', () => {
    const children = [
      { id: 'a', policy },
      { id: 'b', policy: { ...policy, dependsOn: { a: 'ready' } } },
    ];
    const begun = after(supervisorMachine, { ...supervisorInput, children }, []);
    const steps = [changed('a', 'starting'), changed('a', 'up'), changed('a', 'up'), changed('a', 'failed')];
    let state = begun;
    const orders = steps.map((event) => {
      const step = take(supervisorMachine, state, event);
      state = step.state;
      return step.effects.flatMap(([name, params]) => (name === 'tell' ? (params as Orders) : []));
    });
    assert.deepEqual(orders, [
      [],
      [{ unit: 'b', event: { type: 'gate.opened' } }],
      [],
      [{ unit: 'b', event: { type: 'gate.barred', why: 'a is failed and will not be ready' } }],
    ]);
  });
});
