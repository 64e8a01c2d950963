// Life view: in the middle of the page, what a process left: its last transitions, and the last lines that it wrote.
import { useLayoutEffect, useRef } from 'preact/hooks';
import type { DeadIncarnation, FlightLine } from '../../../src/inspector/protocol.ts';
import { describeValue } from '../chart/active-states.ts';
import { LogRow } from '../timeline/log-list.tsx';
import { describeTime } from './quantity.ts';

export function LifeView({ life }: { readonly life: DeadIncarnation }) {
  const { flight, log, exit } = life;
  const transitions = useRef<HTMLDivElement>(null);
  const lines = useRef<HTMLDivElement>(null);
  // The last is what somebody has come for.
  useLayoutEffect(() => {
    for (const { current } of [transitions, lines]) if (current) current.scrollTop = current.scrollHeight;
  }, [life.process]);
  return (
    <div class="life">
      <p class="life-end" data-class={exit.class}>
        <strong>{life.process}</strong> ended at {describeTime(life.endedAtMs)}: {exit.reason}
      </p>
      <div class="life-columns">
        <section aria-label="Last transitions">
          <h3>Last transitions</h3>
          {flight.length === 0 ? <p class="muted">It made none that were recorded.</p> : null}
          <div class="life-scroll" ref={transitions}>
            {flight.map((line, index) => (
              <Flight key={index} line={line} />
            ))}
          </div>
        </section>
        <section aria-label="Last lines">
          <h3>Last lines</h3>
          {log.length === 0 ? <p class="muted">It wrote nothing.</p> : null}
          <div class="life-scroll" ref={lines}>
            {log.map((line, index) => (
              <LogRow key={index} line={line} />
            ))}
          </div>
        </section>
      </div>
    </div>
  );
}

function Flight({ line }: { readonly line: FlightLine }) {
  return (
    <div class="flight-row" data-bad={line.state === 'crashed'}>
      <time>{describeTime(line.atMs)}</time>
      <span class="event-actor" title={line.actor}>
        {line.actor}
      </span>
      <span class="event-name">{line.event}</span>
      <span class="event-detail" title={line.state}>
        → {stateWords(line.state)}
      </span>
    </div>
  );
}

/** The recorder keeps the state value of a machine with regions as JSON. */
function stateWords(state: string): string {
  if (!state.startsWith('{')) return state;
  try {
    return describeValue(JSON.parse(state));
  } catch {
    // It was cut where the recorder's room ended.
    return state;
  }
}
