// Record check: records of another process's feed are input. What is no record, or of a size that no feed of ours makes, is left out.
import type { FeedRecord } from './feed.ts';

type Field = 'text' | 'text or null' | 'number' | 'object' | 'object or null' | 'list' | 'value' | 'boolean';

const textMax = 64 * 1024;
const listMax = 10_000;

const fields: Readonly<Record<FeedRecord['k'], Readonly<Record<string, Field>>>> = {
  chart: { hash: 'text', chart: 'object' },
  actor: { at: 'number', actor: 'text', chart: 'text or null', value: 'value', status: 'text' },
  transition: {
    at: 'number',
    actor: 'text',
    event: 'text',
    value: 'value',
    status: 'text',
    steps: 'list',
    actions: 'list',
  },
  ignored: { at: 'number', actor: 'text', event: 'text' },
  send: { at: 'number', from: 'text or null', to: 'text', event: 'text' },
  crash: { at: 'number', actor: 'text', message: 'text', stack: 'text or null' },
  stop: { at: 'number', actor: 'text', how: 'text' },
  report: { at: 'number', actor: 'text', report: 'object' },
  log: { at: 'number', level: 'text', message: 'text', facts: 'object' },
  dropped: { at: 'number', count: 'number' },
  reset: { at: 'number' },
  session: { at: 'number', actor: 'text', link: 'text', peer: 'object' },
  context: {
    at: 'number',
    actor: 'text',
    gone: 'boolean',
    value: 'value',
    status: 'text',
    context: 'value',
    next: 'list',
  },
  metrics: {
    at: 'number',
    heapBytes: 'number',
    actors: 'number',
    transitionsPerS: 'number',
    loopDelayMs: 'object',
    handlingUs: 'object or null',
    channels: 'list',
    resources: 'list',
  },
};

/** The record, or undefined for what is none. */
export function checkedRecord(value: unknown): FeedRecord | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const { k } = value as { k?: unknown };
  if (typeof k !== 'string' || !Object.hasOwn(fields, k)) return undefined;
  for (const [name, field] of Object.entries(fields[k as FeedRecord['k']]))
    if (!fits((value as Record<string, unknown>)[name], field)) return undefined;
  return value as FeedRecord;
}

function fits(value: unknown, field: Field): boolean {
  switch (field) {
    case 'text':
      return typeof value === 'string' && value.length <= textMax;
    case 'text or null':
      return value === null || (typeof value === 'string' && value.length <= textMax);
    case 'number':
      return typeof value === 'number' && Number.isFinite(value);
    case 'boolean':
      return typeof value === 'boolean';
    case 'object':
      return typeof value === 'object' && value !== null;
    case 'object or null':
      return typeof value === 'object';
    case 'list':
      return Array.isArray(value) && value.length <= listMax;
    case 'value':
      return value !== undefined;
  }
}
