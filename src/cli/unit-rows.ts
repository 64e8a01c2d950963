// Unit rows: the units of a tree as cells of a listing, for all commands that show them.
import { describeMs, type TreeStatus, type UnitStatus } from '../runtime/status.ts';
import { paint } from './color.ts';
import { type Column, gridLines } from './grid.ts';

export const unitColumns: readonly Column[] = [
  { head: 'unit', cut: true },
  { head: 'state', cut: true },
  { head: 'pid', align: 'right', drop: 3 },
  { head: 'up', align: 'right', min: 7, drop: 2 },
  { head: 'restarts', align: 'right', drop: 4 },
  { head: 'health', drop: 5 },
  { head: 'cpu', align: 'right', min: 6, drop: 6 },
  { head: 'memory', align: 'right', min: 9, drop: 7 },
  { head: 'last exit', drop: 8 },
];

const hostColumns: readonly Column[] = [
  unitColumns[0]!,
  { head: 'host', cut: true },
  ...unitColumns.slice(1),
];

/** The units as lines, each with its host where there are several. */
export function unitLines({ hosts }: TreeStatus, units: readonly UnitStatus[], width?: number): string[] {
  if (!hosts) return gridLines(unitColumns, units.flatMap(unitCells), width);
  const rows = units.flatMap((unit) =>
    unitCells(unit).map(([name, ...cells]) => [name!, unit.host ?? '', ...cells]),
  );
  return gridLines(hostColumns, rows, width);
}

/** A line for each other host that is not heard. */
export function silentHosts({ hosts = [] }: TreeStatus): string[] {
  return hosts.flatMap(({ name, heard, silenceMs }) => {
    const last = silenceMs === null ? '' : `, last heard ${describeMs(silenceMs)} ago`;
    if (heard === 'silent')
      return [paint.yellow(`host ${name} is silent${last}: what its units do is unknown`)];
    if (heard === 'never') return [paint.yellow(`host ${name} has not been heard yet`)];
    return heard === 'left' ? [`host ${name} has been taken down${last}`] : [];
  });
}

/** Of one unit, and of the actors below it. */
export function unitCells(unit: UnitStatus): string[][] {
  const { shown = [], more = false } = unit.actors ?? {};
  const rows = [cellsOf(unit)];
  for (const { name, kind, phase, starts } of shown)
    rows.push(
      cellsOf({
        ...unit,
        ...noProcess,
        name: `${unit.name}/${name}`,
        kind,
        phase,
        restarts: Math.max(0, starts - 1),
      }),
    );
  if (more) rows.push([`${unit.name}/...`, 'and more']);
  return rows;
}

const noProcess = {
  ...{ state: null, pid: null, uptimeMs: null, health: null, usage: null, lastExit: null, note: null },
} as const;

function cellsOf({
  name,
  kind,
  phase,
  state,
  pid,
  note,
  restarts,
  uptimeMs,
  health,
  usage,
  lastExit,
}: UnitStatus): string[] {
  const indent = '  '.repeat(name.split('/').length - 1);
  const shown = state === null || phase !== 'up' ? phase : state;
  const color = colorOf(phase);
  return [
    `${indent}${name}${kind === 'supervisor' ? '/' : ''}`,
    note === null ? color(shown) : `${color(shown)} (${note})`,
    pid === null ? '' : String(pid),
    uptimeMs === null ? '' : describeMs(uptimeMs),
    String(restarts),
    health === null ? '' : health.good ? 'good' : paint.yellow(`${health.failures} failed`),
    usage === null ? '' : `${usage.cpuPercent.toFixed(1)}%`,
    usage === null ? '' : describeBytes(usage.memoryBytes),
    lastExit ?? '',
  ];
}

function colorOf(phase: string): (text: string) => string {
  if (phase === 'up') return paint.green;
  return isLost(phase) ? paint.red : paint.yellow;
}

/** Whether it stays down unless somebody steps in. */
function isLost(phase: string): boolean {
  return phase === 'failed' || phase === 'skipped' || phase === 'unkillable';
}

/** What is said of the tree as a whole. */
export function treeHead({ name, state, pid, uptimeMs, usage, units, hosts }: TreeStatus): string {
  const here = hosts?.find(({ heard }) => heard === 'here');
  const processes = units.filter(({ kind }) => kind !== 'supervisor');
  const up = processes.filter(({ phase }) => phase === 'up').length;
  const lost = processes.filter(({ phase }) => isLost(phase)).length;
  const parts = [
    `${paint.bold(name)} ${state}`,
    `${up} of ${processes.length} up${lost > 0 ? `, ${paint.red(`${lost} given up`)}` : ''}`,
    `root ${pid}${here ? ` on ${here.name}` : ''}, up ${describeMs(uptimeMs)}`,
    ...(usage ? [`${usage.cpuPercent.toFixed(1)}% ${describeBytes(usage.memoryBytes)}`] : []),
  ];
  return parts.join('  ');
}

export function describeBytes(bytes: number): string {
  if (bytes < 1024) return `${bytes} B`;
  const power = Math.min(4, Math.floor(Math.log2(bytes) / 10));
  return `${(bytes / 1024 ** power).toFixed(1)} ${'KMGT'[power - 1]}iB`;
}
