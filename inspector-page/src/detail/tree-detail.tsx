// Tree detail: nothing is selected, so what the whole tree is.
import { usePage } from '../page-state.ts';
import { type Tone, toneOfUnit } from '../tree/tone.ts';
import { DetailHead, FactList, Section } from './fact-list.tsx';
import { describeCount, describeMs, describeRate, describeTime } from './quantity.ts';

export function TreeDetail() {
  const { model } = usePage();
  const { hello, units } = model;
  if (!hello)
    return (
      <>
        <DetailHead kind="" name="No tree yet" />
        <p class="empty">Waiting for the server…</p>
      </>
    );
  const { topology, mode } = hello;
  const byTone = new Map<Tone, number>();
  for (const unit of units.values())
    if (unit.kind !== 'root') byTone.set(toneOfUnit(unit), (byTone.get(toneOfUnit(unit)) ?? 0) + 1);
  const count = (tone: Tone) => byTone.get(tone) ?? null;
  const busiest = [...model.metrics.flows]
    .sort((one, other) => other.messagesPerS - one.messagesPerS)
    .slice(0, 12);
  return (
    <>
      <DetailHead kind={mode} name={topology.name} />
      <div class="detail-body">
        <FactList
          facts={[
            ['file', topology.file],
            ['root', `process ${topology.pid}`],
            ['started', describeTime(topology.startedAtMs)],
            ['runs for', mode === 'live' ? describeMs(Date.now() - topology.startedAtMs) : null],
          ]}
        />
        <Section title="Units">
          <FactList
            facts={[
              ['up', count('good')],
              ['on their way', count('busy')],
              ['failed', count('bad')],
              ['at rest', count('idle')],
              ['completed', count('done')],
            ]}
          />
        </Section>
        {busiest.length > 0 ? (
          <Section title="Busiest channels">
            <ul class="flows">
              {busiest.map(({ from, to, channel, messagesPerS, depth }) => (
                <li key={`${from.process} ${from.actor} ${to.process} ${to.actor} ${channel}`}>
                  <span>
                    {from.process} → {to.process}
                  </span>
                  <code>{channel}</code>
                  <span class="rate">{describeRate(messagesPerS)}</span>
                  {depth > 0 ? <span class="muted">{describeCount(depth)} wait</span> : null}
                </li>
              ))}
            </ul>
          </Section>
        ) : null}
        <p class="muted hint">
          Choose anything in the tree. Press <kbd>?</kbd> for the keys.
        </p>
      </div>
    </>
  );
}
