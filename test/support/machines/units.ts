// Units: what the tables of the unit machine have in common.
import type { AnyMachineSnapshot } from 'xstate';
import type { Exit } from '../../../src/machines/exit.ts';
import type { IncarnationEvent, UnitEvent, UnitPhase, UnitReport } from '../../../src/machines/unit.ts';
import { type AfterEvent, type Effect, elapsed, pathOf } from './step.ts';

/** Where its life is; the region of its gate is left out. */
export function lifeOf(snapshot: AnyMachineSnapshot): string {
  return pathOf(snapshot.value.life);
}

type Changed = Omit<Extract<UnitReport, { type: 'unit.changed' }>, 'note'>;

/** Notes are for people, and have tests of their own. */
export function withoutNote([name, params]: Effect): Effect {
  if (name !== 'report') return params === undefined ? [name] : [name, params];
  const { note: _, ...report } = params as { note?: unknown };
  return [name, report];
}

/** The report of where a unit is now. Without facts: before its first start. */
export function changed(phase: UnitPhase, facts: Partial<Changed> = {}): Effect {
  return ['report', { type: 'unit.changed', id: 'a', phase, epoch: 0, pid: null, state: null, ...facts }];
}

/** The same in its first epoch, with the process that the samples spawn. */
export function running(phase: UnitPhase, facts: Partial<Changed> = {}): Effect {
  return changed(phase, { epoch: 1, pid: 7, ...facts });
}

/** The report of its end. */
export function ended(facts: Partial<Exit>): Effect {
  const exit = {
    class: 'abnormal',
    reason: 'ended with code 1',
    code: 1,
    signal: null,
    requested: 'none',
    uptimeMs: 20,
    atMs: 30,
  };
  return ['report', { type: 'unit.exited', id: 'a', epoch: 1, exit: { ...exit, ...facts } }];
}

export const begun: Effect = ['invoke incarnation', { path: 'tree/a', epoch: 1, adopt: null }];
/** XState is told to let go of the incarnation, which has ended by then. */
export const left: Effect = ['stop child'];
export const order = (type: 'ask' | 'terminate' | 'kill' | 'replace' | 'unreplace'): Effect => [
  'send incarnation',
  { type },
];

export const start: UnitEvent = { type: 'start' };
export const stop: UnitEvent = { type: 'stop' };
export const restart: UnitEvent = { type: 'restart', reason: 'a new release' };
export const opened: UnitEvent = { type: 'gate.opened' };
export const closed: UnitEvent = { type: 'gate.closed', missing: ['db:operative'] };
export const barred: UnitEvent = { type: 'gate.barred', why: 'db is failed and will not be operative' };

export const spawned: IncarnationEvent = { type: 'incarnation.spawned', epoch: 1, pid: 7, atMs: 10 };
export const ready: IncarnationEvent = { type: 'incarnation.ready', epoch: 1, atMs: 20 };
export const reported: IncarnationEvent = { type: 'incarnation.reported', epoch: 1, state: 'operative' };
export const refused: IncarnationEvent = {
  type: 'incarnation.refused',
  epoch: 1,
  why: 'no such file',
  permanent: true,
};
export const emptied: IncarnationEvent = { type: 'incarnation.emptied', epoch: 1, atMs: 30 };

export function exited(code: number | null, signal: string | null = null): IncarnationEvent {
  return { type: 'incarnation.exited', epoch: 1, code, signal, atMs: 30 };
}

/** What it takes wherever its life is: news of its gate, of its rules, and of those who stand by. */
export const ofGate = [
  ...[opened, closed, barred].map(({ type }) => type),
  'policy.changed',
  'standby.changed',
];

/** That delay of a state of its life has passed. */
export function passed(delay: string, state: string): AfterEvent {
  return elapsed(delay, `unit.life.${state}`);
}

/** How a unit comes to be alive, and up. */
export const toSpawning = [opened, start];
export const toStarting = [...toSpawning, spawned];
export const toUp = [...toStarting, ready];
export const toExited = [...toUp, exited(1), emptied];
