// Gate: whether the units that one depends on are where it needs them. A level, computed from the present incarnations
// only: what an earlier one had reached opens nothing.
import { stateMatches } from '../names.ts';
import type { UnitPhase } from './unit.ts';
import type { Gate, UnitView } from './unit-view.ts';

/** A unit in one of these will not get anywhere unless somebody steps in. */
const hopeless: ReadonlySet<UnitPhase> = new Set<UnitPhase>(['failed', 'skipped', 'removed', 'unkillable']);

export function gateOf({ policy }: UnitView, units: Readonly<Record<string, UnitView>>): Gate {
  const missing: string[] = [];
  for (const [id, wanted] of Object.entries(policy.dependsOn)) {
    const parent = units[id];
    if (parent && holds(parent, wanted)) continue;
    const never =
      !parent || hopeless.has(parent.phase) || (parent.phase === 'completed' && wanted !== 'completed');
    if (never)
      return { type: 'gate.barred', why: `${id} is ${parent?.phase ?? 'unknown'} and will not be ${wanted}` };
    missing.push(`${id}:${wanted}`);
  }
  return missing.length === 0 ? { type: 'gate.opened' } : { type: 'gate.closed', missing };
}

function holds(view: UnitView, wanted: string): boolean {
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
  return JSON.stringify(one) === JSON.stringify(other);
}
