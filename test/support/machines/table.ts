// Table: a machine's states and events as rows, each of them a test. What no row names must change nothing, so that a table
// says everything about its machine.
import { assert } from 'chai';
import type { AnyMachineSnapshot, AnyStateMachine, EventObject } from 'xstate';
import { leafStates, ownEvents } from './chart.ts';
import { type AfterEvent, after, begin, type Effect, stateOf, take } from './step.ts';

/** What happens, where that leads, what is done on the way; `when` tells rows of the same event apart. */
export interface Row<E extends EventObject, I> {
  readonly on: E | AfterEvent;
  readonly to: string;
  /** `elsewhere`: what it does is the claim of another test. */
  readonly does?: readonly Effect[] | 'elsewhere';
  readonly when?: string;
  /** How this row comes to its state, where that matters. */
  readonly by?: readonly (E | AfterEvent)[];
  readonly input?: I;
}

export interface Table<E extends EventObject, I> {
  readonly input: I;
  /** One event of each type. */
  readonly events: readonly E[];
  /** The states by their paths: how each is reached, and its rows. */
  readonly states: Readonly<Record<string, State<E, I>>>;
  /** The part of a snapshot that the paths describe; default: all of it. */
  readonly at?: (snapshot: AnyMachineSnapshot) => string;
  /** Types of events that any state may remember without a change that shows. */
  readonly remembered?: readonly string[];
  /** What the rows describe of an effect, in none or several parts; default: all of it. */
  readonly seen?: (effect: Effect) => Effect | readonly Effect[];
}

export interface State<E extends EventObject, I> {
  readonly by: readonly (E | AfterEvent)[];
  readonly input?: I;
  readonly rows: readonly Row<E, I>[];
}

/** One `describe` for each state. */
export function describeStates<E extends EventObject, I>(machine: AnyStateMachine, table: Table<E, I>): void {
  const { at = stateOf, remembered = [] } = table;
  for (const [name, { by, input = table.input, rows }] of Object.entries(table.states))
    describe(name, () => {
      it('is reached', () => assert.equal(at(after(machine, input, by)), name));
      for (const row of rows)
        it(titleOf(name, row), () => {
          const before = after(machine, row.input ?? input, row.by ?? by);
          assert.equal(at(before), name, 'where the row begins');
          const { state, effects } = take(machine, before, row.on);
          assert.equal(at(state), row.to);
          if (row.does !== 'elsewhere') assert.deepEqual(partsOf(effects, table), row.does ?? []);
        });
      if (after(machine, input, by).status === 'done') {
        it('is the end', () => assert.isEmpty(rows));
        return;
      }
      const others = table.events.filter(({ type }) => !rows.some(({ on }) => on.type === type));
      if (others.length > 0)
        it('takes no notice of anything else', () => {
          const before = after(machine, input, by);
          for (const event of others) {
            const { state, effects } = take(machine, before, event);
            assert.equal(at(state), name, event.type);
            if (!remembered.includes(event.type)) assert.deepEqual(state.context, before.context, event.type);
            assert.deepEqual(effects, [], event.type);
          }
        });
    });
}

/** That the table leaves no state, no event and no delay of the machine out; `covers` says which states are its own. */
export function describeCompleteness<E extends EventObject, I>(
  machine: AnyStateMachine,
  { events, states }: Table<E, I>,
  { region = '', covers = () => true }: { region?: string; covers?: (path: string) => boolean } = {},
): void {
  describe('the table', () => {
    it('has every state', () =>
      assert.sameMembers(Object.keys(states), leafStates(machine, region).filter(covers)));
    it('has every event', () =>
      assert.sameMembers(
        events.map(({ type }) => type),
        ownEvents(machine),
      ));
    it('has every delay', () => {
      const rows = Object.values(states).flatMap((state) => state.rows);
      assert.includeMembers(
        rows.map(({ on }) => on.type),
        delays(machine)
          .filter((delay) => covers(delay.state.slice(region.length + 1)))
          .map(({ event }) => event),
      );
    });
  });
}

/** The events that XState sends itself after a delay, and the paths of the states that they are for. */
function delays(machine: AnyStateMachine): { event: string; state: string }[] {
  return machine.events
    .filter((event) => event.startsWith('xstate.after.'))
    .map((event) => ({ event, state: event.split(`.${machine.id}.`)[1]! }));
}

/** What the first step does. */
export function describeBeginning<E extends EventObject, I>(
  machine: AnyStateMachine,
  table: Table<E, I>,
  to: string,
  does: readonly Effect[],
): void {
  it(`begins in ${to}${doing(does)}`, () => {
    const { state, effects } = begin(machine, table.input);
    assert.equal((table.at ?? stateOf)(state), to);
    assert.deepEqual(partsOf(effects, table), does);
  });
}

function partsOf<E extends EventObject, I>(effects: readonly Effect[], { seen }: Table<E, I>): Effect[] {
  if (!seen) return [...effects];
  return effects.flatMap((effect) => {
    const parts = seen(effect);
    return typeof parts[0] === 'string' ? [parts as Effect] : [...(parts as readonly Effect[])];
  });
}

function titleOf<E extends EventObject, I>(name: string, { on, to, does = [], when }: Row<E, I>): string {
  const where = to === name ? 'stays' : `goes to ${to}`;
  return `${where} on ${on.type.replace(/^xstate\.after\.(\w+)\..*/, 'the end of $1')}${when ? ` ${when}` : ''}${doing(does)}`;
}

function doing(effects: readonly Effect[] | 'elsewhere'): string {
  return effects === 'elsewhere' || effects.length === 0
    ? ''
    : ` and does ${effects.map(([effect]) => effect).join(', ')}`;
}
