// Atomics peer: one process of a pair that does nothing but watch words of shared memory. The least that two processes in
// JavaScript can take: no event loop, no copy, no sleep; the message is written and read where it stands.
import { Flow } from './flow.ts';
import { percentilesOf } from './histogram.ts';
import type { Figures, Measure } from './job.ts';
import { Laps } from './laps.ts';
import { checkStamp, lineBytes, ringBytesOf, stamp } from './payload.ts';
import { endWithStarter, sayReady, tell, untilReady, workOf } from './peer.ts';
import { type Lane, laneOf, swapMemory } from './shared-memory.ts';

const { role, job, directory } = workOf(process.argv);
const sizeBytes = job.payload as number;

/** No two messages share a cache line. */
const slotBytes = Math.max(lineBytes, sizeBytes);
const ringBytes = ringBytesOf(sizeBytes);
const slotsMask = ringBytes / slotBytes - 1;

/** In the tail or head: the measure is over. Nobody counts that far. */
const over = -1;
/** A word that stands still for so long is that of a process which has ended. */
const stuckMs = 5_000;
/** Looks at a word between two looks at the clock; a look takes some nanoseconds. */
const looksPerClock = 2 ** 20;

endWithStarter();
const capacities = job.measures.map(() => ringBytes);
if (role === 'responder') {
  // The socket that swapMemory waits at exists before its first await.
  const swapped = swapMemory(role, directory, capacities);
  sayReady();
  const { own, peer } = await swapped;
  job.measures.forEach((measure, i) => {
    (measure === 'round-trip' ? echo : sink)(laneOf(own, i), laneOf(peer, i));
  });
} else {
  await untilReady();
  const { own, peer } = await swapMemory(role, directory, capacities);
  const figures = job.measures.map((measure, i) => drive(measure, laneOf(own, i), laneOf(peer, i)));
  tell(Object.assign({}, ...figures) as Figures);
  process.exit();
}

function drive(measure: Measure, own: Lane, peer: Lane): Figures {
  const figures = measure === 'round-trip' ? percentilesOf(ask(own, peer).samplesNs) : pour(own, peer);
  Atomics.store(own.words, own.tail, over);
  while (next(peer.words, peer.head, 0) !== over);
  return figures;
}

function ask(own: Lane, peer: Lane): Laps {
  const question = slotsOf(own)[0]!;
  const answer = slotsOf(peer)[0]!;
  const laps = new Laps(job);
  let n = 0;
  do {
    stamp(question, n);
    Atomics.store(own.words, own.tail, n + 1);
    next(peer.words, peer.tail, n);
    checkStamp(answer, n++);
  } while (laps.end());
  return laps;
}

function echo(own: Lane, peer: Lane): void {
  const question = slotsOf(peer)[0]!;
  const answer = slotsOf(own)[0]!;
  for (let n = 0; next(peer.words, peer.tail, n) !== over; ) {
    checkStamp(question, n);
    stamp(answer, n++);
    Atomics.store(own.words, own.tail, n);
  }
  Atomics.store(own.words, own.head, over);
}

/** One way: a warm-up, then what is measured. */
function pour(own: Lane, peer: Lane): Figures {
  const slots = slotsOf(own);
  let head = 0;
  let n = 0;
  const pourFor = (durationMs: number) => {
    const flow = new Flow(durationMs, sizeBytes);
    do {
      if (n - head > slotsMask) head = next(peer.words, peer.head, head);
      stamp(slots[n & slotsMask]!, n++);
      Atomics.store(own.words, own.tail, n);
    } while (flow.count());
    while (head !== n) head = next(peer.words, peer.head, head);
    return flow.figures();
  };
  pourFor(job.warmUpMs);
  return pourFor(job.measureMs);
}

function sink(own: Lane, peer: Lane): void {
  const slots = slotsOf(peer);
  let n = 0;
  for (let tail = 0; ; ) {
    tail = next(peer.words, peer.tail, n);
    if (tail === over) break;
    while (n < tail) checkStamp(slots[n & slotsMask]!, n++);
    Atomics.store(own.words, own.head, n);
  }
  Atomics.store(own.words, own.head, over);
}

function slotsOf({ ring }: Lane): Uint8Array[] {
  return Array.from({ length: slotsMask + 1 }, (_, i) =>
    ring.subarray(i * slotBytes, i * slotBytes + sizeBytes),
  );
}

/** Spins until the word is another than `seen`. */
function next(words: Int32Array, at: number, seen: number): number {
  let untilMs = 0;
  for (let looks = 1; ; looks++) {
    const word = Atomics.load(words, at);
    if (word !== seen) return word;
    if (looks % looksPerClock !== 0) continue;
    const nowMs = performance.now();
    untilMs ||= nowMs + stuckMs;
    if (nowMs > untilMs) throw new Error('the other process stands still');
  }
}
