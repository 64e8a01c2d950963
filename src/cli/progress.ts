// Progress: a row that tells a person in a terminal what a command is waiting for. It stands on the error stream, so that what
// the command prints can be read by a program.
import { askTree } from '../runtime/control-client.ts';
import { describeMs, type TreeStatus, type UnitStatus } from '../runtime/status.ts';
import { fitted } from './grid.ts';
import { LiveView } from './live-view.ts';

/** A person sees no more changes than that; each costs the root a look at its units. */
const lookMs = 500;
const unitsMax = 4;

interface Waiting {
  readonly workspace: string;
  /** What it waits for, in words. */
  readonly what: string;
  /** Whether a unit is one of those that are waited for. */
  readonly concerns: (unit: UnitStatus) => boolean;
}

/** Waits, and says for what if that takes longer than a moment. */
export async function withProgress<T>(
  { workspace, what, concerns }: Waiting,
  wait: () => Promise<T>,
): Promise<T> {
  if (process.stderr.isTTY !== true || process.env.TERM === 'dumb') return wait();
  const beganAtMs = performance.now();
  let units: readonly UnitStatus[] = [];
  let view: LiveView | undefined;
  const draw = (width: number) => {
    const waited = describeMs(performance.now() - beganAtMs);
    return [fitted(`${what}: ${describeWaiting(units)}(${waited})`, Math.max(1, width - 1))];
  };
  const timer = setInterval(() => {
    view ??= new LiveView(process.stderr, draw);
    askTree(workspace, 'status').then(
      (status) => {
        units = (status as TreeStatus).units.filter(concerns);
        view?.refresh();
      },
      () => {},
    );
  }, lookMs);
  try {
    return await wait();
  } finally {
    clearInterval(timer);
    view?.close();
  }
}

function describeWaiting(units: readonly UnitStatus[]): string {
  if (units.length === 0) return '';
  const shown = units.slice(0, unitsMax).map(({ name, phase, state, note }) => {
    const where = state === null || phase !== 'up' ? phase : state;
    return `${name} ${where}${note === null ? '' : `, ${note}`}`;
  });
  const more = units.length > unitsMax ? ` and ${units.length - unitsMax} more` : '';
  return `${shown.join('; ')}${more} `;
}

/** Whether something of a unit is still there. */
export function stands({ phase }: UnitStatus): boolean {
  return !['idle', 'exited', 'completed', 'failed', 'skipped', 'removed'].includes(phase);
}

/** Whether a unit is not yet where a start leads it. */
export function isComing({ phase }: UnitStatus): boolean {
  return !['up', 'idle', 'completed', 'removed'].includes(phase);
}
