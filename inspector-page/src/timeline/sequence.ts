// Sequence: who told whom what, as arrows between lifelines. A lifeline is a unit, or an actor, by the reader's choice.
import type { EventEntry } from '../feed/model.ts';
import { unitPathOf } from '../feed/model.ts';

export type Lifelines = 'processes' | 'actors';

export interface SequenceStep {
  readonly at: number;
  readonly from: string;
  readonly to: string;
  readonly words: string;
  readonly kind: 'message' | 'crash' | 'stop';
  /** To look at when it is clicked. */
  readonly process: string;
  readonly actor: string;
}

/** Null for what is no arrow here. */
export function sequenceStep({ process, record }: EventEntry, lifelines: Lifelines): SequenceStep | null {
  const line = (where: string, actor: string) =>
    lifelines === 'processes' ? unitPathOf(where) || 'root' : `${unitPathOf(where) || 'root'}: ${actor}`;
  switch (record.k) {
    case 'message': {
      const { at, from, to, event } = record;
      return {
        at,
        from: line(from.process, from.actor),
        to: line(process, to),
        words: event,
        kind: 'message',
        process,
        actor: to,
      };
    }
    case 'send': {
      // Within one process nothing crosses from lifeline to lifeline, unless actors are the lifelines.
      if (lifelines === 'processes' || record.from === null || record.from === record.to) return null;
      const { at, from, to, event } = record;
      return {
        at,
        from: line(process, from),
        to: line(process, to),
        words: event,
        kind: 'message',
        process,
        actor: to,
      };
    }
    case 'crash': {
      const { at, actor, message } = record;
      const self = line(process, actor);
      return { at, from: self, to: self, words: `crashed: ${message}`, kind: 'crash', process, actor };
    }
    case 'report': {
      // The end of a process, as its supervisor in the root tells it.
      const report = record.report as { type?: unknown; id?: unknown; verdict?: unknown };
      if (report.type !== 'unit.exited' || typeof report.id !== 'string') return null;
      const path = [...record.actor.split('/').slice(1), report.id].join('/');
      const verdict = typeof report.verdict === 'string' ? `: ${report.verdict}` : '';
      return {
        at: record.at,
        from: path,
        to: path,
        words: `process ended${verdict}`,
        kind: 'stop',
        process,
        actor: record.actor,
      };
    }
    default:
      return null;
  }
}
