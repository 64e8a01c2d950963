import type { UnitView } from '../../../src/inspector/protocol.ts';
import { usePage } from '../page-state.ts';
import { toneOfExit, toneOfUnit } from '../tree/tone.ts';
import { ActorInside } from './actor-detail.tsx';
import { DetailHead, FactList, none, Section } from './fact-list.tsx';
import { FlowList } from './flow-list.tsx';
import { describeCount, describeMs, describeRate, describeSize, describeTime } from './quantity.ts';

export function UnitDetail({ unit }: { readonly unit: UnitView }) {
  const page = usePage();
  const { model } = page;
  const metrics = unit.process === null ? undefined : model.metrics.latest.get(unit.process);
  const inner = metrics?.inner;
  const actor = page.unitActor(unit.path);
  const { process } = unit;
  const flows =
    process === null || unit.path === ''
      ? []
      : model.metrics.flows.filter(({ from, to }) => from.process === process || to.process === process);
  const needs = model.dependences.filter((edge) => edge.unit === unit.path);
  return (
    <>
      <DetailHead
        kind={unit.kind}
        name={unit.path === '' ? (model.hello?.topology.name ?? 'root') : unit.path}
        tone={toneOfUnit(unit)}
      />
      <div class="detail-body">
        <FactList
          facts={[
            ['phase', unit.phase],
            ['state', unit.state ? <code key="state">{unit.state}</code> : none],
            ['pid', unit.pid ?? none],
            ['app', unit.app],
            ['starts', unit.starts],
            ['waits for', unit.waitsFor],
            ['last exit', unit.lastExit],
          ]}
        />
        {metrics ? (
          <Section title="Now">
            <FactList
              facts={[
                ['CPU', metrics.cpu === null ? null : `${(metrics.cpu * 100).toFixed(1)} %`],
                ['memory', metrics.memoryBytes === null ? null : describeSize(metrics.memoryBytes)],
                ['heap', inner ? describeSize(inner.heapBytes) : null],
                ['actors', inner ? describeCount(inner.actors) : null],
                ['transitions', inner ? describeRate(inner.transitionsPerS) : null],
                [
                  'messages',
                  inner
                    ? `${describeRate(inner.sentPerS)} out, ${describeRate(inner.receivedPerS)} in`
                    : null,
                ],
                ['waiting', inner ? describeCount(inner.depth) : null],
                [
                  'loop delay',
                  inner
                    ? `${describeMs(inner.loopDelayMs.p50)}, p99 ${describeMs(inner.loopDelayMs.p99)}`
                    : null,
                ],
                [
                  'handling',
                  inner?.handlingUs
                    ? `${inner.handlingUs.p50.toFixed(0)} µs, p99 ${inner.handlingUs.p99.toFixed(0)} µs`
                    : inner && none,
                ],
              ]}
            />
          </Section>
        ) : null}
        {flows.length > 0 ? (
          <Section title="Channels">
            <FlowList flows={flows} />
          </Section>
        ) : null}
        {needs.length > 0 ? (
          <Section title="Depends on">
            <ul class="edges">
              {needs.map(({ on, mode, state, gate }) => (
                <li key={`${on} ${mode}`} data-gate={gate}>
                  <button type="button" class="link" onClick={() => page.select({ kind: 'unit', path: on })}>
                    {on}
                  </button>
                  <span>
                    {mode} {state}
                  </span>
                  <span class="gate">{gate}</span>
                </li>
              ))}
            </ul>
          </Section>
        ) : null}
        {unit.dead.length > 0 ? (
          <Section title="Lives that ended">
            <ul class="lives">
              {unit.dead.map((life) => (
                <li key={life.process} data-tone={toneOfExit(life.exit)}>
                  <button
                    type="button"
                    class="link"
                    onClick={() => page.select({ kind: 'life', process: life.process })}
                  >
                    life {life.incarnation}
                  </button>
                  <span class="muted">{describeTime(life.endedAtMs)}</span>
                  <span>{life.exit.reason}</span>
                </li>
              ))}
            </ul>
          </Section>
        ) : null}
        {actor ? <ActorInside actor={actor} /> : null}
      </div>
    </>
  );
}
