// Timeline pane: events, the sequence diagram and the log, with one search and one pause for all of them.
import { useState } from 'preact/hooks';
import { useTopics } from '../frame/use-topics.ts';
import { type TimelineView, usePage } from '../page-state.ts';
import { EventList } from './event-list.tsx';
import { type EventKind, eventKinds } from './event-words.ts';
import { LogList } from './log-list.tsx';
import type { Lifelines } from './sequence.ts';
import { SequenceView } from './sequence-view.tsx';

const views: readonly { readonly view: TimelineView; readonly name: string; readonly key: string }[] = [
  { view: 'events', name: 'Events', key: 'e' },
  { view: 'sequence', name: 'Sequence', key: 's' },
  { view: 'log', name: 'Log', key: 'l' },
];

const kindNames: Readonly<Record<EventKind, string>> = {
  transition: 'transitions',
  message: 'messages',
  ignored: 'ignored',
  lifecycle: 'lifecycle',
  failure: 'failures',
  log: 'log',
};

export function TimelinePane() {
  const page = usePage();
  const { model, timeline, paused, search } = page;
  useTopics(model.topics, 'selection');
  const [kinds, setKinds] = useState<ReadonlySet<EventKind>>(new Set(eventKinds));
  const [ofSelected, setOfSelected] = useState(false);
  const [lifelines, setLifelines] = useState<Lifelines>('processes');
  const toggle = (kind: EventKind) => {
    const next = new Set(kinds);
    if (!next.delete(kind)) next.add(kind);
    setKinds(next);
  };
  return (
    <section class="pane timeline" aria-label="Timeline">
      <header class="pane-head">
        <div class="tabs" role="tablist">
          {views.map(({ view, name, key }) => (
            <button
              key={view}
              type="button"
              role="tab"
              aria-selected={timeline === view}
              title={`${name} (${key})`}
              onClick={() => {
                page.timeline = view;
                page.changed();
              }}
            >
              {name}
            </button>
          ))}
        </div>
        <div class="timeline-filters">
          {timeline === 'events'
            ? eventKinds.map((kind) => (
                <button
                  key={kind}
                  type="button"
                  class="chip"
                  data-kind={kind}
                  aria-pressed={kinds.has(kind)}
                  onClick={() => toggle(kind)}
                >
                  {kindNames[kind]}
                </button>
              ))
            : null}
          {timeline === 'sequence' ? (
            <label class="choice">
              lifelines
              <select
                value={lifelines}
                onChange={({ currentTarget }) =>
                  setLifelines(currentTarget.value === 'actors' ? 'actors' : 'processes')
                }
              >
                <option value="processes">processes</option>
                <option value="actors">actors</option>
              </select>
            </label>
          ) : (
            <label class="choice">
              <input
                type="checkbox"
                checked={ofSelected}
                onChange={({ currentTarget }) => setOfSelected(currentTarget.checked)}
              />
              only the selected
            </label>
          )}
        </div>
        <Counts />
        <input
          id="search"
          type="search"
          class="search"
          placeholder="Search ( / )"
          aria-label="Search events and log"
          value={search}
          onInput={({ currentTarget }) => page.setSearch(currentTarget.value)}
        />
        <button
          type="button"
          class={`button pause ${paused ? 'on' : ''}`}
          aria-pressed={paused}
          title="Pause (p)"
          onClick={() => page.setPaused(!paused)}
        >
          {paused ? 'Resume' : 'Pause'}
        </button>
      </header>
      {timeline === 'events' ? <EventList kinds={kinds} ofSelected={ofSelected} /> : null}
      {timeline === 'sequence' ? <SequenceView lifelines={lifelines} /> : null}
      {timeline === 'log' ? <LogList ofSelected={ofSelected} /> : null}
    </section>
  );
}

function Counts() {
  const { model } = usePage();
  useTopics(model.topics, 'metrics', 'selection');
  const { dropped } = model;
  return dropped === 0 ? (
    <span class="count" />
  ) : (
    <span
      class="count bad"
      title="They came faster than they could be sent or read; crashes and stops are never among them"
    >
      {dropped.toLocaleString('en')} dropped
    </span>
  );
}
