// What a message costs on its way through the inbox of a session kind, beside bare XState. All in one process: nothing here
// crosses to another. Processor time, so that other programs don't count. Run by hand: node --import tsx/esm bench/kinds.ts
import { createActor, fromTransition, setup } from 'xstate';
import { type Handle, handleOf } from '../src/actors/kinds/handle.ts';
import { collector, type Io, service } from '../src/actors/kinds/kinds.ts';

type Count = { type: 'count'; n: number };
const messages = 200_000;
const rounds = 5;
/** Fits into an inbox. */
const burst = 1_000;

const machine = setup({ types: { events: {} as Count } }).createMachine({
  initial: 'a',
  states: { a: { on: { count: 'b' } }, b: { on: { count: 'a' } } },
});
const transition = fromTransition((sum: number, event: Count) => sum + event.n, 0);
const counter = collector(
  async ({ inbox, input }: Io<{ messages: Count; input: number }>) => {
    let sum = 0;
    for await (const { n } of inbox) {
      sum += n;
      if (sum === input) break;
    }
    return sum;
  },
  { inbox: { max: 2 * burst } },
);
const receiver = collector(
  async ({ inbox, input }: Io<{ messages: Count; input: number }>) => {
    let sum = 0;
    while (sum < input) sum += (await inbox.receive()).n;
    return sum;
  },
  { inbox: { max: 2 * burst } },
);
const selector = collector(
  async ({ inbox, input, select, stopping }: Io<{ messages: Count; input: number }>) => {
    let sum = 0;
    while (sum < input) {
      const got = await select({ count: inbox.of('count'), stopping });
      if (got.from === 'count') sum += got.value.n;
    }
    return sum;
  },
  { inbox: { max: 2 * burst } },
);
const echo = service(async (n: number) => n);

const message: Count = { type: 'count', n: 1 };

/** Sends in bursts, each of which is taken before the next. */
async function bursts(send: () => void): Promise<void> {
  for (let sent = 0; sent < messages; sent += burst) {
    for (let n = 0; n < burst; n++) send();
    await new Promise<void>((resolve) => setImmediate(resolve));
  }
}

function kind(logic: typeof counter): {
  actor: { send(event: Count): void };
  handle: Handle<typeof counter>;
} {
  const actor = createActor(logic, { input: messages }).start();
  return { actor, handle: handleOf<typeof counter>(actor) };
}

const cases: Record<string, () => Promise<void>> = {
  'XState machine, actor.send': async () => {
    const actor = createActor(machine).start();
    await bursts(() => actor.send(message));
  },
  'XState fromTransition, actor.send': async () => {
    const actor = createActor(transition, { input: 0 } as never).start();
    await bursts(() => actor.send(message));
  },
  'kind, actor.send -> for await': async () => {
    const { actor, handle } = kind(counter);
    await bursts(() => actor.send(message));
    await handle.join();
  },
  'kind, handle.trySend -> for await': async () => {
    const { handle } = kind(counter);
    await bursts(() => handle.trySend(message));
    await handle.join();
  },
  'kind, handle.trySend -> receive': async () => {
    const { handle } = kind(receiver);
    await bursts(() => handle.trySend(message));
    await handle.join();
  },
  'kind, handle.trySend -> select of 2': async () => {
    const { handle } = kind(selector);
    await bursts(() => handle.trySend(message));
    await handle.join();
  },
  'service, request and reply, one at a time': async () => {
    const handle = handleOf<typeof echo>(createActor(echo).start());
    for (let n = 0; n < messages; n++) await handle.request(n);
  },
};

for (const [name, run] of Object.entries(cases)) {
  const ns: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const before = process.cpuUsage();
    await run();
    const { user, system } = process.cpuUsage(before);
    ns.push(((user + system) * 1e3) / messages);
  }
  ns.sort((a, b) => a - b);
  console.log(`${name.padEnd(44)} ${ns[Math.floor(rounds / 2)]!.toFixed(0).padStart(6)} ns`);
}
