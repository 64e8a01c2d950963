import { assert } from 'chai';
import {
  type AnyMachineSnapshot,
  type AnyStateNode,
  createActor,
  getInitialMicrosteps,
  getMicrosteps,
  initialTransition,
} from 'xstate';
import { getShortestPaths } from 'xstate/graph';
import { SimulatedClock } from '../../src/machines/clock.ts';
import { type Walk, walks } from '../support/machines/all.ts';
import {
  isChooser,
  ownEvents,
  placeholderMessage,
  placeholders,
  stateNodes,
} from '../support/machines/chart.ts';

/** States that need no words of their own, and why. */
const silent: Record<string, Record<string, string>> = {
  unit: { life: 'only holds the others', 'life.alive.stopping.choosing': 'is left at once' },
  supervisor: { running: 'only holds the others' },
  session: { choosing: 'is left at once', opening: 'only holds the others' },
  incomingSession: { loggingIn: 'only holds the others' },
  linkPeer: { choosing: 'is left at once' },
  relayNode: { 'serving.choosing': 'is left at once' },
  channel: {
    choosing: 'is left at once',
    offering: 'only holds the others',
    alive: 'only holds the others',
  },
};

/** A machine that wanders for longer has a context that a walk should pay no heed to. */
const placesMax = 20_000;

for (const walk of walks) {
  const { machine } = walk;
  describe(machine.id, () => {
    it('describes every state', () => {
      const exempt = silent[machine.id] ?? {};
      const nodes = stateNodes(machine);
      const undescribed = nodes.filter(({ description }) => !description).map(pathOf);
      assert.sameMembers(undescribed, Object.keys(exempt));
      for (const node of nodes.filter((each) => pathOf(each) in exempt))
        assert.isTrue(
          isChooser(node) || Object.keys(node.states).length > 0,
          `${pathOf(node)} ${exempt[pathOf(node)]}`,
        );
    });

    it('answers no event that it does not name', () => {
      for (const node of [machine.root, ...stateNodes(machine)])
        assert.notInclude(Object.keys(node.config.on ?? {}), '*', pathOf(node));
    });

    it('names every effect, guard and delay, so that its chart can be read and provided', () => {
      const unnamed: string[] = [];
      for (const node of [machine.root, ...stateNodes(machine)])
        for (const each of referencesOf(node.config as Config))
          if (typeof each === 'function') unnamed.push(pathOf(node));
      assert.isEmpty(unnamed);
    });

    it('has a name for each event that says what has happened or what is wanted', () => {
      for (const event of ownEvents(machine)) assert.match(event, /^[a-z]+(\.[a-z]+(-[a-z]+)*)?$/);
    });

    it('keeps only plain data', () => {
      for (const input of walk.inputs) {
        const { context } = initialTransition(machine, input)[0] as AnyMachineSnapshot;
        assert.deepEqual(JSON.parse(JSON.stringify(context)), context);
      }
    });

    it('can come to each of its states', () => {
      const visited = new Set<string>();
      for (const input of walk.inputs) for (const id of visitedBy(walk, input)) visited.add(id);
      const all = stateNodes(machine).map(({ id }) => id);
      assert.deepEqual(
        all.filter((id) => !visited.has(id)),
        [],
      );
    });

    it('says which effect it needs if that is not provided', () => {
      const { actions, actors } = placeholders(machine);
      assert.isNotEmpty(actions);
      for (const name of actions)
        assert.throws(machine.implementations.actions[name] as () => void, placeholderMessage(machine, name));
      for (const name of actors)
        assert.throws(
          (machine.implementations.actors[name] as unknown as { config: () => void }).config,
          placeholderMessage(machine, name),
        );
    });

    it('fails in its first step if nothing is provided', () => {
      const first = walk.inputs.map((input) => errorOf(walk, input));
      const { actions, actors } = placeholders(machine);
      const messages = [...actions, ...actors].map((name) => placeholderMessage(machine, name));
      for (const message of first) if (message !== undefined) assert.include(messages, message);
      // Only a channel, a subscription, and a probe that listens, do nothing before they are told to.
      if (!['channel', 'subscription', 'probe'].includes(machine.id)) assert.notInclude(first, undefined);
    });
  });
}

function pathOf(node: AnyStateNode): string {
  return node.path.join('.');
}

interface Config {
  readonly entry?: unknown;
  readonly exit?: unknown;
  readonly on?: Record<string, unknown>;
  readonly after?: Record<string, unknown>;
  readonly always?: unknown;
  readonly onDone?: unknown;
  readonly invoke?: { src: unknown; onDone?: unknown; onError?: unknown };
}

/** Everything that a state refers to and that could have been written out in its place. */
function referencesOf({ entry, exit, on = {}, after = {}, always, onDone, invoke }: Config): unknown[] {
  const transitions = [
    ...Object.values(on),
    ...Object.values(after),
    always,
    onDone,
    invoke?.onDone,
    invoke?.onError,
  ];
  return [
    ...listOf(entry),
    ...listOf(exit),
    invoke?.src,
    ...transitions
      .flatMap(listOf)
      .flatMap((each) =>
        typeof each === 'object' && each !== null
          ? [...listOf((each as { actions?: unknown }).actions), (each as { guard?: unknown }).guard]
          : [],
      ),
  ];
}

function listOf(value: unknown): unknown[] {
  return Array.isArray(value) ? value : value === undefined ? [] : [value];
}

/** The ids of all states that a machine passes through on the shortest ways to all places, and one step beyond. */
function visitedBy({ machine, events, place }: Walk, input: object): Set<string> {
  const timers = machine.events.filter((type) => type.startsWith('xstate.after.')).map((type) => ({ type }));
  const all = [...events, ...timers];
  const paths = getShortestPaths(machine, {
    input,
    events: all,
    serializeState: ((snapshot: AnyMachineSnapshot) =>
      JSON.stringify([snapshot.value, place?.(snapshot.context as never)])) as never,
    limit: placesMax * all.length,
    // What is told to one that has ended is heard by nobody.
    stopWhen: (snapshot) => (snapshot as AnyMachineSnapshot).status !== 'active',
  });
  const visited = new Set<string>();
  const visit = (steps: readonly (readonly [AnyMachineSnapshot, unknown])[]) => {
    for (const [{ _nodes: nodes }] of steps) for (const { id } of nodes) visited.add(id);
  };
  visit(getInitialMicrosteps(machine, input));
  for (const { state } of paths)
    if ((state as AnyMachineSnapshot).status === 'active')
      for (const event of all) visit(getMicrosteps(machine, state as AnyMachineSnapshot, event));
  return visited;
}

/** With what the machine fails as it is, if it does. */
function errorOf({ machine }: Walk, input: object): string | undefined {
  let message: string | undefined;
  const actor = createActor(machine, { input, clock: new SimulatedClock() });
  actor.subscribe({
    error: (error) => {
      message = (error as Error).message;
    },
  });
  actor.start();
  return message;
}
