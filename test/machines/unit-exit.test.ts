import { assert } from 'chai';
import type { Exit } from '../../src/machines/exit.ts';
import { type UnitEvent, type UnitInput, type UnitReport, unitMachine } from '../../src/machines/unit.ts';
import { policy, unitInput } from '../support/machines/samples.ts';
import { type AfterEvent, after, take } from '../support/machines/step.ts';
import {
  barred,
  closed,
  emptied,
  exited,
  opened,
  passed,
  refused,
  restart,
  spawned,
  start,
  stop,
  toSpawning,
  toStarting,
  toUp,
} from '../support/machines/units.ts';

type Events = readonly (UnitEvent | AfterEvent)[];

const kill: UnitEvent = { type: 'kill' };
const refusedForNow: UnitEvent = { ...refused, why: 'busy', permanent: false } as UnitEvent;
const killsAtOnce: UnitInput = { ...unitInput, policy: { ...policy, shutdown: 'kill' } };
const late = [
  passed('askTimeout', 'alive.stopping.asking'),
  passed('shutdownTimeout', 'alive.stopping'),
  exited(null, 'SIGKILL'),
];

/** What the unit reports of an end after those events. */
function exitAfter(events: Events, input: UnitInput = unitInput): Exit {
  const { effects } = take(unitMachine, after(unitMachine, input, events), emptied);
  const report = effects.map(([, params]) => params as UnitReport | undefined).find(isExit);
  return report!.exit;
}

function isExit(report: UnitReport | undefined): report is Extract<UnitReport, { type: 'unit.exited' }> {
  return report?.type === 'unit.exited';
}

const again: UnitEvent = { type: 'verdict.restart', delayMs: 0 };

function inEpoch(epoch: number, ...events: UnitEvent[]): UnitEvent[] {
  return events.map((event) => ({ ...event, epoch }) as UnitEvent);
}

function secondExit(events: Events): Exit {
  const { effects } = take(
    unitMachine,
    after(unitMachine, unitInput, events),
    inEpoch(2, emptied)[0] as UnitEvent,
  );
  return effects.map(([, params]) => params as UnitReport | undefined).find(isExit)!.exit;
}

describe('unit.exited', () => {
  const rows: [title: string, events: Events, exit: Partial<Exit>][] = [
    [
      'is normal after code 0',
      [...toUp, exited(0)],
      { class: 'normal', reason: 'ended with code 0', code: 0, requested: 'none' },
    ],
    [
      'is abnormal after another code',
      [...toUp, exited(3)],
      { class: 'abnormal', reason: 'ended with code 3', code: 3 },
    ],
    [
      'is abnormal after a signal that nobody here sent',
      [...toUp, exited(null, 'SIGSEGV')],
      { class: 'abnormal', reason: 'ended by SIGSEGV', code: null, signal: 'SIGSEGV' },
    ],
    [
      'is abnormal if the program left without a word about itself',
      toUp,
      { class: 'abnormal', reason: 'ended', code: null, signal: null },
    ],
    [
      'is a shutdown after a stop, whatever the code',
      [...toUp, stop, exited(1)],
      { class: 'shutdown', reason: 'ended with code 1, as asked', requested: 'stop' },
    ],
    [
      'is a shutdown after a stop that SIGTERM had to bring about',
      [...toUp, stop, exited(null, 'SIGTERM')],
      { class: 'shutdown', reason: 'ended by SIGTERM, as asked', requested: 'stop' },
    ],
    [
      'is a shutdown for a restart',
      [...toUp, restart, exited(0)],
      { class: 'shutdown', requested: 'restart' },
    ],
    ['knows that a stop overrides a restart', [...toUp, restart, stop, exited(0)], { requested: 'stop' }],
    ['knows that a start overrides a stop', [...toUp, stop, start, exited(0)], { requested: 'restart' }],
    ['knows that a kill overrides a restart', [...toUp, restart, kill], { requested: 'stop' }],
    [
      'counts a stop that came while the program ended by itself',
      [...toUp, exited(0), stop],
      { class: 'shutdown', requested: 'stop' },
    ],
    [
      'is killed after the deadline of a stop',
      [...toUp, stop, ...late],
      { class: 'killed', reason: 'did not stop in time, so it was killed', requested: 'stop' },
    ],
    [
      'is abnormal if it did not start in time',
      [...toSpawning, passed('startTimeout', 'alive.spawning'), exited(null, 'SIGKILL')],
      { class: 'abnormal', reason: 'it did not start in time, so it was stopped: ended by SIGKILL' },
    ],
    [
      'is abnormal if it was not ready in time',
      [...toStarting, passed('startTimeout', 'alive.starting'), exited(null, 'SIGTERM')],
      { class: 'abnormal', reason: 'it was not ready in time, so it was stopped: ended by SIGTERM' },
    ],
    [
      'is abnormal, but as asked, if a stop came after it had missed its deadline',
      [...toStarting, passed('startTimeout', 'alive.starting'), stop, exited(0)],
      { class: 'abnormal', requested: 'stop' },
    ],
    [
      'is a permanent failure if the first start was refused for good',
      [...toSpawning, refused, exited(127)],
      { class: 'permanent-failure', reason: 'no such file', code: 127 },
    ],
    [
      'is abnormal if a start was refused for now',
      [...toSpawning, refusedForNow, exited(null)],
      { class: 'abnormal', reason: 'busy' },
    ],
  ];
  for (const [title, events, expected] of rows)
    it(title, () => assert.deepInclude(exitAfter(events), expected));

  it('is abnormal if a later start is refused for good: it worked before', () => {
    const second = [...toUp, exited(1), emptied, again, ...inEpoch(2, refused, exited(127))];
    assert.deepInclude(secondExit(second), { class: 'abnormal', reason: 'no such file' });
  });

  it('owes nothing to the runs before it', () => {
    const killed = [...toUp, stop, start, ...late, emptied, again];
    const second = [...killed, ...inEpoch(2, spawned, exited(0))];
    assert.deepInclude(secondExit(second), {
      class: 'normal',
      reason: 'ended with code 0',
      requested: 'none',
      signal: null,
    });
  });

  it('counts its uptime from the spawn to the end of all that it started', () => {
    assert.deepInclude(exitAfter([...toUp, exited(0)]), { uptimeMs: 20, atMs: 30 });
  });

  it('has no uptime if there was no spawn', () => {
    assert.deepInclude(exitAfter([...toSpawning, refused, exited(127)]), { uptimeMs: 0, atMs: 30 });
  });

  const afterDraining = [passed('shutdownTimeout', 'alive.draining')];
  it('stays normal if only what the program left behind had to be killed', () =>
    assert.deepInclude(exitAfter([...toUp, exited(0), ...afterDraining]), {
      class: 'normal',
      reason: 'ended with code 0',
    }));

  it('keeps the reason of a crash if what the program left behind had to be killed', () =>
    assert.deepInclude(exitAfter([...toUp, exited(3), ...afterDraining]), {
      class: 'abnormal',
      reason: 'ended with code 3',
    }));

  it('does not call a unit late that was never given time', () => {
    const exit = exitAfter([...toUp, stop, exited(null, 'SIGKILL')], killsAtOnce);
    assert.equal(exit.class, 'killed');
    assert.notInclude(exit.reason, 'in time');
  });
});

describe('the note of a unit', () => {
  const barredWhy = 'db is failed and will not be operative';

  /** The note of the last report. */
  function noteAfter(...events: UnitEvent[]): string | null {
    const before = after(unitMachine, unitInput, events.slice(0, -1));
    const { effects } = take(unitMachine, before, events.at(-1)!);
    const report = effects.at(-1)![1] as UnitReport;
    return report.type === 'unit.changed' ? report.note : null;
  }

  it('says what a start waits for', () => assert.equal(noteAfter(closed, start), 'waits for db:operative'));

  it('says what it waits for now', () => assert.equal(noteAfter(start, closed), 'waits for db:operative'));

  it('says what a restart waits for', () =>
    assert.equal(noteAfter(...toUp, closed, exited(1), emptied, again), 'waits for db:operative'));

  it('says why a start is skipped', () => assert.equal(noteAfter(barred, start), barredWhy));

  it('says why a wait is skipped', () => assert.equal(noteAfter(start, barred), barredWhy));

  it('says what one that was skipped waits for', () =>
    assert.equal(noteAfter(barred, start, closed), 'waits for db:operative'));

  it('says why it was given up', () =>
    assert.equal(
      noteAfter(...toUp, exited(1), emptied, { type: 'verdict.fail', why: 'too many restarts' }),
      'too many restarts',
    ));

  it('is gone once it lives', () => assert.isNull(noteAfter(start, closed, opened)));

  it('is gone once it waits no more', () => assert.isNull(noteAfter(start, closed, stop)));
});
