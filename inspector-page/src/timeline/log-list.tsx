// Log list: the lines that units wrote.
import { useMemo } from 'preact/hooks';
import type { LogLine } from '../../../src/inspector/protocol.ts';
import { describeTime } from '../detail/quantity.ts';
import { useTopics } from '../frame/use-topics.ts';
import { VirtualList } from '../frame/virtual-list.tsx';
import { usePage } from '../page-state.ts';
import { Filtered, stopped } from './filtered.ts';

const rowHeight = 20;

export function LogList({ ofSelected }: { readonly ofSelected: boolean }) {
  const page = usePage();
  const { model, search, paused, selection } = page;
  useTopics(model.topics, 'log', 'selection');
  const source = useMemo(() => (paused ? stopped(model.log) : model.log), [paused, model]);
  const wanted = search.trim().toLowerCase();
  const unit = ofSelected ? unitOf() : null;
  const filtered = useMemo(
    () =>
      new Filtered<LogLine>(
        source,
        (line) =>
          (unit === null || line.unit === unit) &&
          (wanted === '' || `${line.unit} ${line.text}`.toLowerCase().includes(wanted)),
      ),
    [source, wanted, unit],
  );
  filtered.update();

  function unitOf(): string | null {
    if (selection?.kind === 'unit') return selection.path;
    if (selection?.kind === 'actor' || selection?.kind === 'life')
      return model.unitOf.get(selection.process) ?? null;
    return null;
  }

  return (
    <VirtualList
      role="log"
      label="Log lines"
      length={filtered.length}
      rowHeight={rowHeight}
      follow={!paused}
      onLeaveEnd={() => page.setPaused(true)}
      empty={
        <p class="empty">
          {model.log.length === 0 ? 'Nobody has written anything yet.' : 'No line fits the filter.'}
        </p>
      }
      row={(index) => {
        const line = filtered.at(index);
        return line ? <LogRow line={line} /> : null;
      }}
    />
  );
}

export function LogRow({ line }: { readonly line: LogLine }) {
  return (
    <div class="log-row" data-level={line.level ?? (line.stream === 'err' ? 'err' : 'out')} title={line.text}>
      <time>{describeTime(line.atMs)}</time>
      <span class="log-unit">{line.unit || 'root'}</span>
      <span class="log-text">{line.text}</span>
    </div>
  );
}
