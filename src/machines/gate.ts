// Gate: whether the units that one depends on are where it needs them. A level, computed from the present incarnations
// only: what an earlier one had reached opens nothing.
import { stateMatches } from '../names.ts';
import { type EdgeMode, edgeOf } from '../spec/child.ts';
import { isDown } from './group.ts';
import type { UnitPhase } from './unit-report.ts';
import type { Elsewhere, Gate, UnitView } from './unit-view.ts';

/** A unit in one of these will not get anywhere unless somebody steps in. */
const hopeless: ReadonlySet<UnitPhase> = new Set<UnitPhase>(['failed', 'skipped', 'removed', 'unkillable']);

export function gateOf({ policy }: UnitView, units: Readonly<Record<string, UnitView>>): Gate {
  const missing: string[] = [];
  for (const [id, edge] of Object.entries(policy.dependsOn)) {
    const { state: wanted, mode } = edgeOf(edge);
    const parent = units[id];
    if (mode === 'partOf' || isOpen(mode, parent, wanted)) continue;
    if (parent?.elsewhere) {
      missing.push(`${id}:${wanted} (${whyElsewhere(parent, parent.elsewhere)})`);
      continue;
    }
    const never =
      !parent || hopeless.has(parent.phase) || (parent.phase === 'completed' && wanted !== 'completed');
    if (never)
      return { type: 'gate.barred', why: `${id} is ${parent?.phase ?? 'unknown'} and will not be ${wanted}` };
    missing.push(mode === 'conflicts' ? `${id}:down` : `${id}:${wanted}`);
  }
  return missing.length === 0 ? { type: 'gate.opened' } : { type: 'gate.closed', missing };
}

/** Whatever has become of a unit of another host: somebody may step in there, so it is waited for. */
function whyElsewhere({ phase }: UnitView, { host, heard }: Elsewhere): string {
  switch (heard) {
    case 'never':
      return `host ${host} has not been heard yet`;
    case 'silent':
      return `host ${host} is silent`;
    case 'left':
      return `host ${host} has been taken down`;
    default:
      return `${phase} on host ${host}`;
  }
}

function isOpen(mode: EdgeMode, parent: UnitView | undefined, wanted: string): boolean {
  const heard = parent?.elsewhere?.heard;
  if (heard === 'never') return false;
  // Who can do without the other does not wait for its host.
  if (heard === 'silent' || heard === 'left') return mode === 'after' || mode === 'wants';
  if (mode === 'conflicts') return isDown(parent);
  if (parent && holds(parent, wanted)) return true;
  if (mode === 'after') return !parent || parent.phase === 'idle' || hasFailed(parent);
  return mode === 'wants' && (!parent || hasFailed(parent));
}

/** It has ended before it came to where it was wanted. */
function hasFailed({ phase, exit }: UnitView): boolean {
  return phase !== 'idle' && (hopeless.has(phase) || phase === 'completed' || exit !== null);
}

/**
 * The units that one depends on in that mode, and that are not where it needs them. Those of a silent host count as they were last
 * heard, unless the unit is to stop then.
 */
export function lostBy(
  { policy }: UnitView,
  units: Readonly<Record<string, UnitView>>,
  wantedMode: EdgeMode,
): { id: string; state: string }[] {
  return Object.entries(policy.dependsOn).flatMap(([id, edge]) => {
    const { state, mode } = edgeOf(edge);
    const parent = units[id];
    if (mode !== wantedMode) return [];
    const doubted = parent?.elsewhere?.heard === 'silent' && policy.onPartition === 'stop';
    return parent && holds(parent, state) && !doubted ? [] : [{ id, state }];
  });
}

/** Whether a unit is where it is wanted, as far as it is known. */
export function holds(view: UnitView, wanted: string): boolean {
  const { phase, state } = view;
  switch (wanted) {
    case 'started':
      return phase === 'starting' || phase === 'up';
    case 'ready':
      return phase === 'up';
    case 'completed':
      return hasCompleted(view);
    default:
      return phase === 'up' && stateMatches(state ?? undefined, wanted);
  }
}

/** A temporary unit is removed once it has ended, also when it has ended well. */
function hasCompleted({ phase, exit }: UnitView): boolean {
  return phase === 'completed' || (phase === 'removed' && exit?.class === 'normal');
}

export function sameGate(one: Gate, other: Gate | null): boolean {
  if (one.type !== other?.type) return false;
  if (one.type === 'gate.opened') return true;
  return JSON.stringify(one) === JSON.stringify(other);
}
