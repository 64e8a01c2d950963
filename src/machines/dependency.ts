// Dependency: what a unit's edges to others lead to beyond its gate, when one of them starts, stops or leaves its state.
import { edgeOf } from '../spec/child.ts';
import type { Exit } from './exit.ts';
import { gateOf, lostBy, sameGate } from './gate.ts';
import { isDown } from './group.ts';
import type { UnitEvent, UnitPhase } from './unit.ts';
import type { Gate, UnitView } from './unit-view.ts';

type Units = Readonly<Record<string, UnitView>>;
/** What is sent to the units in one go. */
export type Orders = readonly { readonly unit: string; readonly event: UnitEvent }[];

/** Phases that only somebody's request leads out of. */
const resting: ReadonlySet<UnitPhase> = new Set<UnitPhase>(['idle', 'completed', 'failed']);
const running: ReadonlySet<UnitPhase> = new Set<UnitPhase>(['spawning', 'starting', 'up']);

/** The units whose gates are others than they were told. */
export function changedGates(units: Units): { id: string; gate: Gate }[] {
  return Object.values(units).flatMap((view) => {
    const gate = gateOf(view, units);
    return sameGate(gate, view.gate) ? [] : [{ id: view.id, gate }];
  });
}

/** Somebody asked for the start of a unit: those that it needs are started too, those that it can't stand are stopped. */
export function ordersOfStart(units: Units, id: string, phase: UnitPhase): Orders {
  const view = units[id];
  if (!view || phase !== 'blocked' || !resting.has(view.phase)) return [];
  return Object.entries(view.policy.dependsOn).flatMap(([unit, edge]): Orders => {
    const other = units[unit];
    const { mode } = edgeOf(edge);
    if (!other || mode === 'after' || mode === 'partOf') return [];
    if (mode === 'conflicts') return isDown(other) ? [] : [{ unit, event: { type: 'stop' } }];
    return other.phase === 'idle' ? [{ unit, event: { type: 'start' } }] : [];
  });
}

/** Somebody asked for the stop or the restart of a unit: those that require it, or are part of it, go with it. */
export function ordersOfRequest(units: Units, id: string, { requested }: Exit): Orders {
  if (requested === 'none') return [];
  return Object.values(units).flatMap((view): Orders => {
    const edge = Object.hasOwn(view.policy.dependsOn, id) ? edgeOf(view.policy.dependsOn[id]!) : undefined;
    if (edge?.mode !== 'requires' && edge?.mode !== 'partOf') return [];
    if (isDown(view) || view.phase === 'stopping') return [];
    const event: UnitEvent =
      requested === 'stop' ? { type: 'stop' } : { type: 'restart', reason: `${id} was restarted` };
    return [{ unit: view.id, event }];
  });
}

/** A unit has left the state that others need, or is back in it: who is bound goes down and waits, who holds is told. */
export function ordersOfLoss(before: Units, after: Units): Orders {
  return Object.values(after).flatMap((view): Orders => {
    if (!running.has(view.phase) || Object.keys(view.policy.dependsOn).length === 0) return [];
    const bound = newlyLost(before, after, view.id, 'bind');
    if (bound.length > 0)
      return [{ unit: view.id, event: { type: 'restart', reason: `${bound[0]!.id} is lost` } }];
    const told = (type: 'dependency.lost' | 'dependency.back', edges: { id: string; state: string }[]) =>
      edges.map(({ id, state }) => ({ unit: view.id, event: { type, dependency: id, state } }));
    return [
      ...told('dependency.lost', newlyLost(before, after, view.id, 'hold')),
      ...told('dependency.back', newlyLost(after, before, view.id, 'hold')),
    ];
  });
}

/** Also by an edge that was not there before. */
function newlyLost(before: Units, after: Units, unit: string, mode: 'bind' | 'hold') {
  const lostIn = (units: Units) => (units[unit] ? lostBy(units[unit], units, mode) : []);
  const known = new Set(lostIn(before).map(({ id }) => id));
  return lostIn(after).filter(({ id }) => !known.has(id));
}

/** Who starts at first: of two that can't stand each other, the one that is declared first. */
export function startOfAll(units: Units): Orders {
  const started: UnitView[] = [];
  for (const view of Object.values(units))
    if (!started.some((other) => conflict(view, other) || conflict(other, view))) started.push(view);
  return started.map(({ id }) => ({ unit: id, event: { type: 'start' } }));
}

function conflict({ policy }: UnitView, { id }: UnitView): boolean {
  return Object.hasOwn(policy.dependsOn, id) && edgeOf(policy.dependsOn[id]!).mode === 'conflicts';
}
