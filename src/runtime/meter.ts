// Meter: the figures of one process, once a second, while somebody watches; nothing is measured else.
import {
  createHistogram,
  type IntervalHistogram,
  monitorEventLoopDelay,
  type RecordableHistogram,
} from 'node:perf_hooks';
import type { Gauge, OpenSession, ResourceFigures } from '../actors/hosting.ts';
import { type ChannelFigures, type MetricsRecord, momentMs, type Spread } from './feed.ts';
import { lookMs, WaitGauge } from './wait-gauge.ts';

const periodMs = 1_000;
/** How often the event loop is asked whether it is late; each asking wakes the process. */
const loopResolutionMs = 20;
/** A process may have very many. */
const channelsMax = 500;

export interface Metered {
  readonly actors: () => number;
  readonly sessions: Iterable<OpenSession>;
  readonly gauges: Iterable<Gauge>;
}

export class Meter {
  readonly #metered: Metered;
  readonly #tell: (record: MetricsRecord) => void;
  readonly #loop: IntervalHistogram = monitorEventLoopDelay({ resolution: loopResolutionMs });
  readonly #handling: RecordableHistogram = createHistogram();
  readonly #timer: NodeJS.Timeout;
  readonly #waits: WaitGauge;
  readonly #looking: NodeJS.Timeout;
  /** A region whose lock is held lets its figures wait. */
  #measuring = false;
  /** Counts of each channel at the last time. */
  #before = new Map<string, { sent: number; received: number }>();
  #atMs = performance.now();
  #closed = false;

  constructor(metered: Metered, tell: (record: MetricsRecord) => void) {
    this.#metered = metered;
    this.#tell = tell;
    this.#loop.enable();
    this.#timer = setInterval(() => void this.#measure(), periodMs).unref();
    this.#waits = new WaitGauge(metered.sessions, channelsMax);
    this.#looking = setInterval(() => this.#waits.look(), lookMs).unref();
    this.#channels(1);
  }

  /** Counts one transition. */
  handled(tookMs: number): void {
    this.#handling.record(Math.max(1, Math.round(tookMs * 1_000_000)));
  }

  close(): void {
    this.#closed = true;
    clearInterval(this.#timer);
    clearInterval(this.#looking);
    this.#loop.disable();
  }

  async #measure(): Promise<void> {
    if (this.#measuring) return;
    this.#measuring = true;
    const resources = await this.#resources();
    this.#measuring = false;
    if (this.#closed) return;
    const nowMs = performance.now();
    const seconds = Math.max(0.001, (nowMs - this.#atMs) / 1_000);
    this.#atMs = nowMs;
    const handled = this.#handling.count;
    const record: MetricsRecord = {
      k: 'metrics',
      at: momentMs(),
      heapBytes: process.memoryUsage().heapUsed,
      actors: this.#metered.actors(),
      transitionsPerS: rate(handled, seconds),
      loopDelayMs: spreadOf(this.#loop, (ns) => Math.max(0, ns / 1e6 - loopResolutionMs)),
      handlingUs: handled === 0 ? null : spreadOf(this.#handling, (ns) => ns / 1e3),
      channels: this.#channels(seconds),
      resources,
    };
    this.#loop.reset();
    this.#handling.reset();
    this.#tell(record);
  }

  async #resources(): Promise<ResourceFigures[]> {
    const figures: ResourceFigures[] = [];
    for (const gauge of this.#metered.gauges)
      try {
        figures.push(...(await gauge()));
      } catch {
        // Just closed, or locked by somebody who has stopped: it is seen next time.
      }
    return figures;
  }

  #channels(seconds: number): ChannelFigures[] {
    const figures: ChannelFigures[] = [];
    const counts = new Map<string, { sent: number; received: number }>();
    for (const session of this.#metered.sessions) {
      const { machine, link } = session;
      for (const channel of session.channels()) {
        if (figures.length === channelsMax) break;
        const { name } = channel;
        const { sent, received, dropped } = channel.stats();
        const key = `${machine} ${name}`;
        const before = this.#before.get(key) ?? { sent: 0, received: 0 };
        counts.set(key, { sent, received });
        figures.push({
          actor: machine,
          link,
          channel: name,
          sentPerS: rate(Math.max(0, sent - before.sent), seconds),
          receivedPerS: rate(Math.max(0, received - before.received), seconds),
          unread: channel.unread(),
          waitMs: this.#waits.read(machine, channel),
          dropped,
        });
      }
    }
    this.#before = counts;
    return figures;
  }
}

function rate(count: number, seconds: number): number {
  return Math.round((count / seconds) * 10) / 10;
}

function spreadOf(
  histogram: Pick<IntervalHistogram, 'percentile' | 'max' | 'count'>,
  convert: (nanoseconds: number) => number,
): Spread {
  if (histogram.count === 0) return { p50: 0, p99: 0, max: 0 };
  const of = (ns: number) => Math.round(convert(ns) * 100) / 100;
  return { p50: of(histogram.percentile(50)), p99: of(histogram.percentile(99)), max: of(histogram.max) };
}
