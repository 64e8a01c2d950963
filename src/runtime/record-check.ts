// Record check: records of another process's feed are input. What is no record, or of a size that no feed of ours makes, is left out.
import type { FeedRecord } from './feed.ts';

type Field =
  | 'text'
  | 'text or null'
  | 'number'
  | 'number or null'
  | 'object'
  | 'texts'
  | 'numbers'
  | 'state'
  | 'value'
  | 'boolean'
  | Fields
  | readonly [Fields, 'or null']
  | readonly [Fields];

interface Fields {
  readonly [name: string]: Field;
}

const textMax = 64 * 1024;
const listMax = 10_000;
/** Of a value in a record: levels, and characters of all texts and keys with one for each entry. A chart has four levels for each of its states. */
const depthMax = 200;
const sizeMax = 1024 * 1024;
const stateDepthMax = 64;

const spread: Fields = { p50: 'number', p99: 'number', max: 'number' };

const fields: Readonly<Record<FeedRecord['k'], Fields>> = {
  chart: { hash: 'text', chart: 'object' },
  actor: { at: 'number', actor: 'text', chart: 'text or null', value: 'state', status: 'text' },
  transition: {
    at: 'number',
    actor: 'text',
    event: 'text',
    value: 'state',
    status: 'text',
    steps: [{ event: 'text', from: 'text', to: 'texts' }],
    actions: 'texts',
  },
  ignored: { at: 'number', actor: 'text', event: 'text' },
  send: { at: 'number', from: 'text or null', to: 'text', event: 'text' },
  crash: { at: 'number', actor: 'text', message: 'text', stack: 'text or null' },
  stop: { at: 'number', actor: 'text', how: 'text' },
  report: { at: 'number', actor: 'text', report: 'object' },
  log: { at: 'number', level: 'text', message: 'text', facts: 'object' },
  dropped: { at: 'number', count: 'number' },
  reset: { at: 'number' },
  session: { at: 'number', actor: 'text', link: 'text', peer: { app: 'text', pid: 'number' } },
  context: {
    at: 'number',
    actor: 'text',
    gone: 'boolean',
    value: 'state',
    status: 'text',
    context: 'value',
    next: [{ event: 'text', from: 'text', to: 'texts', guard: 'text or null', sendable: 'boolean' }],
  },
  metrics: {
    at: 'number',
    heapBytes: 'number',
    actors: 'number',
    transitionsPerS: 'number',
    loopDelayMs: spread,
    handlingUs: [spread, 'or null'],
    channels: [
      {
        ...({ actor: 'text', link: 'text', channel: 'text' } as const),
        ...({ sentPerS: 'number', receivedPerS: 'number', unread: 'number', dropped: 'number' } as const),
        waitMs: 'number or null',
      },
    ],
    resources: [
      {
        ...({ kind: 'text', name: 'text', region: 'text or null', pids: 'numbers', counts: 'text' } as const),
        ...({ depth: 'number or null', capacity: 'number or null', drops: 'number or null' } as const),
        facts: 'object',
      },
    ],
  },
};

/** The record, or undefined for what is none. Whoever gets it may read all of it, and write it as JSON. */
export function checkedRecord(value: unknown): FeedRecord | undefined {
  if (!isObject(value)) return undefined;
  const { k } = value;
  if (typeof k !== 'string' || !Object.hasOwn(fields, k)) return undefined;
  if (!hasAll(value, fields[k as FeedRecord['k']])) return undefined;
  // What this version has no field for is carried on too.
  return new Extent().holds(value, depthMax) ? (value as unknown as FeedRecord) : undefined;
}

function hasAll(value: Readonly<Record<string, unknown>>, wanted: Fields): boolean {
  for (const name in wanted) if (!fits(value[name], wanted[name]!)) return false;
  return true;
}

function fits(value: unknown, field: Field): boolean {
  switch (field) {
    case 'text':
      return isText(value);
    case 'text or null':
      return value === null || isText(value);
    case 'number':
      return Number.isFinite(value);
    case 'number or null':
      return value === null || Number.isFinite(value);
    case 'boolean':
      return typeof value === 'boolean';
    case 'object':
      return typeof value === 'object' && value !== null;
    case 'texts':
      return isList(value) && value.every(isText);
    case 'numbers':
      return isList(value) && value.every(Number.isFinite);
    case 'state':
      return value === null || isState(value, stateDepthMax);
    case 'value':
      return value !== undefined;
    default:
      break;
  }
  if (!Array.isArray(field)) return isObject(value) && hasAll(value, field as Fields);
  const [inner, orNull] = field as readonly [Fields, 'or null'?];
  if (orNull) return value === null || (isObject(value) && hasAll(value, inner));
  return isList(value) && value.every((each) => isObject(each) && hasAll(each, inner));
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value.length <= textMax;
}

function isList(value: unknown): value is readonly unknown[] {
  return Array.isArray(value) && value.length <= listMax;
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isState(value: unknown, levels: number): boolean {
  if (isText(value)) return true;
  if (levels === 0 || !isObject(value)) return false;
  return Object.values(value).every((inner) => inner === undefined || isState(inner, levels - 1));
}

/** How much of a record has been seen. */
class Extent {
  #left = sizeMax;

  /** Whether it is of bounded depth and size, and JSON has a word for everything in it. */
  holds(value: unknown, levels: number): boolean {
    this.#left--;
    if (typeof value === 'string') this.#left -= value.length;
    if (this.#left < 0 || typeof value === 'bigint') return false;
    if (typeof value !== 'object' || value === null) return true;
    if (levels === 0) return false;
    if (Array.isArray(value)) {
      if (value.length > this.#left) return false;
      return value.every((each) => this.holds(each, levels - 1));
    }
    for (const [name, each] of Object.entries(value)) {
      this.#left -= name.length;
      if (!this.holds(each, levels - 1)) return false;
    }
    return true;
  }
}
