// Histogram: from the times of round trips to the percentiles that they allow.
import { createHistogram } from 'node:perf_hooks';
import type { Figures } from './job.ts';

/** A percentile is told if this many samples lie beyond it: fewer, and it is one accident or another. */
const beyondMin = 1;

const percentiles = { p50: 50, p99: 99, 'p99.9': 99.9 } as const;

/** Percentiles and maximum in microseconds. */
export function percentilesOf(samplesNs: Uint32Array): Figures {
  const histogram = createHistogram();
  for (const sample of samplesNs) histogram.record(Math.max(1, sample));
  const figures: Figures = { max: histogram.max / 1e3 };
  for (const [name, percentile] of Object.entries(percentiles)) {
    const beyond = samplesNs.length * (1 - percentile / 100);
    if (beyond >= beyondMin)
      figures[name as keyof typeof percentiles] = histogram.percentile(percentile) / 1e3;
  }
  return figures;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}
