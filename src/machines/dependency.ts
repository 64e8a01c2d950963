// Dependency: what a unit's edges to others lead to beyond its gate, when one of them starts, stops or leaves its state.
import { edgeOf } from '../spec/child.ts';
import type { Exit } from './exit.ts';
import { gateOf, holds, lostBy, sameGate } from './gate.ts';
import { isDown } from './group.ts';
import type { UnitEvent } from './unit-event.ts';
import type { UnitPhase } from './unit-report.ts';
import type { Gate, UnitView } from './unit-view.ts';

type Units = Readonly<Record<string, UnitView>>;
/** What is sent to the units in one go. */
export type Orders = readonly { readonly unit: string; readonly event: UnitEvent }[];

/** Phases that only somebody's request leads out of. */
const resting: ReadonlySet<UnitPhase> = new Set<UnitPhase>(['idle', 'completed', 'failed']);
const running: ReadonlySet<UnitPhase> = new Set<UnitPhase>(['spawning', 'starting', 'up']);

/** Those of the units whose gates are others than they were told. */
export function changedGates(units: Units, ids: readonly string[]): { id: string; gate: Gate }[] {
  return ids.flatMap((id) => {
    const view = units[id];
    if (!view) return [];
    const gate = gateOf(view, units);
    return sameGate(gate, view.gate) ? [] : [{ id, gate }];
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

/**
 * Somebody asked for the stop or the restart of a unit: those that require it, or are part of it, go with it.
 * @param dependents the units whose edges name it.
 */
export function ordersOfRequest(
  units: Units,
  dependents: readonly string[],
  id: string,
  { requested }: Exit,
): Orders {
  if (requested === 'none') return [];
  return dependents.flatMap((unit): Orders => {
    const view = units[unit];
    const edge = view?.policy.dependsOn[id];
    if (view === undefined || edge === undefined) return [];
    const { mode } = edgeOf(edge);
    if (mode !== 'requires' && mode !== 'partOf') return [];
    if (isDown(view) || view.phase === 'stopping') return [];
    const event: UnitEvent =
      requested === 'stop' ? { type: 'stop' } : { type: 'restart', reason: `${id} was restarted` };
    return [{ unit, event }];
  });
}

/**
 * A unit has left the state that others need, or is back in it: who is bound goes down and waits, who holds is told.
 * @param ids whom it may concern.
 */
export function ordersOfLoss(before: Units, after: Units, ids: readonly string[]): Orders {
  return ids.flatMap((id): Orders => {
    const view = after[id];
    if (!view || !running.has(view.phase) || Object.keys(view.policy.dependsOn).length === 0) return [];
    const bound = newlyLost(before, after, view.id, 'bind');
    if (bound.length > 0)
      return [{ unit: view.id, event: { type: 'restart', reason: `${bound[0]!.id} is lost` } }];
    const told = (type: 'dependency.lost' | 'dependency.back', edges: { id: string; state: string }[]) =>
      edges.map((edge) => ({ unit: id, event: { type, dependency: edge.id, state: edge.state } }));
    return [
      ...told('dependency.lost', newlyLost(before, after, view.id, 'hold')),
      ...told('dependency.back', newlyLost(after, before, view.id, 'hold')),
    ];
  });
}

/**
 * Other hosts have told of their units, or have fallen silent: as a loss here, and besides, who was bound to a unit that has
 * restarted unseen begins anew with it, and who stops in a partition stops.
 * @param ids whom it may concern.
 */
export function ordersOfHosts(before: Units, after: Units, ids: readonly string[]): Orders {
  const losses = ordersOfLoss(before, after, ids);
  const told = new Set(losses.flatMap(({ unit, event }) => (event.type === 'restart' ? [unit] : [])));
  return [
    ...losses,
    ...ids.flatMap((id): Orders => {
      const view = after[id];
      if (!view || told.has(id) || !running.has(view.phase)) return [];
      const restart = (reason: string): Orders => [{ unit: id, event: { type: 'restart', reason } }];
      const silenced = view.policy.onPartition === 'stop' && newlySilent(before, after, view);
      if (silenced) return restart(`host ${silenced} is silent`);
      const anew = restartedUnseen(before, after, view);
      const bound = anew.find(({ mode }) => mode === 'bind');
      if (bound) return restart(`${bound.id} was restarted`);
      return anew.flatMap(
        ({ id: dependency, state, mode }): Orders =>
          mode === 'hold'
            ? (['dependency.lost', 'dependency.back'] as const).map((type) => ({
                unit: id,
                event: { type, dependency, state },
              }))
            : [],
      );
    }),
  ];
}

/** Somebody has asked for the stop or the restart of units of other hosts, as those tell: see `ordersOfRequest`. */
export function ordersOfFarRequests(
  before: Units,
  after: Units,
  own: Units,
  dependents: (id: string) => readonly string[],
): Orders {
  return Object.values(after).flatMap((view): Orders => {
    const { elsewhere, exit } = view;
    const known = before[view.id];
    // What had happened before this root heard of it for the first time is no request to it; nor is the end of a whole root.
    if (!exit || elsewhere?.heard !== 'present' || elsewhere.ending) return [];
    if (known?.elsewhere?.root !== elsewhere.root) return [];
    if (JSON.stringify(known.exit) === JSON.stringify(exit)) return [];
    return ordersOfRequest(own, dependents(view.id), view.id, exit);
  });
}

function newlySilent(before: Units, after: Units, { policy }: UnitView): string | undefined {
  for (const [id, edge] of Object.entries(policy.dependsOn)) {
    const [was, is] = [before[id]?.elsewhere, after[id]?.elsewhere];
    if (edgeOf(edge).mode === 'requires' && is?.heard === 'silent' && was?.heard === 'present')
      return is.host;
  }
  return undefined;
}

/** The units of other hosts in whose state nothing seems to have changed, but that have ended in between. */
function restartedUnseen(before: Units, after: Units, { policy }: UnitView) {
  return Object.entries(policy.dependsOn).flatMap(([id, edge]) => {
    const { state, mode } = edgeOf(edge);
    const [was, is] = [before[id], after[id]];
    if (!was?.elsewhere?.root || is?.elsewhere?.heard !== 'present') return [];
    if (!holds(was, state) || !holds(is, state)) return [];
    const same =
      was.elsewhere.root === is.elsewhere.root && JSON.stringify(was.exit) === JSON.stringify(is.exit);
    return same ? [] : [{ id, state, mode }];
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
