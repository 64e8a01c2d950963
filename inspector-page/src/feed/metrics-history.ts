// Metrics history: the figures of the last minutes, per process and for the whole tree, as columns to be drawn.
import type { Flow, Metrics, ProcessId, ProcessMetrics } from '../../../src/inspector/protocol.ts';

/** Five minutes at one sample a second. */
const samplesMax = 300;

export interface Sample {
  /** Seconds since 1970. */
  readonly at: number;
  readonly messagesPerS: number | null;
  readonly depth: number | null;
  /** Of the channel whose messages wait longest. */
  readonly waitMs: number | null;
  /** Of the slowest event loop. */
  readonly loopDelayMs: number | null;
  readonly restarts: number | null;
}

export class MetricsHistory {
  /** The last figures of each process. */
  latest: ReadonlyMap<ProcessId, ProcessMetrics> = new Map();
  flows: readonly Flow[] = [];
  /** Of the whole tree. */
  readonly tree: Sample[] = [];
  readonly #ofProcess = new Map<ProcessId, Sample[]>();

  samplesOf(process: ProcessId | null): readonly Sample[] {
    return process === null ? this.tree : (this.#ofProcess.get(process) ?? []);
  }

  take({ at, processes, flows }: Metrics): void {
    this.latest = new Map(processes.map((each) => [each.process, each]));
    this.flows = flows;
    keep(this.tree, sampleOf(at, processes, flows));
    for (const each of processes) {
      const known = this.#ofProcess.get(each.process) ?? [];
      this.#ofProcess.set(each.process, known);
      const own = flows.filter(({ from }) => from.process === each.process);
      keep(known, sampleOf(at, [each], own));
    }
    for (const process of this.#ofProcess.keys())
      if (!this.latest.has(process)) this.#ofProcess.delete(process);
  }

  clear(): void {
    this.latest = new Map();
    this.flows = [];
    this.tree.length = 0;
    this.#ofProcess.clear();
  }
}

function keep(samples: Sample[], sample: Sample): void {
  samples.push(sample);
  if (samples.length > samplesMax) samples.shift();
}

/** Rates, depths and restarts add up; of latencies the longest is the one that somebody waits for. */
function sampleOf(atMs: number, processes: readonly ProcessMetrics[], flows: readonly Flow[]): Sample {
  const inner = processes.flatMap((each) => (each.inner ? [each.inner] : []));
  const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);
  const known = inner.length > 0;
  return {
    at: atMs / 1000,
    messagesPerS: known ? sum(inner.map((each) => each.sentPerS)) : null,
    depth: known ? sum(inner.map(({ depth }) => depth)) : null,
    waitMs: longest(flows.flatMap(({ waitMs }) => waitMs ?? [])),
    loopDelayMs: longest(inner.map(({ loopDelayMs }) => loopDelayMs.p99)),
    restarts: sum(processes.map(({ restarts }) => restarts)),
  };
}

function longest(times: readonly number[]): number | null {
  return times.length === 0 ? null : Math.max(...times);
}
