// The client of the load soak: for a time it sends, asks and is told ten times what the server takes and it reads, then a tenth of
// that. `load-client.ts SECONDS`.
import { setTimeout as pause } from 'node:timers/promises';
import { setup } from 'xstate';
import { createRuntime, IpcError, type Session, sessionOf } from '../../src/index.ts';
import { load, loadRates } from './universe.ts';

type Client = Session<typeof load.mill, 'client'>;

/** What it has done, for the server to compare. */
export interface LoadFigures {
  /** Grains that there was room for, and grains that were dropped, as it was told each time. */
  accepted: number;
  dropped: number;
  answered: number;
  /** Requests that were refused since too many wait already, and such that were given up. */
  busy: number;
  late: number;
  /** Prices that it has read, and such that it was told to have missed. */
  read: number;
  missed: number;
  /** What was not as promised. */
  fault: string | null;
}

const overloadMs = Number(process.argv[2]) * 1_000;
const figures: LoadFigures = {
  ...{ accepted: 0, dropped: 0, answered: 0, busy: 0, late: 0, read: 0, missed: 0 },
  fault: null,
};
let number = 0;

async function run(session: Client): Promise<void> {
  const { grains, sums } = session.channels;
  const { prices } = session.broadcasts;
  sums.onRequest('figures', () => ({ ...figures, droppedByChannel: grains.stats().dropped }));
  let over = false;
  sums.onRequest('calm', () => {
    over = true;
    return null;
  });
  await prices.subscribe();
  let price = -1;
  const untilMs = performance.now() + overloadMs;
  const { tickMs, taken, asked } = loadRates;
  while (!over) {
    const overload = performance.now() < untilMs;
    for (let left = overload ? taken * 10 : 0; left > 0; left--) send(session);
    for (let left = overload ? asked * 10 : 0; left > 0; left--) void ask(session);
    for (let left = taken; left > 0; left--) {
      const next = prices.tryReceive();
      if (!next) break;
      const { message, gap } = next;
      if (price >= 0 && message !== price + gap + 1)
        figures.fault ??= `price ${message} came after ${price} with a gap of ${gap}`;
      price = message;
      figures.read++;
      figures.missed += gap;
    }
    await pause(tickMs);
  }
  // What is sent now has room, and is taken at once.
  for (let left = loadRates.calmGrains; left > 0; left--) {
    send(session);
    await pause(tickMs);
  }
  await sums.request('done', null);
}

function send({ channels: { grains } }: Client): void {
  const bytes = new Uint8Array(200);
  const head = new DataView(bytes.buffer);
  head.setUint32(0, number);
  head.setBigUint64(8, process.hrtime.bigint());
  if (grains.trySend(bytes)) figures.accepted++;
  else figures.dropped++;
  number++;
}

async function ask({ channels: { sums } }: Client): Promise<void> {
  try {
    const value = figures.answered;
    if ((await sums.request('echo', value, { timeoutMs: 1_000 })) !== value)
      figures.fault ??= 'a request got another answer';
    figures.answered++;
  } catch (error) {
    const code = error instanceof IpcError ? error.code : String(error);
    if (code === 'ERR_CHANNEL_BUSY') figures.busy++;
    else if (code === 'ERR_TIMEOUT') figures.late++;
    else figures.fault ??= `a request ended with ${error}`;
  }
}

const machine = setup({
  actions: {
    run: ({ self }) =>
      void run(sessionOf(load.mill, self) as Client).catch((error) => {
        process.stderr.write(`${error}\n`);
        process.exitCode = 1;
      }),
  },
}).createMachine({ entry: 'run' });

const quiet = () => {};
const runtime = createRuntime({ log: { debug: quiet, info: quiet, warn: quiet, error: quiet } });
runtime.connect(load.farmer, load.mill, machine);
