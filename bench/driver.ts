// Driver: the end of a pair that asks, sends and measures.
import { Flow } from './flow.ts';
import { percentilesOf } from './histogram.ts';
import type { Figures, Job } from './job.ts';
import { Laps } from './laps.ts';
import { type Payload, payloadOf } from './payload.ts';
import type { Awaitable, Port } from './port.ts';

type Handler = (message: unknown) => Awaitable;

/** Does the job's measures one after the other. The responder keeps step by the end marks. */
export async function drive(port: Port, job: Job, payload = payloadOf(job)): Promise<Figures> {
  let onMessage: Handler = () => undefined;
  port.listen((message) => onMessage(message));
  const take = (handler: Handler) => {
    onMessage = handler;
  };
  const figures: Figures = {};
  // A responder that is still starting would spend the warm-up.
  await exchangeEnds(port, payload, take);
  for (const measure of job.measures) {
    if (measure === 'round-trip') {
      const laps = await roundTrips(port, payload, job, take);
      await exchangeEnds(port, payload, take);
      Object.assign(figures, percentilesOf(laps.samplesNs));
    } else {
      await flow(port, payload, job, job.warmUpMs, take);
      Object.assign(figures, await flow(port, payload, job, job.measureMs, take));
    }
  }
  return figures;
}

function roundTrips(port: Port, payload: Payload, job: Job, take: (handler: Handler) => void): Promise<Laps> {
  return new Promise((resolve) => {
    const laps = new Laps(job);
    let n = 0;
    const ask = () => {
      laps.begin();
      return port.send(payload.write(n));
    };
    take((message) => {
      payload.check(message, n++);
      if (laps.end()) return job.pauseUs === 0 ? port.send(payload.write(n)) : askAfter(job.pauseUs, ask);
      resolve(laps);
      return undefined;
    });
    ask();
  });
}

/** The shortest time that a timer of Node can wait for. */
const timerMinUs = 1_000;

function askAfter(pauseUs: number, ask: () => Awaitable): Awaitable {
  if (pauseUs >= timerMinUs) {
    setTimeout(ask, pauseUs / 1_000);
    return undefined;
  }
  const untilMs = performance.now() + pauseUs / 1_000;
  while (performance.now() < untilMs);
  return ask();
}

async function flow(
  port: Port,
  payload: Payload,
  { payload: size }: Job,
  durationMs: number,
  take: (handler: Handler) => void,
): Promise<Figures> {
  const clock = new Flow(durationMs, size === 'object' ? undefined : size);
  let n = 0;
  do {
    const full = port.send(payload.write(n++));
    if (full) await full;
  } while (clock.count());
  await exchangeEnds(port, payload, take);
  return clock.figures();
}

/** Resolves once the responder has taken everything and knows what comes next. */
async function exchangeEnds(port: Port, payload: Payload, take: (handler: Handler) => void): Promise<void> {
  const answered = new Promise<void>((resolve, reject) => {
    take((message) => {
      if (payload.isEnd(message)) resolve();
      else reject(new Error('the responder answered an end mark with something else'));
      return undefined;
    });
  });
  await port.send(payload.end);
  await answered;
}
