// Spec change: what becomes of a running supervisor's units when it gets other rules or other children.
import type { ChildPolicy } from '../spec/child.ts';
import type { Orders } from './dependency.ts';
import { isDown } from './group.ts';
import { newView, type UnitView } from './unit-view.ts';

type Units = Readonly<Record<string, UnitView>>;

/** A child, as far as it decides over starts and stops. */
export interface ChildRules {
  readonly id: string;
  readonly policy: ChildPolicy;
}

/** The units in their new order. Those that are named no more stay, behind the others, until they are forgotten. */
export function unitsAfter(units: Units, children: readonly ChildRules[]): Units {
  const named = children.map(({ id, policy }): [string, UnitView] => {
    const known = Object.hasOwn(units, id) ? units[id]! : undefined;
    if (!known) return [id, newView(id, policy)];
    return [id, samePolicy(known.policy, policy) ? known : { ...known, policy }];
  });
  const after = new Map(named);
  for (const [id, view] of Object.entries(units)) if (!after.has(id)) after.set(id, view);
  return Object.fromEntries(after);
}

/** Units that run on by other rules are told them. */
export function ordersOfRules(before: Units, after: Units): Orders {
  return Object.values(after).flatMap(({ id, policy }): Orders => {
    const known = before[id];
    if (!known || known.policy === policy) return [];
    return [{ unit: id, event: { type: 'policy.changed', policy } }];
  });
}

/** Whether a unit is down and waits for nobody's decision, so that it can be forgotten. */
export function isForgettable(view: UnitView | undefined): boolean {
  return view !== undefined && isDown(view) && view.phase !== 'exited';
}

export function unitsWithout(units: Units, id: string): Units {
  return Object.fromEntries(Object.entries(units).filter(([other]) => other !== id));
}

function samePolicy(one: ChildPolicy, other: ChildPolicy): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}
