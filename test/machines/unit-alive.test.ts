import { assert } from 'chai';
import type { Exit } from '../../src/machines/exit.ts';
import { type UnitEvent, type UnitInput, unitMachine } from '../../src/machines/unit.ts';
import { policy, unitEvents, unitInput } from '../support/machines/samples.ts';
import { after, take } from '../support/machines/step.ts';
import { describeCompleteness, describeStates, type Row, type Table } from '../support/machines/table.ts';
import {
  emptied,
  ended,
  exited,
  left,
  lifeOf,
  ofGate,
  order,
  passed,
  ready,
  refused,
  reported,
  restart,
  running,
  spawned,
  start,
  stop,
  toSpawning,
  toStarting,
  toUp,
  withoutNote,
} from '../support/machines/units.ts';

type Rows = Row<UnitEvent, UnitInput>[];

const kill: UnitEvent = { type: 'kill' };
const cannotAsk: UnitInput = { ...unitInput, canAsk: false };
const killsAtOnce: UnitInput = { ...unitInput, policy: { ...policy, shutdown: 'kill' } };

const toAsking = [...toUp, stop];
const toTerminating = [...toAsking, passed('askTimeout', 'alive.stopping.asking')];
const toKilling = [...toTerminating, passed('shutdownTimeout', 'alive.stopping')];
const toUnkillable = [...toKilling, passed('reapTimeout', 'alive.killing')];
const toReloading: UnitEvent[] = [...toUp, { type: 'reload' }];
const toDraining = [...toUp, exited(0)];

/** What is the same in all states of a living unit. */
function alike(pid: number | null = 7): Rows {
  return [
    { on: emptied, to: 'exited', does: 'elsewhere' },
    { on: kill, to: 'alive.killing', does: [order('kill'), running('stopping', { pid })] },
  ];
}

/** A signal is passed on to whatever is there. */
function passesOn(state: string): Rows[number] {
  const signal = { type: 'signal', number: 10 } as const;
  return { on: signal, to: state, does: [['send incarnation', signal]] };
}

const reload: UnitEvent = { type: 'reload' };
const unhealthy: UnitEvent = { type: 'incarnation.unhealthy', epoch: 1, why: 'nobody answers' };
const replaced: UnitEvent = { type: 'incarnation.replaced', epoch: 1, next: 2, pid: 8, atMs: 25 };
const unreplaced: UnitEvent = { type: 'incarnation.unreplaced', epoch: 1, why: 'it ended' };

/** The end of the program itself, before that of all that it started. */
const programEnds: Rows[number] = { on: exited(1), to: 'alive.draining', does: [running('draining')] };

/** Requests that are remembered and change nothing else. */
function remembered(state: string, ...events: UnitEvent[]): Rows {
  return events.map((on) => ({ on, to: state }));
}

/** A request to end, by each of the ways in which a unit may be told. */
function endsBy(on: UnitEvent, by: readonly UnitEvent[]): Rows {
  return [
    { on, to: 'alive.stopping.asking', does: [running('stopping'), order('ask')] },
    {
      on,
      by,
      input: cannotAsk,
      when: 'if it can not be asked',
      to: 'alive.stopping.terminating',
      does: [running('stopping'), order('terminate')],
    },
    {
      on,
      by,
      input: killsAtOnce,
      when: 'if it is to be killed at once',
      to: 'alive.killing',
      does: [running('stopping'), order('kill'), running('stopping')],
    },
  ];
}

const table: Table<UnitEvent, UnitInput> = {
  input: unitInput,
  events: unitEvents,
  at: lifeOf,
  seen: withoutNote,
  remembered: ofGate,
  states: {
    'alive.spawning': {
      by: toSpawning,
      rows: [
        passesOn('alive.spawning'),
        ...alike(null),
        { on: exited(1), to: 'alive.draining', does: [running('draining', { pid: null })] },
        { on: spawned, to: 'alive.starting', does: [running('starting')] },
        {
          on: spawned,
          by: [...toSpawning, stop],
          when: 'if a stop came before it',
          to: 'alive.stopping.asking',
          does: [running('stopping'), order('ask')],
        },
        {
          on: spawned,
          by: [...toSpawning, restart],
          when: 'if a restart came before it',
          to: 'alive.stopping.asking',
          does: [running('stopping'), order('ask')],
        },
        {
          on: passed('startTimeout', 'alive.spawning'),
          to: 'alive.killing',
          does: [order('kill'), running('stopping', { pid: null })],
        },
        ...remembered('alive.spawning', stop, restart, refused, reported),
      ],
    },
    'alive.starting': {
      by: toStarting,
      rows: [
        passesOn('alive.starting'),
        ...alike(),
        programEnds,
        { on: ready, to: 'alive.up', does: [running('up')] },
        { on: reported, to: 'alive.starting', does: [running('starting', { state: 'operative' })] },
        ...endsBy(stop, toStarting),
        ...endsBy(restart, toStarting),
        {
          on: passed('startTimeout', 'alive.starting'),
          to: 'alive.stopping.asking',
          does: [running('stopping'), order('ask')],
        },
        ...remembered('alive.starting', refused),
      ],
    },
    'alive.up': {
      by: toUp,
      rows: [
        passesOn('alive.up'),
        ...alike(),
        programEnds,
        { on: reported, to: 'alive.up', does: [running('up', { state: 'operative' })] },
        { on: reported, by: [...toUp, reported], when: 'if that is no news', to: 'alive.up' },
        ...endsBy(stop, toUp),
        ...endsBy(restart, toUp),
        {
          on: passed('stableAfter', 'alive.up'),
          to: 'alive.up',
          does: [['report', { type: 'unit.stable', id: 'a', epoch: 1 }]],
        },
        { on: reload, to: 'alive.reloading', does: [order('replace'), running('up')] },
        { on: unhealthy, to: 'alive.stopping.asking', does: [running('stopping'), order('ask')] },
        ...remembered('alive.up', refused),
      ],
    },
    'alive.reloading': {
      by: toReloading,
      rows: [
        passesOn('alive.reloading'),
        ...alike(),
        programEnds,
        { on: reported, to: 'alive.reloading', does: [running('up', { state: 'operative' })] },
        ...endsBy(stop, toReloading),
        ...endsBy(restart, toReloading),
        { on: replaced, to: 'alive.up', does: [running('up', { epoch: 2, pid: 8 })] },
        { on: unreplaced, to: 'alive.up', does: [running('up')] },
        { on: unhealthy, to: 'alive.stopping.asking', does: [running('stopping'), order('ask')] },
        {
          on: passed('startTimeout', 'alive.reloading'),
          to: 'alive.up',
          does: [order('unreplace'), running('up')],
        },
        ...remembered('alive.reloading', refused),
      ],
    },
    'alive.stopping.asking': {
      by: toAsking,
      rows: [
        passesOn('alive.stopping.asking'),
        ...alike(),
        programEnds,
        {
          on: passed('askTimeout', 'alive.stopping.asking'),
          to: 'alive.stopping.terminating',
          does: [order('terminate')],
        },
        {
          on: passed('shutdownTimeout', 'alive.stopping'),
          to: 'alive.killing',
          does: [order('kill'), running('stopping')],
        },
        ...remembered('alive.stopping.asking', start, stop, restart, refused, reported),
      ],
    },
    'alive.stopping.terminating': {
      by: toTerminating,
      rows: [
        passesOn('alive.stopping.terminating'),
        ...alike(),
        programEnds,
        {
          on: passed('shutdownTimeout', 'alive.stopping'),
          to: 'alive.killing',
          does: [order('kill'), running('stopping')],
        },
        ...remembered('alive.stopping.terminating', start, stop, restart, refused, reported),
      ],
    },
    'alive.killing': {
      by: toKilling,
      rows: [
        passesOn('alive.killing'),
        { on: emptied, to: 'exited', does: 'elsewhere' },
        { on: kill, to: 'alive.killing', does: 'elsewhere' },
        ...remembered('alive.killing', start, stop, restart, refused, reported, exited(null, 'SIGKILL')),
        {
          on: passed('reapTimeout', 'alive.killing'),
          to: 'alive.unkillable',
          does: [running('unkillable')],
        },
      ],
    },
    'alive.draining': {
      by: toDraining,
      rows: [
        passesOn('alive.draining'),
        ...alike(),
        programEnds,
        {
          on: passed('shutdownTimeout', 'alive.draining'),
          to: 'alive.killing',
          does: [order('kill'), running('stopping')],
        },
        ...remembered('alive.draining', stop, restart, refused, reported),
      ],
    },
    'alive.unkillable': {
      by: toUnkillable,
      rows: [
        passesOn('alive.unkillable'),
        ...alike(),
        programEnds,
        ...remembered('alive.unkillable', start, stop, restart, refused, reported),
      ],
    },
  },
};

const news: UnitEvent[] = [
  { type: 'dependency.lost', dependency: 'db', state: 'operative' },
  { type: 'dependency.back', dependency: 'db', state: 'operative' },
];

/** Whatever it is doing, what runs hears of those that it holds on to. */
function passingOn(states: Table<UnitEvent, UnitInput>['states']): Table<UnitEvent, UnitInput>['states'] {
  return Object.fromEntries(
    Object.entries(states).map(([name, state]) => {
      const rows = news.map((on) => ({ on, to: name, does: [['send incarnation', on] as const] }));
      return [name, { ...state, rows: [...state.rows, ...rows] }];
    }),
  );
}

describe('unitMachine, alive', () => {
  describeStates(unitMachine, { ...table, states: passingOn(table.states) });
  describeCompleteness(unitMachine, table, {
    region: 'life',
    covers: (path) => path.startsWith('alive.'),
  });

  describe('the end of all that it started', () => {
    const asked = { class: 'shutdown', requested: 'stop', reason: 'ended, as asked' } as const;
    const killed = {
      class: 'killed',
      requested: 'stop',
      reason: 'did not stop in time, so it was killed',
    } as const;
    const exits: Record<string, Partial<Exit>> = {
      'alive.spawning': { uptimeMs: 0 },
      'alive.starting': {},
      'alive.up': {},
      'alive.reloading': {},
      'alive.stopping.asking': asked,
      'alive.stopping.terminating': asked,
      'alive.killing': killed,
      'alive.unkillable': killed,
      'alive.draining': { class: 'normal', code: 0, reason: 'ended with code 0' },
    };
    for (const [state, { by }] of Object.entries(table.states))
      it(`is reported with all that is known of it, and is the end of ${state}`, () => {
        const { state: next, effects } = take(unitMachine, after(unitMachine, unitInput, by), emptied);
        assert.equal(lifeOf(next), 'exited');
        assert.includeDeepMembers(effects.map(withoutNote), [
          left,
          ended({ code: null, reason: 'ended', ...exits[state] }),
        ]);
      });
  });

  describe('an earlier incarnation', () => {
    for (const [state, { by }] of Object.entries(table.states))
      it(`changes nothing in ${state} any more`, () => {
        const before = after(unitMachine, unitInput, by);
        for (const event of unitEvents.filter(({ type }) => type.startsWith('incarnation.'))) {
          const late = { ...event, epoch: 0 } as UnitEvent;
          const { state: next, effects } = take(unitMachine, before, late);
          assert.deepEqual(next.value, before.value, event.type);
          assert.deepEqual(next.context, before.context, event.type);
          assert.deepEqual(effects, [], event.type);
        }
      });
  });

  describe('an incarnation that throws', () => {
    const crash = { type: 'xstate.error.actor.incarnation', error: new Error('no descriptors left') };
    for (const [state, { by }] of Object.entries(table.states))
      it(`is an abnormal exit in ${state}`, () => {
        const { state: next, effects } = take(unitMachine, after(unitMachine, unitInput, by), crash as never);
        assert.equal(lifeOf(next), 'exited');
        const reports = effects.map(([, params]) => params as { type: string; exit: Exit } | undefined);
        const { exit } = reports.find((report) => report?.type === 'unit.exited')!;
        assert.equal(exit.class, 'abnormal');
        assert.match(exit.reason, /no descriptors left/);
      });
  });
});
