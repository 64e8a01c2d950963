// The samples of the last seconds, and what follows from them.
import type { Sample, Summary } from './universe.ts';

/** How far back medians and percentiles look. */
const windowMs = 30_000;
/** Rates are taken over this time, so that one late sample makes no peak. */
const rateMs = 1_000;
const ticksPerSecond = 100;
const topMax = 3;

export class SampleWindow {
  #samples: Sample[] = [];
  /** Share of all processors between each sample and the one before it. */
  #loads: { atMs: number; load: number }[] = [];

  add(sample: Sample): void {
    const before = this.#samples.at(-1);
    if (before) this.#loads.push({ atMs: sample.atMs, load: loadBetween(before, sample) });
    this.#samples.push(sample);
    const oldestMs = sample.atMs - windowMs;
    while (this.#samples[0] && this.#samples[0].atMs < oldestMs) this.#samples.shift();
    while (this.#loads[0] && this.#loads[0].atMs < oldestMs) this.#loads.shift();
  }

  /** Loads of the last seconds, oldest first. */
  loads(seconds: number): number[] {
    const sinceMs = (this.#loads.at(-1)?.atMs ?? 0) - seconds * 1000;
    return this.#loads.filter(({ atMs }) => atMs > sinceMs).map(({ load }) => load);
  }

  /** Undefined until there are two samples to compare. */
  summary(): Summary | undefined {
    const last = this.#samples.at(-1);
    const first = last && this.#samples.find(({ atMs }) => atMs >= last.atMs - rateMs);
    if (!last || !first || first === last) return undefined;
    const seconds = (last.atMs - first.atMs) / 1000;
    const sorted = this.#loads.map(({ load }) => load).sort((a, b) => a - b);
    const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
    return {
      sampledAtMs: last.atMs,
      samplesPerSecond: (this.#samples.length - this.#samples.indexOf(first) - 1) / seconds,
      cpu: { now: loadBetween(first, last), median: at(0.5), p95: at(0.95), max: at(1) },
      memory: {
        usedBytes: last.memory.totalBytes - last.memory.availableBytes,
        totalBytes: last.memory.totalBytes,
      },
      disk: {
        read: (sumOf(last.disks, 'readBytes') - sumOf(first.disks, 'readBytes')) / seconds,
        written: (sumOf(last.disks, 'writtenBytes') - sumOf(first.disks, 'writtenBytes')) / seconds,
      },
      network: {
        received: (sumOf(last.networks, 'receivedBytes') - sumOf(first.networks, 'receivedBytes')) / seconds,
        sent: (sumOf(last.networks, 'sentBytes') - sumOf(first.networks, 'sentBytes')) / seconds,
      },
      top: busiest(first, last, seconds),
    };
  }
}

function loadBetween(first: Sample, last: Sample): number {
  const busy = sumOf(last.cpus, 'busyTicks') - sumOf(first.cpus, 'busyTicks');
  const all = sumOf(last.cpus, 'allTicks') - sumOf(first.cpus, 'allTicks');
  return all > 0 ? Math.max(0, busy / all) : 0;
}

function busiest(first: Sample, last: Sample, seconds: number): Summary['top'] {
  const before = new Map(first.processes.map(({ pid, ticks }) => [pid, ticks]));
  return last.processes
    .map(({ pid, name, ticks, residentBytes }) => {
      const spent = ticks - (before.get(pid) ?? ticks);
      return { pid, name, residentBytes, cpu: spent / ticksPerSecond / seconds };
    })
    .sort((a, b) => b.cpu - a.cpu)
    .slice(0, topMax);
}

function sumOf<K extends string>(list: readonly Record<K, number>[], key: K): number {
  return list.reduce((sum, item) => sum + item[key], 0);
}
