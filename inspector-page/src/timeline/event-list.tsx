// Event list: what happened, newest at the end, as much as the filter lets through.
import { useMemo } from 'preact/hooks';
import { describeTime } from '../detail/quantity.ts';
import type { EventEntry } from '../feed/model.ts';
import { useTopics } from '../frame/use-topics.ts';
import { VirtualList } from '../frame/virtual-list.tsx';
import { usePage } from '../page-state.ts';
import { type EventKind, eventKind, eventWords, searchText } from './event-words.ts';
import { Filtered, stopped } from './filtered.ts';

const rowHeight = 22;

interface EventListProps {
  readonly kinds: ReadonlySet<EventKind>;
  /** Only what the selected actor did. */
  readonly ofSelected: boolean;
}

export function EventList({ kinds, ofSelected }: EventListProps) {
  const page = usePage();
  const { model, search, paused } = page;
  useTopics(model.topics, 'events', 'selection');
  const shown = ofSelected ? page.shownActor : undefined;
  const source = useMemo(() => (paused ? stopped(model.events) : model.events), [paused, model]);
  const wanted = search.trim().toLowerCase();
  const [process, actor] = [shown?.process, shown?.actor];
  const filtered = useMemo(() => {
    const accepts = (entry: EventEntry) => {
      if (!kinds.has(eventKind(entry.record))) return false;
      if (actor !== undefined && (entry.process !== process || eventWords(entry.record).actor !== actor))
        return false;
      return wanted === '' || searchText(entry).includes(wanted);
    };
    return new Filtered(source, accepts);
  }, [source, kinds, wanted, process, actor]);
  filtered.update();
  return (
    <VirtualList
      role="log"
      label="Events"
      length={filtered.length}
      rowHeight={rowHeight}
      follow={!paused}
      onLeaveEnd={() => page.setPaused(true)}
      empty={
        <p class="empty">
          {model.events.length === 0 ? 'Nothing has happened yet.' : 'No event fits the filter.'}
        </p>
      }
      row={(index) => {
        const entry = filtered.at(index);
        return entry ? <EventRow entry={entry} /> : null;
      }}
    />
  );
}

function EventRow({ entry: { process, record } }: { readonly entry: EventEntry }) {
  const page = usePage();
  const { actor, event, detail } = eventWords(record);
  const select = () => {
    if (actor !== null) page.select({ kind: 'actor', process, actor });
  };
  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents: a short cut of the mouse; the tree offers the same to the keyboard.
    // biome-ignore lint/a11y/noStaticElementInteractions: as above.
    <div class="event-row" data-kind={eventKind(record)} onClick={select} title={detail}>
      <time>{describeTime(record.at)}</time>
      <span class="event-process">{process}</span>
      <span class="event-actor">{actor ?? ''}</span>
      <span class="event-name">{event}</span>
      <span class="event-detail">{detail}</span>
    </div>
  );
}
