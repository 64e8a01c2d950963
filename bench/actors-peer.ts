// Actors peer: many actors in one process, alone or below a dynamic supervisor. What each takes, how long its creation is, and
// how long it takes from the crash of one until it runs again.
import { createRuntime } from 'actor-ipc';
import { actor } from 'actor-ipc/topology';
import { createActor, setup } from 'xstate';
import { percentilesOf } from './histogram.ts';
import type { Figures } from './job.ts';
import { endWithStarter, sayReady, tell, untilReady, workOf } from './peer.ts';

const { role, job } = workOf(process.argv);
/** Enough for a percentile of 99. */
const crashes = 1_000;
/** Created first, so that the code is warm. */
const warmUp = 500;

const machine = setup({
  actions: {
    fall() {
      throw new Error('as the benchmark asked');
    },
  },
}).createMachine({
  context: { count: 0 },
  initial: 'idle',
  on: { fail: { actions: 'fall' } },
  states: { idle: { on: { go: 'busy' } }, busy: { on: { back: 'idle' } } },
});

endWithStarter();
if (role === 'responder') sayReady();
else {
  await untilReady();
  tell(job.transport === 'actors' ? await supervised(job.crowd) : alone(job.crowd));
  process.exit();
}

function alone(count: number): Figures {
  const kept: unknown[] = [];
  const create = () => kept.push(createActor(machine).start());
  for (let i = 0; i < warmUp; i++) create();
  const cost = counting();
  for (let i = 0; i < count; i++) create();
  const figures = cost(count);
  if (kept.length !== warmUp + count) throw new Error('some are gone');
  return figures;
}

async function supervised(count: number): Promise<Figures> {
  const log = { debug() {}, info() {}, warn() {}, error() {} };
  // All crashes of the measure are allowed, and none is counted for long.
  const pool = await createRuntime({ log }).supervise('pool', {
    strategy: 'dynamic',
    intensity: 1_000_000,
    periodMs: 1,
    child: actor(machine),
  });
  const refs: { send(event: { type: string }): boolean; readonly epoch: number }[] = [];
  const create = async () => {
    const answer = await pool.startChild();
    if (answer.ok && answer.ref) refs.push(answer.ref);
  };
  for (let i = 0; i < warmUp; i++) await create();
  refs.length = 0;
  const cost = counting();
  for (let i = 0; i < count; i++) await create();
  const figures = cost(count);
  const samplesNs = new Uint32Array(crashes);
  for (let i = 0; i < crashes; i++) {
    const ref = refs[(i * 7_919) % refs.length]!;
    const epoch = ref.epoch;
    const began = process.hrtime.bigint();
    ref.send({ type: 'fail' });
    samplesNs[i] = Number(process.hrtime.bigint() - began);
    if (ref.epoch !== epoch + 1) throw new Error('it was not restarted at once');
  }
  return { ...figures, ...percentilesOf(samplesNs) };
}

/** Begins to count. @returns what each of so many has cost since. */
function counting(): (count: number) => Figures {
  const beforeKb = memoryKb();
  const beganMs = performance.now();
  return (count) => {
    const open = (performance.now() - beganMs) / count;
    return { open, memory: (memoryKb() - beforeKb) / count };
  };
}

/** What is reachable, where that can be known; else what is allocated. */
function memoryKb(): number {
  (globalThis as { gc?: () => void }).gc?.();
  return process.memoryUsage().heapUsed / 1024;
}
