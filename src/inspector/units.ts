// Units: the tree as the page draws it, from what the root knows of each unit and of its dead lives.
import { describeExit, type TreeStatus, type UnitStatus } from '../runtime/status.ts';
import type { Death, Tree } from '../runtime/tree.ts';
import type { DeadIncarnation, LogLine, ProcessId, UnitView } from './protocol.ts';

export const rootProcess: ProcessId = '#0';

export function processId(unit: string | null, epoch: number): ProcessId {
  return unit === null ? rootProcess : `${unit}#${epoch}`;
}

/** The unit and the incarnation; null for the root. */
export function unitOf(process: ProcessId): { unit: string; epoch: number } | null {
  const at = process.lastIndexOf('#');
  return at <= 0 ? null : { unit: process.slice(0, at), epoch: Number(process.slice(at + 1)) };
}

/** All units, with the root before them. */
export function unitViews(status: TreeStatus, deaths: Pick<Tree['deaths'], 'of'>): UnitView[] {
  const root: UnitView = {
    ...nothing,
    path: '',
    kind: 'root',
    phase: 'up',
    pid: status.pid,
    process: rootProcess,
    incarnation: 1,
    starts: 1,
  };
  return [root, ...status.units.flatMap((unit) => viewsOf(unit, deaths.of(unit.name)))];
}

const nothing = { state: null, pid: null, app: null, lastExit: null, waitsFor: null, dead: [] } as const;

function viewsOf(unit: UnitStatus, deaths: readonly Death[]): UnitView[] {
  const { name: path, kind, phase, state, pid, starts, app, lastExit, note, actors } = unit;
  const process = kind === 'node' && pid !== null ? processId(path, starts) : null;
  const view: UnitView = {
    ...{ path, kind, phase, state, pid, starts, app, lastExit },
    incarnation: starts,
    process: kind === 'actor' || kind === 'supervisor' ? rootProcess : process,
    waitsFor: note,
    dead: deaths.map(deadOf),
  };
  const below = (actors?.shown ?? []).map(
    (actor): UnitView => ({
      ...nothing,
      path: `${path}/${actor.name}`,
      kind: actor.kind,
      phase: actor.phase,
      process: rootProcess,
      incarnation: actor.starts,
      starts: actor.starts,
    }),
  );
  return [view, ...below];
}

function deadOf({
  unit,
  incarnation,
  pid,
  endedAtMs,
  exit,
  verdict,
  state,
  flight,
  lines,
}: Death): DeadIncarnation {
  const { code, signal, uptimeMs } = exit;
  return {
    process: processId(unit, incarnation),
    ...{ incarnation, pid, endedAtMs, state, flight },
    exit: { class: exit.class, reason: describeExit(exit), code, signal, uptimeMs, verdict },
    log: lines.map(
      ({ atMs, stream, line }): LogLine => ({
        atMs: atMs ?? endedAtMs,
        unit,
        stream,
        level: null,
        text: line,
      }),
    ),
  };
}
