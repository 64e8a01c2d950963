import type { UnitView } from '../../../src/inspector/protocol.ts';
import { describeRate, describeSize } from '../detail/quantity.ts';
import { usePage } from '../page-state.ts';
import type { Tone } from './tone.ts';
import { toneOfActor, toneOfExit, toneOfUnit, unitWords } from './tone.ts';
import type { TreeRow } from './tree-rows.ts';

interface TreeRowProps {
  readonly id: string;
  readonly row: TreeRow;
  readonly selected: boolean;
  readonly onSelect: () => void;
  readonly onToggle: () => void;
}

const indent = 14;

export function TreeRowView({ id, row, selected, onSelect, onToggle }: TreeRowProps) {
  const { depth, label, expanded, of } = row;
  const { tone, words, title } = summaryOf(of);
  return (
    // biome-ignore lint/a11y/useFocusableInteractive: the tree has the focus and names its active row.
    // biome-ignore lint/a11y/useKeyWithClickEvents: the tree takes the keys.
    <div
      id={id}
      role="treeitem"
      aria-selected={selected}
      aria-level={depth + 1}
      aria-expanded={expanded ?? undefined}
      class={`tree-row tree-${of.kind} ${selected ? 'selected' : ''}`}
      data-tone={tone}
      data-key={row.key}
      title={title}
      onClick={onSelect}
      style={{ paddingLeft: `${8 + depth * indent}px` }}
    >
      <button
        type="button"
        tabIndex={-1}
        class={`twist ${expanded === null ? 'leaf' : ''} ${expanded ? 'open' : ''}`}
        aria-label={expanded ? 'Close' : 'Open'}
        onClick={(event) => {
          event.stopPropagation();
          onToggle();
        }}
      />
      {tone ? <span class={`dot ${shapeOf(of)}`} data-tone={tone} /> : null}
      <span class="tree-label">{label}</span>
      <span class="tree-state">{words}</span>
      <Figures of={of} />
    </div>
  );
}

function Figures({ of }: { readonly of: TreeRow['of'] }) {
  switch (of.kind) {
    case 'unit': {
      const restarts = Math.max(0, of.unit.starts - 1);
      return (
        <>
          {restarts > 0 ? (
            <span class="badge" title={`restarted ${restarts} ${restarts === 1 ? 'time' : 'times'}`}>
              ↻{restarts}
            </span>
          ) : null}
          <UnitRate unit={of.unit} />
        </>
      );
    }
    case 'actor':
      return of.actor.rate > 0 && of.alive ? <span class="rate">{describeRate(of.actor.rate)}</span> : null;
    case 'heading':
      return <span class="rate">{of.count.toLocaleString('en')}</span>;
    case 'resource': {
      const { depth, capacity, counts, drops } = of.resource;
      const show = counts === 'bytes' ? describeSize : (count: number) => count.toLocaleString('en');
      return (
        <>
          {drops ? (
            <span class="badge bad" title="found no room, or was evicted">
              −{drops.toLocaleString('en')}
            </span>
          ) : null}
          {depth === null ? null : (
            <span class="rate">
              {show(depth)}
              {capacity === null ? '' : ` / ${show(capacity)}`}
            </span>
          )}
        </>
      );
    }
    case 'life':
      return null;
  }
}

/** Of the process, whichever way messages went. */
function UnitRate({ unit }: { readonly unit: UnitView }) {
  const { model } = usePage();
  const inner = unit.kind === 'node' ? model.metrics.latest.get(unit.process ?? '')?.inner : undefined;
  if (!inner) return null;
  return (
    <span class="rate" title="messages through its channels, out and in">
      {describeRate(inner.sentPerS + inner.receivedPerS)}
    </span>
  );
}

/** Units are squares, actors are circles, what is dead is a cross: colour is never the only sign. */
function shapeOf(of: TreeRow['of']): string {
  if (of.kind === 'unit') return 'square';
  if (of.kind === 'life') return 'cross';
  return of.kind === 'resource' ? 'ring' : '';
}

function summaryOf(of: TreeRow['of']): { tone: Tone | null; words: string; title: string } {
  switch (of.kind) {
    case 'unit': {
      const { unit } = of;
      const state = unitWords(unit);
      const words = unit.host === undefined ? state : `${state} @${unit.host}`;
      const facts = [
        unit.path,
        unit.host === undefined ? null : `on host ${unit.host}`,
        unit.phase,
        unit.pid === null ? null : `process ${unit.pid}`,
        unit.waitsFor,
        unit.lastExit === null ? null : `last exit: ${unit.lastExit}`,
      ];
      return { tone: toneOfUnit(unit), words, title: facts.filter((fact) => fact).join('\n') };
    }
    case 'life': {
      const { exit, pid } = of.life;
      return {
        tone: toneOfExit(exit),
        words: exit.signal ?? exit.class,
        title: `process ${pid ?? '?'}: ${exit.reason}; ${exit.verdict}`,
      };
    }
    case 'actor': {
      const { actor, alive } = of;
      return {
        tone: toneOfActor(actor, alive),
        words: actor.crash ? 'crashed' : actor.words || actor.status,
        title: [
          actor.actor,
          actor.words,
          actor.waitsFor ? `waits for ${actor.waitsFor}` : '',
          actor.crash?.message,
        ]
          .filter((fact) => fact)
          .join('\n'),
      };
    }
    case 'resource': {
      const { kind, users } = of.resource;
      const units = users.map(({ unit, pid }) => unit ?? `process ${pid}`).join(', ');
      return {
        tone: users.length > 0 ? 'good' : 'idle',
        words: `${kind}, ${users.length} ${users.length === 1 ? 'user' : 'users'}`,
        title: units,
      };
    }
    case 'heading':
      return { tone: null, words: '', title: '' };
  }
}
