// Views: what a supervisor knows of its units, for tests of its rules.
import type { UnitPhase } from '../../../src/machines/unit.ts';
import { newView, type UnitView } from '../../../src/machines/unit-view.ts';
import type { ChildPolicy } from '../../../src/spec/child.ts';
import { policy } from './samples.ts';

/** One unit in that phase. */
export function view(
  id: string,
  phase: UnitPhase,
  change: Partial<UnitView> = {},
  rules: Partial<ChildPolicy> = {},
): UnitView {
  return { ...newView(id, { ...policy, ...rules }), phase, ...change };
}

/** By their names, in their order. */
export function viewsOf(...views: readonly UnitView[]): Record<string, UnitView> {
  return Object.fromEntries(views.map((each) => [each.id, each]));
}
