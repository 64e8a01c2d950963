// Run rows: what `run` shows below the lines of the units: the tree, and as many units as there is room for, those first
// that need attention.
import type { TreeStatus, UnitStatus } from '../runtime/status.ts';
import { paint } from './color.ts';
import { fitted, gridLines } from './grid.ts';
import { treeHead, unitCells, unitColumns } from './unit-rows.ts';

/** The head and the last row, which says how many are not shown, among them. */
const rowsMax = 10;

export function runRows(status: TreeStatus, width: number, height: number): string[] {
  // The lines of the units are what is read; in a low window they have all of it.
  const room = Math.min(rowsMax, Math.floor(height / 2) - 1);
  if (room < 1) return [];
  // The last column stays free: some terminals wrap behind it.
  const wide = Math.max(1, width - 1);
  const head = fitted(`${paint.dim('──')} ${treeHead(status)}`, wide);
  // The names of the columns take a row, too.
  const shown = chosen(status.units, room - 2);
  if (shown.length === 0) return [head];
  const hidden = status.units.length - shown.length;
  const [names, ...rows] = gridLines(
    unitColumns,
    shown.map((unit) => unitCells(unit)[0]!),
    wide,
  );
  const more = hidden > 0 ? [paint.dim(fitted(`... and ${hidden} more`, wide))] : [];
  return [head, paint.dim(names!), ...rows, ...more];
}

/** In their order. */
function chosen(units: readonly UnitStatus[], room: number): readonly UnitStatus[] {
  if (units.length <= room) return units;
  const wanted = new Set(
    [...units].sort((a, b) => Number(isQuiet(a)) - Number(isQuiet(b))).slice(0, Math.max(0, room - 1)),
  );
  return units.filter((unit) => wanted.has(unit));
}

function isQuiet({ phase, health }: UnitStatus): boolean {
  return (phase === 'up' && (health === null || health.good)) || phase === 'completed' || phase === 'idle';
}
