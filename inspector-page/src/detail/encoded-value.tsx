// Encoded value: a value as the producing process encoded it, as a tree that opens. Everything is text; nothing is markup.
import { useState } from 'preact/hooks';
import type { Encoded } from '../../../src/inspector/protocol.ts';

interface EncodedValueProps {
  readonly name?: string;
  readonly value: Encoded | undefined;
  /** Levels that are open from the beginning. */
  readonly open?: number;
}

interface Shape {
  readonly summary: string;
  readonly kind: string;
  readonly below: readonly (readonly [string, Encoded | undefined])[];
}

/** A long list is shown in portions of this many. */
const portion = 100;

export function EncodedValue({ name, value, open = 1 }: EncodedValueProps) {
  const [isOpen, setOpen] = useState(open > 0);
  const [shown, setShown] = useState(portion);
  const { summary, kind, below } = shapeOf(value);
  const label = name === undefined ? null : <span class="value-name">{name}</span>;
  if (below.length === 0)
    return (
      <div class="value">
        {label}
        <span class="value-text" data-kind={kind} title={summary}>
          {summary}
        </span>
      </div>
    );
  return (
    <div class="value">
      <button type="button" class="value-head" aria-expanded={isOpen} onClick={() => setOpen(!isOpen)}>
        <span class={`twist ${isOpen ? 'open' : ''}`} />
        {label}
        <span class="value-summary">{summary}</span>
      </button>
      {isOpen ? (
        <div class="value-below">
          {below.slice(0, shown).map(([key, inner]) => (
            <EncodedValue key={key} name={key} value={inner} open={open - 1} />
          ))}
          {below.length > shown ? (
            <button type="button" class="link" onClick={() => setShown(shown + portion)}>
              {below.length - shown} more
            </button>
          ) : null}
        </div>
      ) : null}
    </div>
  );
}

function shapeOf(value: Encoded | undefined): Shape {
  const leaf = (summary: string, kind: string): Shape => ({ summary, kind, below: [] });
  if (value === undefined) return leaf('undefined', 'null');
  if (value === null) return leaf('null', 'null');
  if (typeof value === 'string') return leaf(JSON.stringify(value), 'string');
  if (typeof value !== 'object') return leaf(String(value), typeof value);
  if (Array.isArray(value)) return listed(`[${value.length}]`, value, value.length);
  const object = value as { readonly [key: string]: Encoded };
  if (typeof object.$ === 'string') return taggedShape(object.$, object);
  const entries = Object.entries(object);
  return { summary: `{${entries.length}}`, kind: 'object', below: entries };
}

function taggedShape(tag: string, value: { readonly [key: string]: Encoded }): Shape {
  const leaf = (summary: string, kind = 'special'): Shape => ({ summary, kind, below: [] });
  const text = (key: string) => (typeof value[key] === 'string' ? (value[key] as string) : '');
  const count = typeof value.n === 'number' ? value.n : 0;
  const entries = Array.isArray(value.e) ? (value.e as readonly Encoded[]) : [];
  switch (tag) {
    case 'Map':
      return {
        summary: `Map(${count})`,
        kind: 'object',
        below: [
          ...entries.map((entry): readonly [string, Encoded] => {
            const [key, inner] = Array.isArray(entry) ? entry : [null, null];
            return [typeof key === 'string' ? key : JSON.stringify(key), inner ?? null];
          }),
          ...rest(count, entries.length),
        ],
      };
    case 'Set':
      return listed(`Set(${count})`, entries, count);
    case 'Array':
      return listed(`[${count}]`, entries, count);
    case 'Object': {
      const inner =
        typeof value.e === 'object' && value.e !== null && !Array.isArray(value.e)
          ? Object.entries(value.e)
          : [];
      const name = text('of');
      return {
        summary: `${name === '' ? '' : `${name} `}{${count}}`,
        kind: 'object',
        below: [...(inner as [string, Encoded][]), ...rest(count, inner.length)],
      };
    }
    case 'Error': {
      const stack = text('stack');
      const summary = `${text('name')}: ${text('message')}`;
      return stack === '' ? leaf(summary, 'error') : { summary, kind: 'error', below: [['stack', stack]] };
    }
    case 'Date':
      return leaf(text('v'));
    case 'BigInt':
      return leaf(`${text('v')}n`, 'number');
    case 'Number':
      return leaf(text('v'), 'number');
    case 'Bytes':
      return leaf(`${text('of')}(${count}) ${text('v')}${text('v') === '' ? '' : '…'}`);
    case 'Text':
      return leaf(`${JSON.stringify(text('v'))}… (${count.toLocaleString('en')} characters)`, 'string');
    case 'Function':
      return leaf(`ƒ ${text('v')}`);
    case 'Symbol':
      return leaf(`Symbol(${text('v')})`);
    case 'Undefined':
      return leaf('undefined', 'null');
    case 'Actor':
      return leaf(`actor ${text('id')}`);
    case 'Cycle':
      return leaf(`the same as ${text('v') || 'above'}`);
    case 'Deep':
      return leaf(`${text('of') || 'more'}, too deep to be shown`);
    case 'Thrown':
      return leaf(`threw: ${text('v')}`, 'error');
    case 'Redacted':
      return leaf('redacted', 'redacted');
    default:
      return leaf(tag);
  }
}

function listed(summary: string, entries: readonly Encoded[], count: number): Shape {
  return {
    summary,
    kind: 'object',
    below: [
      ...entries.map((entry, index): readonly [string, Encoded] => [String(index), entry]),
      ...rest(count, entries.length),
    ],
  };
}

function rest(count: number, shown: number): [string, Encoded][] {
  return count > shown ? [['…', { $: `${(count - shown).toLocaleString('en')} more were not sent` }]] : [];
}
