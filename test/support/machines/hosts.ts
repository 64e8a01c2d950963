// Hosts: a host in simulated time that keeps what it logs, and small machines for it to run.
import { type AnyStateMachine, assign, fromCallback, setup } from 'xstate';
import type { ActorEnd, Hosted, Log, LogLevel } from '../../../src/actors/hosting.ts';
import { SimulatedClock } from '../../../src/machines/clock.ts';
import { addressOf } from '../../../src/names.ts';
import { Host } from '../../../src/runtime/host.ts';
import type { FlightRecorder } from '../../../src/transport/flight-recorder.ts';

export interface LogRecord {
  readonly level: LogLevel;
  readonly facts: object;
  readonly message: string;
}

export interface TestHost {
  readonly host: Host;
  readonly clock: SimulatedClock;
  readonly logged: LogRecord[];
}

export function testHost(recorder?: FlightRecorder): TestHost {
  const clock = new SimulatedClock();
  const logged: LogRecord[] = [];
  const writer = (level: LogLevel) => (facts: object, message: string) =>
    void logged.push({ level, facts, message });
  const log: Log = {
    debug: writer('debug'),
    info: writer('info'),
    warn: writer('warn'),
    error: writer('error'),
  };
  return { host: new Host({ log, clock, ...(recorder && { recorder }) }), clock, logged };
}

/** How an actor ended, in a few words; each time that it is told. */
export function collectEnds(): { ends: string[]; onEnd: (end: ActorEnd<unknown>) => void } {
  const ends: string[] = [];
  return {
    ends,
    onEnd: (end) =>
      void ends.push(end.how === 'crashed' ? `crashed: ${(end.error as Error).message}` : end.how),
  };
}

type DoorEvent =
  | { type: 'open' }
  | { type: 'close' }
  | { type: 'lock' }
  | { type: 'break' }
  | { type: 'burn' };

function fail(why: string): never {
  throw new Error(why);
}

/** A door that closes by itself after a second, can be locked for good, and fails in several ways. */
export const doorMachine = setup({
  types: {
    context: {} as { opened: number },
    events: {} as DoorEvent,
    output: {} as { opened: number },
  },
  actions: {
    count: assign(({ context }) => ({ opened: context.opened + 1 })),
    creak: () => {},
    breakDown: () => fail('the hinge broke'),
  },
  guards: { burns: () => fail('there is fire') },
  delays: { closing: 1_000 },
}).createMachine({
  id: 'door',
  context: { opened: 0 },
  output: ({ context }) => context,
  initial: 'closed',
  on: { break: { actions: 'breakDown' }, burn: { guard: 'burns', actions: 'creak' } },
  states: {
    closed: { on: { open: { target: 'open', actions: 'count' }, lock: 'locked' } },
    open: { entry: 'creak', after: { closing: 'closed' }, on: { close: 'closed' } },
    locked: { type: 'final' },
  },
});

/** A machine that fails as soon as it starts. */
export const stillbornMachine = setup({ actions: { breakDown: () => fail('no air') } }).createMachine({
  id: 'stillborn',
  entry: 'breakDown',
});

/** A machine that has done its work as soon as it starts. */
export const instantMachine = setup({}).createMachine({
  id: 'instant',
  initial: 'done',
  states: { done: { type: 'final' } },
});

/** A machine with a machine with a child inside; `alive` has the names of those that have not been cleaned up. */
export function familyMachine(alive: Set<string>, { handles = false } = {}) {
  const member = (name: string) =>
    fromCallback<{ type: 'fail' }>(({ receive }) => {
      alive.add(name);
      receive(() => fail(`${name} fell`));
      return () => alive.delete(name);
    });
  const parent = setup({ actors: { child: member('grandchild') } }).createMachine({
    id: 'parent',
    invoke: { src: 'child', id: 'child' },
  });
  return setup({
    types: { events: {} as { type: 'fail' } | { type: 'fail child' } },
    actors: { parent, child: member('child') },
    actions: { breakDown: () => fail('the family broke'), note: () => {} },
  }).createMachine({
    id: 'family',
    invoke: [
      { src: 'parent', id: 'parent' },
      { src: 'child', id: 'child', ...(handles && { onError: { actions: 'note' } }) },
    ],
    on: {
      fail: { actions: 'breakDown' },
      'fail child': {
        actions: ({ system: _, self }) => self.getSnapshot().children.child?.send({ type: 'fail' }),
      },
    },
  });
}

/** Two actors throw a ball to each other so many times; who had it, and how deep within each other's turns. */
export function playBall(throwsMax: number): { heard: string[]; deepest: number } {
  const { host } = testHost();
  const heard: string[] = [];
  let depth = 0;
  let deepest = 0;
  type Player = Hosted<AnyStateMachine>;
  const player = (name: string, other: () => Player): Player =>
    host.start(
      setup({
        types: { events: {} as { type: 'ball'; count: number } },
        actions: {
          pass: ({ event }) => {
            depth++;
            deepest = Math.max(deepest, depth);
            heard.push(`${name} ${event.count}`);
            if (event.count < throwsMax) other().post({ type: 'ball', count: event.count + 1 });
            depth--;
          },
        },
      }).createMachine({ on: { ball: { actions: 'pass' } } }) as AnyStateMachine,
      { address: addressOf(name) },
    );
  const first: Player = player('a', () => second);
  const second: Player = player('b', () => first);
  first.post({ type: 'ball', count: 1 });
  return { heard, deepest };
}
