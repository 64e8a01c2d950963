// Actors: a supervisor of real actors on a real host in simulated time, with actors that end as a test says.
import { fromPromise, setup } from 'xstate';
import { ActorSupervision } from '../../../src/actors/actor-supervision.ts';
import type { ActorReport } from '../../../src/machines/actor-report.ts';
import type { SupervisorOutput } from '../../../src/machines/exit.ts';
import { addressOf } from '../../../src/names.ts';
import { type ActorChildInput, type ActorsInput, checkActors } from '../../../src/spec/actor-check.ts';
import type { ActorStart } from '../../../src/spec/child.ts';
import { type ActorOptions, actor } from '../../../src/spec/topology.ts';
import { testHost } from './hosts.ts';

export type WorkerEvent = { type: 'crash' | 'finish' | 'shut' | 'stop' };

function fail(): never {
  throw new Error('it fell');
}

const base = setup({
  types: { events: {} as WorkerEvent, context: {} as { input: unknown }, output: {} as object },
  actions: { fall: fail },
});
const ends = {
  crash: { actions: 'fall' },
  finish: 'finished',
  shut: 'shut',
} as const;

/** Ends when it is asked to. */
export const polite = base.createMachine({
  context: ({ input }) => ({ input }),
  initial: 'working',
  states: {
    working: { on: { ...ends, stop: 'finished' } },
    finished: { type: 'final' },
    shut: { type: 'final' },
  },
  output: ({ self, context }) => (self.getSnapshot().value === 'shut' ? { shutdown: 'moved' } : context),
});

/** Takes the request to end, and goes on until it is told to finish. */
export const stubborn = base.createMachine({
  context: ({ input }) => ({ input }),
  initial: 'working',
  states: {
    working: { on: { ...ends, stop: 'stopping' } },
    stopping: { on: ends },
    finished: { type: 'final' },
    shut: { type: 'final' },
  },
});

/** Has never heard of requests. */
export const plain = base.createMachine({
  context: ({ input }) => ({ input }),
  initial: 'working',
  states: { working: { on: ends }, finished: { type: 'final' }, shut: { type: 'final' } },
});

/** What a start function does: by hand, with what the test says meanwhile. */
export type Mood = 'fine' | 'fails' | 'ignores' | 'stillborn' | 'waits';

export class Actors {
  readonly host;
  readonly clock;
  readonly logged;
  readonly happened: string[] = [];
  readonly reports: ActorReport[] = [];
  readonly supervision: ActorSupervision;
  booted = false;
  output: SupervisorOutput | undefined;
  readonly #moods = new Map<string, Mood>();
  readonly #waiting = new Map<string, (start: ActorStart | Error) => void>();

  constructor(spec: (actors: Actors) => ActorsInput) {
    const { host, clock, logged } = testHost();
    Object.assign(this, { host, clock, logged });
    this.host = host;
    this.clock = clock;
    this.logged = logged;
    this.supervision = new ActorSupervision(host, checkActors('top', spec(this)), {
      address: addressOf('top'),
      onReport: (supervisor, report) => {
        if (supervisor === 'top') this.reports.push(report);
      },
      onBooted: () => {
        this.booted = true;
      },
      onEnd: (output) => {
        this.output = output;
        this.happened.push('the supervisor ends');
      },
    });
    this.supervision.boot();
    host.later(() => {});
  }

  /** A child whose start a test decides about; each start is noted. */
  child(
    name: string,
    options: ActorOptions = {},
    logic: typeof polite | typeof stubborn = polite,
  ): ActorChildInput {
    return actor(
      () => {
        const mood = this.#moods.get(name) ?? 'fine';
        this.happened.push(`${name} ${mood === 'fine' ? 'starts' : mood}`);
        if (mood === 'fails') throw new Error('no luck');
        if (mood === 'ignores') return 'ignore';
        if (mood === 'stillborn') return setup({ actions: { fall: fail } }).createMachine({ entry: 'fall' });
        if (mood !== 'waits') return { logic, info: `info of ${name}` };
        return new Promise((resolve, reject) => {
          this.#waiting.set(name, (start) => (start instanceof Error ? reject(start) : resolve(start)));
        });
      },
      name,
      options,
    );
  }

  mood(name: string, mood: Mood): this {
    this.#moods.set(name, mood);
    return this;
  }

  /** A start that waits goes on. */
  async settle(name: string, start: ActorStart | Error): Promise<void> {
    this.#waiting.get(name)!(start);
    await turn();
  }

  forget(): this {
    this.happened.length = 0;
    this.reports.length = 0;
    return this;
  }

  tell(path: string, type: WorkerEvent['type']): this {
    this.host.send(addressOf('top', path), { type });
    return this;
  }

  pass(ms: number): this {
    this.clock.advance(ms);
    return this;
  }

  /** Paths of the actors that run, below the supervisor. */
  get running(): string[] {
    return this.host.addresses.map((address) => address.slice('top/'.length));
  }

  /** Each child by its name, in the order of starts: its phase. */
  async phases(): Promise<Record<string, string>> {
    const children = await this.supervision.whichChildren();
    return Object.fromEntries(children.reverse().map(({ id, phase }) => [id, phase]));
  }

  /** Verdicts with their contexts, in short. */
  get verdicts(): string[] {
    return this.reports.flatMap((each) =>
      each.type === 'child.exited'
        ? [
            `${each.id ?? `#${each.child.key}`} ${each.exit.class}: ${each.verdict} (${each.context ?? 'quiet'})`,
          ]
        : [],
    );
  }
}

/** Lets promises go on. */
export const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

/** Ends after a turn, well or badly. */
export const job = (fails: boolean) => fromPromise(async () => (fails ? fail() : 'done'));
