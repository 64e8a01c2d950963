import type { UnitEvent, UnitInput } from '../../src/machines/unit.ts';
import { unitMachine } from '../../src/machines/unit.ts';
import { unitEvents, unitInput } from '../support/machines/samples.ts';
import {
  describeBeginning,
  describeCompleteness,
  describeStates,
  type Row,
  type Table,
} from '../support/machines/table.ts';
import {
  barred,
  begun,
  changed,
  closed,
  lifeOf,
  ofGate,
  opened,
  passed,
  restart,
  start,
  stop,
  toExited,
  withoutNote,
} from '../support/machines/units.ts';

type Rows = Row<UnitEvent, UnitInput>[];

const remove: UnitEvent = { type: 'remove' };
const reset: UnitEvent = { type: 'reset' };
const kill: UnitEvent = { type: 'kill' };
const gone = { on: remove, to: 'removed' };
const restartNow: UnitEvent = { type: 'verdict.restart', delayMs: 0 };
const restartLater: UnitEvent = { type: 'verdict.restart', delayMs: 100 };
const giveUp: UnitEvent = { type: 'verdict.fail', why: 'too many restarts' };

/** What a start, asked for or planned, leads to with each position of the gate. */
function startsBy(on: Rows[number]['on'], by: readonly Rows[number]['on'][], epoch: number): Rows {
  const alive = [
    ['invoke incarnation', { path: 'tree/a', epoch: epoch + 1, adopt: null }] as const,
    changed('spawning', { epoch: epoch + 1 }),
  ];
  return [
    { on, by: [...by, opened], when: 'with an open gate', to: 'alive.spawning', does: alive },
    {
      on,
      by: [...by, closed],
      when: 'with a closed gate',
      to: 'blocked',
      does: [changed('blocked', { epoch })],
    },
    {
      on,
      by: [...by, barred],
      when: 'with a barred gate',
      to: 'skipped',
      does: [changed('skipped', { epoch })],
    },
  ];
}

/** A process that runs already is taken over, whatever the gate says. */
function adoptsBy(by: readonly Rows[number]['on'][], epoch: number): Rows[number] {
  const next = { epoch: epoch + 1 };
  return {
    on: { type: 'adopt', pid: 9, startTicks: 99 },
    by: [...by, barred],
    to: 'alive.spawning',
    does: [
      ['invoke incarnation', { path: 'tree/a', adopt: { pid: 9, startTicks: 99 }, ...next }],
      changed('spawning', next),
    ],
  };
}

const toBackoff = [...toExited, restartLater];
const toCompleted: UnitEvent[] = [...toExited, { type: 'verdict.done' }];
const toFailed = [...toExited, giveUp];
const after = { epoch: 1 };

const table: Table<UnitEvent, UnitInput> = {
  input: unitInput,
  events: unitEvents,
  at: lifeOf,
  seen: withoutNote,
  remembered: ofGate,
  states: {
    idle: {
      by: [],
      rows: [
        ...startsBy(start, [], 0),
        adoptsBy([], 0),
        {
          on: start,
          input: { ...unitInput, adopt: { pid: 9, startTicks: 99 } },
          when: 'with a process that an earlier supervisor has left',
          to: 'alive.spawning',
          does: [
            ['invoke incarnation', { path: 'tree/a', epoch: 1, adopt: { pid: 9, startTicks: 99 } }],
            changed('spawning', { epoch: 1 }),
          ],
        },
        { ...gone, does: [changed('removed')] },
      ],
    },
    blocked: {
      by: [start],
      rows: [
        { on: opened, to: 'alive.spawning', does: [begun, changed('spawning', { epoch: 1 })] },
        { on: closed, to: 'blocked', does: [changed('blocked')] },
        {
          on: barred,
          to: 'skipped',
          does: [changed('skipped')],
        },
        { on: stop, to: 'idle', does: [changed('idle')] },
        { on: kill, to: 'idle', does: [changed('idle')] },
        { ...gone, does: [changed('removed')] },
      ],
    },
    exited: {
      by: toExited,
      rows: [
        ...startsBy(restartNow, toExited, 1),
        { on: restartLater, to: 'backoff', when: 'with a delay', does: [changed('backoff', after)] },
        {
          on: restartLater,
          by: [...toExited, { type: 'standby.changed', warm: 1 }, opened],
          when: 'with a delay, if another one stands by',
          to: 'alive.spawning',
          does: [
            ['invoke incarnation', { path: 'tree/a', epoch: 2, adopt: null }],
            changed('spawning', { epoch: 2 }),
          ],
        },
        { on: { type: 'verdict.down' }, to: 'idle', does: [changed('idle', after)] },
        { on: { type: 'verdict.done' }, to: 'completed', does: [changed('completed', after)] },
        { on: giveUp, to: 'failed', does: [changed('failed', after)] },
        { on: { type: 'verdict.remove' }, to: 'removed', does: [changed('removed', after)] },
      ],
    },
    backoff: {
      by: toBackoff,
      rows: [
        ...startsBy(passed('backoffDelay', 'backoff'), toBackoff, 1),
        ...startsBy(restart, toBackoff, 1),
        ...startsBy(start, toBackoff, 1),
        { on: stop, to: 'idle', does: [changed('idle', after)] },
        { on: kill, to: 'idle', does: [changed('idle', after)] },
        { ...gone, does: [changed('removed', after)] },
      ],
    },
    completed: {
      by: toCompleted,
      rows: [
        ...startsBy(start, toCompleted, 1),
        adoptsBy(toCompleted, 1),
        { ...gone, does: [changed('removed', after)] },
      ],
    },
    failed: {
      by: toFailed,
      rows: [
        { on: reset, to: 'idle', does: [changed('idle', after)] },
        ...startsBy(start, toFailed, 1),
        adoptsBy(toFailed, 1),
        { ...gone, does: [changed('removed', after)] },
      ],
    },
    skipped: {
      by: [barred, start],
      rows: [
        { on: opened, to: 'alive.spawning', does: [begun, changed('spawning', { epoch: 1 })] },
        { on: closed, to: 'blocked', does: [changed('blocked')] },
        { on: stop, to: 'idle', does: [changed('idle')] },
        { on: reset, to: 'idle', does: [changed('idle')] },
        adoptsBy([barred, start], 0),
        { ...gone, does: [changed('removed')] },
      ],
    },
    removed: { by: [remove], rows: [] },
  },
};

describe('unitMachine, at rest', () => {
  describeBeginning(unitMachine, table, 'idle', [changed('idle')]);
  describeStates(unitMachine, table);
  describeCompleteness(unitMachine, table, {
    region: 'life',
    covers: (path) => !path.startsWith('alive.'),
  });
});
