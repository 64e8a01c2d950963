// Tree pane: everything that runs, across processes.
import { useEffect, useMemo, useReducer, useRef, useState } from 'preact/hooks';
import { useTopics } from '../frame/use-topics.ts';
import { VirtualList } from '../frame/virtual-list.tsx';
import { usePage } from '../page-state.ts';
import { TreeRowView } from './tree-row.tsx';
import { drawnBefore, keysAbove, rowOf, type TreeRow, treeRows } from './tree-rows.ts';

const rowHeight = 26;

export function TreePane() {
  const page = usePage();
  const { model } = page;
  const [search, setSearch] = useState('');
  const opened = useRef(new Map<string, boolean>());
  const rows = useRef<readonly TreeRow[]>([]);
  const before = useRef<ReadonlyMap<string, boolean>>(new Map());
  const [version, rebuild] = useReducer((count: number) => count + 1, 0);
  // Rows are found anew when something comes or goes; that an actor moves to another state only draws them anew.
  useEffect(
    () => model.topics.listen(['units', 'actors', 'resources', 'connection'], () => rebuild(undefined)),
    [model],
  );
  useTopics(model.topics, 'values', 'selection');
  const { selection } = page;
  const [shown, setShown] = useState('');

  rows.current = useMemo(
    () => treeRows(model, { opened: opened.current, search, before: before.current }),
    [model, version, search],
  );
  // A search opens rows only for as long as it lasts.
  if (search.trim() === '') before.current = drawnBefore(rows.current);
  const index = rowOf(rows.current, selection);

  useEffect(() => {
    // A link, or a click elsewhere, leads to a row that may be closed away.
    if (!selection || index >= 0) return;
    for (const key of keysAbove(model, selection)) opened.current.set(key, true);
    rebuild(undefined);
  }, [model, selection, index < 0 ? model.filled : true]);
  useEffect(() => setShown(selection && index >= 0 ? rows.current[index]!.key : ''), [selection, index >= 0]);

  const toggle = (row: TreeRow, open = !row.expanded) => {
    if (row.expanded === null || row.expanded === open) return;
    opened.current.set(row.key, open);
    rebuild(undefined);
  };
  const move = (by: number) => {
    const choices = rows.current;
    let at = index < 0 ? (by > 0 ? -1 : choices.length) : index;
    do at += by;
    while (choices[at] && !choices[at]!.selection);
    const row = choices[at];
    if (row?.selection) page.select(row.selection);
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.target instanceof HTMLInputElement || event.ctrlKey || event.metaKey || event.altKey) return;
    const row = rows.current[index];
    const keys: Record<string, () => void> = {
      ArrowDown: () => move(1),
      ArrowUp: () => move(-1),
      ArrowRight: () => row && toggle(row, true),
      ArrowLeft: () => row && (row.expanded ? toggle(row, false) : moveToParent(row)),
      Enter: () => row && toggle(row),
    };
    const act = keys[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  };
  const moveToParent = (row: TreeRow) => {
    for (let at = index - 1; at >= 0; at--) {
      const above = rows.current[at]!;
      if (above.depth >= row.depth) continue;
      if (above.selection) page.select(above.selection);
      return;
    }
  };
  const waiting = !model.filled || model.units.size === 0;
  return (
    <section class="pane tree" aria-label="Tree" onKeyDown={onKeyDown}>
      <header class="pane-head">
        <h2>Tree</h2>
        <span class="count">
          {model.actorsTotal.toLocaleString('en')} {model.actorsTotal === 1 ? 'actor' : 'actors'}
        </span>
      </header>
      <div class="pane-tools">
        <input
          id="tree-search"
          type="search"
          class="search"
          placeholder="Filter by name, state, pid"
          aria-label="Filter the tree"
          value={search}
          onInput={({ currentTarget }) => setSearch(currentTarget.value)}
        />
      </div>
      <VirtualList
        role="tree"
        label="Units and actors"
        length={rows.current.length}
        rowHeight={rowHeight}
        shownIndex={shown === '' ? -1 : index}
        activeDescendant={index >= 0 ? `row-${index}` : undefined}
        empty={
          <p class="empty">
            {waiting
              ? 'Waiting for the tree…'
              : search === ''
                ? 'Nothing runs.'
                : 'Nothing has that name or state.'}
          </p>
        }
        row={(at) => {
          const row = rows.current[at]!;
          return (
            <TreeRowView
              id={`row-${at}`}
              row={row}
              selected={at === index}
              onSelect={() => (row.selection ? page.select(row.selection) : toggle(row))}
              onToggle={() => toggle(row)}
            />
          );
        }}
      />
    </section>
  );
}
