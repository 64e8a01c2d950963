// Event words: a record as one row of text, and as what the search looks through.

import { describeValue } from '../chart/active-states.ts';
import type { EventEntry, EventRecord } from '../feed/model.ts';

/** How records are grouped for whoever filters them. */
export type EventKind = 'transition' | 'message' | 'ignored' | 'lifecycle' | 'failure' | 'log';

export const eventKinds: readonly EventKind[] = [
  'transition',
  'message',
  'ignored',
  'lifecycle',
  'failure',
  'log',
];

/** What is not here came from a server that is newer than this page. */
const kindOf: Readonly<Record<string, EventKind>> = {
  transition: 'transition',
  send: 'message',
  message: 'message',
  ignored: 'ignored',
  stop: 'lifecycle',
  report: 'lifecycle',
  crash: 'failure',
  dropped: 'failure',
  reset: 'lifecycle',
  log: 'log',
};

export function eventKind(record: EventRecord): EventKind {
  if (record.k === 'stop' && record.how === 'crashed') return 'failure';
  return kindOf[record.k] ?? 'log';
}

export interface EventWords {
  /** Whom it happened to; null: the process. */
  readonly actor: string | null;
  readonly event: string;
  readonly detail: string;
}

/** As XState names what nobody sends: delays, ends of children, nothing at all. */
export function eventName(event: string): string {
  if (event === '') return 'always';
  const after = /^xstate\.after\.([^.]+)\./.exec(event);
  if (after) return `after ${after[1]!}`;
  const ended = /^xstate\.(done|error)\.(actor|state)\.(.+)$/.exec(event);
  if (ended) return `${lastName(ended[3]!)} ${ended[1] === 'done' ? 'done' : 'failed'}`;
  return event;
}

export function lastName(id: string): string {
  return id.slice(id.lastIndexOf('.') + 1);
}

export function eventWords(record: EventRecord): EventWords {
  switch (record.k) {
    case 'transition': {
      // What XState does by itself, as cancel a delay, was nobody's decision.
      const own = record.actions.filter((action) => !action.startsWith('xstate.'));
      const actions = own.length > 0 ? ` / ${own.join(', ')}` : '';
      const waits = record.waitsFor ? `, waits for ${record.waitsFor}` : '';
      return {
        actor: record.actor,
        event: eventName(record.event),
        detail: `→ ${describeValue(record.value) || record.status}${waits}${actions}`,
      };
    }
    case 'send':
      return {
        actor: record.to,
        event: eventName(record.event),
        detail: record.from === null ? 'received' : `sent by ${record.from}`,
      };
    case 'message':
      return {
        actor: record.to,
        event: eventName(record.event),
        detail: `from ${record.from.process} ${record.from.actor}`,
      };
    case 'ignored':
      return {
        actor: record.actor,
        event: eventName(record.event),
        detail: 'ignored: no state here takes it',
      };
    case 'crash':
      return { actor: record.actor, event: 'crashed', detail: record.message };
    case 'stop':
      return { actor: record.actor, event: record.how, detail: 'ended' };
    case 'report':
      return {
        actor: record.actor,
        event: textOf(record.report, 'type') || 'report',
        detail: describeReport(record.report),
      };
    case 'log':
      return { actor: null, event: record.level, detail: record.message };
    case 'dropped':
      return {
        actor: null,
        event: 'dropped',
        detail: `${record.count} records came too fast and are not here`,
      };
    default:
      return { actor: null, event: (record as { k: string }).k, detail: '' };
  }
}

export function searchText({ process, record }: EventEntry): string {
  const { actor, event, detail } = eventWords(record);
  return `${process} ${actor ?? ''} ${event} ${detail}`.toLowerCase();
}

function describeReport(report: object): string {
  const parts = Object.entries(report)
    .filter(([key]) => key !== 'type')
    .map(([key, value]) => `${key} ${typeof value === 'object' ? JSON.stringify(value) : String(value)}`);
  const words = parts.join(', ');
  return words.length > 300 ? `${words.slice(0, 299)}…` : words;
}

function textOf(object: object, key: string): string {
  const value = (object as Record<string, unknown>)[key];
  return typeof value === 'string' ? value : '';
}
