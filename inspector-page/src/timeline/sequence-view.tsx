// Sequence view: messages between processes as a sequence diagram, newest at the end. Only the rows that are seen are drawn.
import { useMemo, useRef } from 'preact/hooks';
import { describeTime } from '../detail/quantity.ts';
import type { EventEntry } from '../feed/model.ts';
import { useSize } from '../frame/use-size.ts';
import { useTopics } from '../frame/use-topics.ts';
import { VirtualList } from '../frame/virtual-list.tsx';
import { usePage } from '../page-state.ts';
import { Filtered, stopped } from './filtered.ts';
import { type Lifelines, type SequenceStep, sequenceStep } from './sequence.ts';

const rowHeight = 24;
const timeWidth = 96;
const columnMin = 120;
/** More lifelines than this nobody can tell apart; those that were seen first stay. */
const lifelinesMax = 40;

export function SequenceView({ lifelines }: { readonly lifelines: Lifelines }) {
  const page = usePage();
  const { model, search, paused } = page;
  useTopics(model.topics, 'events', 'selection');
  const element = useRef<HTMLDivElement>(null);
  const { width } = useSize(element);
  const source = useMemo(() => (paused ? stopped(model.events) : model.events), [paused, model]);
  const wanted = search.trim().toLowerCase();
  const { filtered, columns } = useMemo(() => {
    const found = new Map<string, number>();
    const accepts = (entry: EventEntry): boolean => {
      const step = sequenceStep(entry, lifelines);
      if (!step) return false;
      if (wanted !== '' && !`${step.from} ${step.to} ${step.words}`.toLowerCase().includes(wanted))
        return false;
      for (const name of [step.from, step.to])
        if (!found.has(name) && found.size < lifelinesMax) found.set(name, found.size);
      return found.has(step.from) && found.has(step.to);
    };
    return { filtered: new Filtered(source, accepts), columns: found };
  }, [source, lifelines, wanted]);
  filtered.update();
  const columnWidth = Math.max(columnMin, Math.floor((width - timeWidth - 12) / Math.max(1, columns.size)));
  const middle = (name: string) => timeWidth + ((columns.get(name) ?? 0) + 0.5) * columnWidth;
  const full = timeWidth + columns.size * columnWidth;
  return (
    <div ref={element} class="sequence">
      <div class="sequence-room" style={{ width: full > width ? `${full}px` : '100%' }}>
        <div class="sequence-head">
          {[...columns.keys()].map((name) => (
            <span
              key={name}
              class="lifeline-name"
              title={name}
              style={{ left: `${middle(name) - columnWidth / 2}px`, width: `${columnWidth}px` }}
            >
              {name}
            </span>
          ))}
        </div>
        <VirtualList
          role="log"
          label="Messages between processes"
          length={filtered.length}
          rowHeight={rowHeight}
          follow={!paused}
          onLeaveEnd={() => page.setPaused(true)}
          empty={
            <p class="empty">
              {model.events.length === 0
                ? 'Nothing has happened yet.'
                : 'No message has gone between these. Show lifelines of actors to see what they say within a process.'}
            </p>
          }
          row={(index) => {
            const entry = filtered.at(index);
            const step = entry && sequenceStep(entry, lifelines);
            return step ? (
              <Step
                step={step}
                from={middle(step.from)}
                to={middle(step.to)}
                lines={[...columns.keys()].map(middle)}
                width={full}
                onSelect={() => page.select({ kind: 'actor', process: step.process, actor: step.actor })}
              />
            ) : null;
          }}
        />
      </div>
    </div>
  );
}

interface StepProps {
  readonly step: SequenceStep;
  readonly from: number;
  readonly to: number;
  readonly lines: readonly number[];
  readonly width: number;
  readonly onSelect: () => void;
}

function Step({ step, from, to, lines, width, onSelect }: StepProps) {
  const self = from === to;
  const right = to >= from;
  const head = self ? from + 4 : to;
  const y = rowHeight - 6;
  const middle = (from + to) / 2;
  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents: as above.
    <svg
      class="step"
      data-kind={step.kind}
      width={width}
      height={rowHeight}
      onClick={onSelect}
      role="img"
      aria-label={`${step.from} to ${step.to}: ${step.words}`}
    >
      <title>{`${step.from} → ${step.to}\n${step.words}`}</title>
      <text class="step-time" x={8} y={16}>
        {describeTime(step.at)}
      </text>
      {lines.map((x) => (
        <line key={x} class="lifeline" x1={x} x2={x} y1={0} y2={rowHeight} />
      ))}
      {self ? (
        <path
          class="step-arrow"
          d={step.kind === 'message' ? `M${from} 5h22v${y - 5}h-16` : `M${from - 5} 7l10 10m0 -10l-10 10`}
        />
      ) : (
        <line class="step-arrow" x1={from} x2={right ? to - 6 : to + 6} y1={y} y2={y} />
      )}
      {step.kind === 'message' ? (
        <path class="step-head" d={self || !right ? `M${head} ${y}l7 -3.5v7z` : `M${head} ${y}l-7 -3.5v7z`} />
      ) : null}
      <text
        class="step-words"
        x={self ? from + 28 : middle}
        y={self ? 16 : y - 5}
        text-anchor={self ? 'start' : 'middle'}
      >
        {step.words}
      </text>
    </svg>
  );
}
