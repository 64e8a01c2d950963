// Tree detail: nothing is selected, so what the whole tree is.
import { usePage } from '../page-state.ts';
import { type Tone, toneOfUnit } from '../tree/tone.ts';
import { DetailHead, FactList, Section } from './fact-list.tsx';
import { FlowList } from './flow-list.tsx';
import { describeMs, describeTime } from './quantity.ts';

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
  const count = (tone: Tone) => byTone.get(tone) ?? 0;
  const { flows } = model.metrics;
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
        {flows.length > 0 ? (
          <Section title="Busiest channels">
            <FlowList flows={flows} />
          </Section>
        ) : null}
        <p class="muted hint">
          Choose anything in the tree. Press <kbd>?</kbd> for the keys.
        </p>
      </div>
    </>
  );
}
