// Page: where each pane stands.
import { useEffect } from 'preact/hooks';
import { ChartView } from './chart/chart-view.tsx';
import { DependenceView } from './dependences/dependence-view.tsx';
import { DetailPane } from './detail/detail-pane.tsx';
import { LifeView } from './detail/life-view.tsx';
import { useTopics } from './frame/use-topics.ts';
import { MetricsStrip } from './metrics/metrics-strip.tsx';
import { PageHeader } from './page-header.tsx';
import { PageHelp } from './page-help.tsx';
import { type CentreView, PageProvider, type PageState, usePage } from './page-state.ts';
import { PlaybackBar } from './playback-bar.tsx';
import { Splitter } from './splitter.tsx';
import { TimelinePane } from './timeline/timeline-pane.tsx';
import { TransportView } from './transport/transport-view.tsx';
import { TreePane } from './tree/tree-pane.tsx';

export function Page({ page }: { readonly page: PageState }) {
  return (
    <PageProvider value={page}>
      <div class="page">
        <PageHeader />
        <MetricsStrip />
        <main class="panes">
          <TreePane />
          <Splitter name="tree" side="left" />
          <CentrePane />
          <Splitter name="detail" side="right" />
          <DetailPane />
        </main>
        <Splitter name="timeline" side="bottom" />
        <TimelinePane />
        <PlaybackBar />
      </div>
      <NoticeView />
      <PageHelp />
    </PageProvider>
  );
}

const centres: readonly { readonly view: CentreView; readonly name: string; readonly key: string }[] = [
  { view: 'topology', name: 'Dependences', key: 'd' },
  { view: 'chart', name: 'Chart', key: 'c' },
  { view: 'transport', name: 'Transport', key: 'm' },
];

function CentrePane() {
  const page = usePage();
  const { model } = page;
  useTopics(model.topics, 'selection', 'units', 'values');
  const { centre, selection } = page;
  const shown = page.shownActor;
  const life =
    selection?.kind === 'life'
      ? model.units
          .get(model.unitOf.get(selection.process) ?? '')
          ?.dead.find((dead) => dead.process === selection.process)
      : undefined;
  return (
    <section class="pane centre" aria-label="Chart">
      <header class="pane-head">
        <div class="tabs" role="tablist">
          {centres.map(({ view, name, key }) => (
            <button
              key={view}
              type="button"
              role="tab"
              aria-selected={centre === view}
              title={`${name} (${key})`}
              onClick={() => {
                page.centre = view;
                page.changed();
              }}
            >
              {view === 'chart' && life ? 'Last life' : name}
            </button>
          ))}
        </div>
        {centre === 'chart' && shown ? (
          <>
            <span class="centre-name" title={shown.actor}>
              {shown.actor}
            </span>
            <code class="centre-state" data-tone={shown.crash ? 'bad' : 'good'} title={shown.words}>
              {shown.crash ? 'crashed' : shown.words || shown.status}
            </code>
          </>
        ) : null}
      </header>
      <div class="centre-body">
        {centre === 'topology' ? <DependenceView /> : null}
        {centre === 'transport' ? <TransportView /> : null}
        {centre === 'chart' ? life ? <LifeView life={life} /> : <ChartView /> : null}
      </div>
    </section>
  );
}

const noticeMs = 6_000;

function NoticeView() {
  const { model } = usePage();
  useTopics(model.topics, 'notice');
  const { notice } = model;
  useEffect(() => {
    if (!notice) return;
    const timer = setTimeout(() => model.setNotice(null), noticeMs);
    return () => clearTimeout(timer);
  }, [model, notice]);
  return (
    <div class="notice" role="status" data-level={notice?.level ?? 'none'}>
      {notice?.text}
    </div>
  );
}
