import type { DeadIncarnation, UnitView } from '../../../src/inspector/protocol.ts';
import { usePage } from '../page-state.ts';
import { toneOfExit, unitWords } from '../tree/tone.ts';
import { DetailHead, FactList, Section } from './fact-list.tsx';
import { describeMs, describeTime } from './quantity.ts';

export function LifeDetail({ unit, life }: { readonly unit: UnitView; readonly life: DeadIncarnation }) {
  const page = usePage();
  const { exit } = life;
  const actors = page.model.actors.get(life.process);
  return (
    <>
      <DetailHead kind={`life ${life.incarnation}`} name={unit.path} tone={toneOfExit(exit)} />
      <div class="detail-body">
        <FactList
          facts={[
            ['ended', describeTime(life.endedAtMs)],
            ['how', exit.class],
            ['reason', exit.reason],
            ['signal', exit.signal],
            ['exit code', exit.code],
            ['had run', describeMs(exit.uptimeMs)],
            ['verdict', exit.verdict],
            ['pid', life.pid],
            ['last state', life.state ? <code key="state">{life.state}</code> : null],
          ]}
        />
        {actors && actors.size > 0 ? (
          <Section title="Its actors, as they were last">
            <ul class="lives">
              {[...actors.values()].slice(0, 200).map(({ actor, words, process, status }) => (
                <li key={actor}>
                  <button
                    type="button"
                    class="link"
                    onClick={() => page.select({ kind: 'actor', process, actor })}
                  >
                    {actor}
                  </button>
                  <span class="muted">{words || status}</span>
                </li>
              ))}
            </ul>
          </Section>
        ) : null}
        <Section title="Now">
          <button type="button" class="link" onClick={() => page.select({ kind: 'unit', path: unit.path })}>
            {unit.path} is {unitWords(unit)}
          </button>
        </Section>
      </div>
    </>
  );
}
