import type { NextEvent } from '../../../src/inspector/protocol.ts';
import { activeStates } from '../chart/active-states.ts';
import type { ActorEntry } from '../feed/model.ts';
import { usePage } from '../page-state.ts';
import { eventName, lastName } from '../timeline/event-words.ts';
import { toneOfActor } from '../tree/tone.ts';
import { EncodedValue } from './encoded-value.tsx';
import { DetailHead, FactList, none, Section } from './fact-list.tsx';
import { describeRate, describeTime } from './quantity.ts';
import { SendForm } from './send-form.tsx';

export function ActorDetail({ actor }: { readonly actor: ActorEntry }) {
  const { model } = usePage();
  const alive = model.isAlive(actor.process);
  const { last, crash } = actor;
  return (
    <>
      <DetailHead kind="actor" name={actor.actor} tone={toneOfActor(actor, alive)} />
      <div class="detail-body">
        <FactList
          facts={[
            ['state', <code key="state">{actor.words || actor.status}</code>],
            ['status', alive ? (actor.ended ?? actor.status) : 'its process has ended'],
            ['process', actor.process],
            // These come and go: each keeps its row, so that what is below stands still.
            ['waits for', actor.waitsFor ?? none],
            ['transitions', describeRate(actor.rate)],
            [
              'last event',
              last ? (
                <code key="last" title={last.event}>
                  {eventName(last.event)}
                </code>
              ) : (
                none
              ),
            ],
            ['at', last ? describeTime(last.at) : none],
          ]}
        />
        {crash ? (
          <Section title="Crash">
            <p class="mistake">{crash.message}</p>
            {crash.stack ? <pre class="stack">{crash.stack}</pre> : null}
          </Section>
        ) : null}
        <ActorInside actor={actor} />
      </div>
    </>
  );
}

/** What is inside an actor, and what can be done with it; also of the actor that is a unit's life. */
export function ActorInside({ actor }: { readonly actor: ActorEntry }) {
  const { model } = usePage();
  const { context, hello } = model;
  const chart = model.chart(actor.chart);
  const own =
    context && context.place.process === actor.process && context.place.actor === actor.actor
      ? context
      : null;
  const reachable = own !== null && !own.gone && !actor.ended && model.isAlive(actor.process);
  const descriptions = chart
    ? [...activeStates(chart, actor.value)].flatMap((id) => {
        const state = chart.states.get(id);
        return state?.description ? [{ key: state.key, description: state.description }] : [];
      })
    : [];
  return (
    <>
      {/* The form first: it must not move away from under the hand when the state changes. */}
      {hello?.write && reachable ? (
        <Section title="Send an event">
          <SendForm key={`${actor.process} ${actor.actor}`} place={actor} next={own.next} />
        </Section>
      ) : null}
      {reachable && own.next.length > 0 ? (
        <Section title="Possible next">
          <NextList next={own.next} actor={actor} write={hello?.write === true} />
        </Section>
      ) : null}
      {descriptions.length > 0 ? (
        <Section title="Where it is">
          <dl class="descriptions">
            {descriptions.map(({ key, description }) => (
              <div key={key}>
                <dt>{key}</dt>
                <dd>{description}</dd>
              </div>
            ))}
          </dl>
        </Section>
      ) : null}
      <Section title="Context">
        {own === null ? (
          <p class="muted">
            {model.isAlive(actor.process) && !actor.ended ? 'Asking…' : 'Gone with its process.'}
          </p>
        ) : own.gone ? (
          <p class="muted">The actor is not there any more.</p>
        ) : (
          <EncodedValue key={`${actor.process} ${actor.actor}`} value={own.context} open={2} />
        )}
      </Section>
    </>
  );
}

interface NextListProps {
  readonly next: readonly NextEvent[];
  readonly actor: ActorEntry;
  readonly write: boolean;
}

function NextList({ next, actor, write }: NextListProps) {
  const page = usePage();
  return (
    <ul class="next">
      {next.map((each) => (
        <li
          key={`${each.from} ${each.event} ${each.guard ?? ''} ${each.to.join(' ')}`}
          title={`in ${each.from}`}
        >
          {write && each.sendable ? (
            <button
              type="button"
              class="event"
              title="Send this event, without fields"
              onClick={() => page.sendEvent(actor, { type: each.event })}
            >
              {each.event}
            </button>
          ) : (
            <span class="event">{eventName(each.event)}</span>
          )}
          {each.guard ? <span class="guard">[{each.guard}]</span> : null}
          <span class="target">{each.to.length > 0 ? `→ ${each.to.map(lastName).join(', ')}` : 'stays'}</span>
        </li>
      ))}
    </ul>
  );
}
