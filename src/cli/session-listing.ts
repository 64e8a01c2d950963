// Session listing: the processes of a session for people.
import Table from 'cli-table3';
import type { SessionListing, SessionRow } from '../runtime/session-rows.ts';
import type { Started } from '../runtime/session-supervisor.ts';
import { describeMs } from '../runtime/status.ts';
import { paint } from './color.ts';

/** One line about a process. */
export function describeRow(row: SessionRow): string {
  const pid = row.pid === null ? '' : ` as process ${row.pid}`;
  const note = row.note === null ? '' : `: ${row.note}`;
  return `${nameOf(row)} is ${stateOf(row)}${pid}${note}`;
}

export function describeStart({ row, already, failure }: Started): string {
  if (failure) return `${nameOf(row)} did not come up: ${failure.why}`;
  if (already) return `${nameOf(row)} runs already, as process ${row.pid}`;
  return describeRow(row);
}

/** @param program what people type before `session`. */
export function renderListing({ workspace, supervisor, rows }: SessionListing, program: string): string {
  const head = supervisor
    ? `supervisor ${supervisor.pid}, up ${describeMs(supervisor.uptimeMs)}`
    : `not active; "${program} session activate" starts it`;
  const title = `${paint.bold(workspace)}  ${head}`;
  if (rows.length === 0) return `${title}\nno processes yet; "${program} session start --uri ..." adds one`;
  const table = new Table({
    head: ['process', 'state', 'pid', 'starts', 'restart', 'shutdown', 'waits for', 'name'],
    style: { head: [], border: [], compact: true },
    chars: plainBorders,
  });
  for (const row of rows)
    table.push([
      nameOf(row),
      colored(row),
      row.pid === null ? '' : String(row.pid),
      String(row.starts),
      row.restart ? '1' : '0',
      row.shutdown ? '1' : '0',
      row.dependsOn.join(', '),
      row.name,
    ]);
  const notes = rows.flatMap((row) => {
    const why = row.note ?? (row.phase === 'up' ? null : row.lastExit);
    return why === null ? [] : [`${nameOf(row)}: ${why}`];
  });
  return [title, table.toString(), ...notes].join('\n');
}

function nameOf({ alias, name }: SessionRow): string {
  return alias ?? name;
}

function stateOf({ phase, state }: SessionRow): string {
  return phase === 'up' && state !== null ? state : phase;
}

function colored(row: SessionRow): string {
  const color =
    row.phase === 'up'
      ? paint.green
      : ['failed', 'skipped', 'mistaken'].includes(row.phase)
        ? paint.red
        : paint.yellow;
  return color(stateOf(row));
}

const plainBorders = Object.fromEntries(
  [
    'top',
    'top-mid',
    'top-left',
    'top-right',
    'bottom',
    'bottom-mid',
    'bottom-left',
    'bottom-right',
    'left',
    'left-mid',
    'mid',
    'mid-mid',
    'right',
    'right-mid',
    'middle',
  ].map((part) => [part, part === 'middle' ? '  ' : '']),
);
