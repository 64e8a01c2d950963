// Channel figures: what the processes of a tree say about the channels of their sessions when they are asked, and how fast
// that grows. What a process says is input.
import { type ChannelCount, channelCountsMax } from '../actors/session-figures.ts';
import type { Address } from '../names.ts';

export interface ChannelFigures extends ChannelCount {
  /** Since it was last asked for; null at the first time. */
  readonly sentPerSecond: number | null;
  readonly receivedPerSecond: number | null;
}

/** A process whose event loop does not turn for that long is shown without figures. */
const answerMs = 200;
/** An earlier figure than this says nothing about now. */
const staleMs = 60_000;
/** Two figures closer together than this give no rate. */
const apartMs = 50;

interface Sample {
  readonly atMs: number;
  readonly epoch: number;
  readonly counts: readonly ChannelCount[];
}

export class ChannelFiguresByUnit {
  readonly #ask: () => readonly Address[];
  readonly #samples = new Map<Address, { last: Sample; figures: readonly ChannelFigures[] }>();
  #waiting: { readonly open: Set<Address>; readonly done: () => void } | undefined;
  #asked: Promise<void> | undefined;

  /** @param ask has the processes tell; answers of which units. */
  constructor(ask: () => readonly Address[]) {
    this.#ask = ask;
  }

  /** Those who ask at once get the same answer. */
  collect(): Promise<void> {
    this.#asked ??= this.#collect().finally(() => {
      this.#asked = undefined;
    });
    return this.#asked;
  }

  of(unit: Address): readonly ChannelFigures[] {
    return this.#samples.get(unit)?.figures ?? [];
  }

  /** A process has told. */
  counted(unit: Address, epoch: number, told: readonly unknown[]): void {
    const counts = told.slice(0, channelCountsMax).filter(isCount);
    const last = { atMs: performance.now(), epoch, counts };
    const before = this.#samples.get(unit)?.last;
    const comparable = before?.epoch === epoch && last.atMs - before.atMs < staleMs ? before : undefined;
    if (comparable && last.atMs - comparable.atMs < apartMs) return this.#answered(unit);
    this.#samples.set(unit, { last, figures: counts.map((count) => withRates(count, last, comparable)) });
    this.#answered(unit);
  }

  forget(unit: Address): void {
    this.#samples.delete(unit);
    this.#answered(unit);
  }

  #collect(): Promise<void> {
    return new Promise((resolve) => {
      const open = new Set(this.#ask());
      if (open.size === 0) return resolve();
      const done = () => {
        clearTimeout(timer);
        this.#waiting = undefined;
        resolve();
      };
      const timer = setTimeout(done, answerMs);
      this.#waiting = { open, done };
    });
  }

  #answered(unit: Address): void {
    const waiting = this.#waiting;
    if (waiting?.open.delete(unit) && waiting.open.size === 0) waiting.done();
  }
}

function withRates(count: ChannelCount, { atMs }: Sample, before: Sample | undefined): ChannelFigures {
  const { peer, channel, sent, received, dropped, unreadBytes, open } = count;
  const earlier = before?.counts.find((each) => each.peer === peer && each.channel === channel);
  const perSecond = (now: number, then: number) =>
    // A session that has ended took its figures along.
    Math.max(0, Math.round((1_000 * (now - then)) / (atMs - before!.atMs)));
  return {
    ...{ peer, channel, open, sent, received, dropped, unreadBytes },
    sentPerSecond: earlier ? perSecond(sent, earlier.sent) : null,
    receivedPerSecond: earlier ? perSecond(received, earlier.received) : null,
  };
}

function isCount(value: unknown): value is ChannelCount {
  if (typeof value !== 'object' || value === null) return false;
  const { peer, channel, ...numbers } = value as Record<string, unknown>;
  const { open, sent, received, dropped, unreadBytes } = numbers;
  return (
    [peer, channel].every((text) => typeof text === 'string' && text.length <= 128) &&
    [open, sent, received, dropped, unreadBytes].every(
      (figure) => typeof figure === 'number' && Number.isFinite(figure) && figure >= 0,
    )
  );
}
