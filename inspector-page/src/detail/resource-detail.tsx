import type { ResourceView } from '../../../src/inspector/protocol.ts';
import { usePage } from '../page-state.ts';
import { fullName } from '../tree/tree-rows.ts';
import { DetailHead, FactList, Section } from './fact-list.tsx';
import { describeSize } from './quantity.ts';

export function ResourceDetail({ resource }: { readonly resource: ResourceView }) {
  const page = usePage();
  const { depth, capacity, counts, drops, users, facts, kind } = resource;
  const show = (count: number) =>
    counts === 'bytes' ? describeSize(count) : `${count.toLocaleString('en')} ${counts}`;
  const part = depth !== null && capacity ? Math.min(1, depth / capacity) : null;
  return (
    <>
      <DetailHead kind={kind} name={fullName(resource)} />
      <div class="detail-body">
        {part === null ? null : (
          // biome-ignore lint/a11y/useSemanticElements: <meter> has no colours of ours.
          <div
            class="fill"
            role="meter"
            aria-label="How full it is"
            aria-valuenow={Math.round(part * 100)}
            aria-valuemin={0}
            aria-valuemax={100}
          >
            <div data-full={part > 0.9} style={{ width: `${part * 100}%` }} />
          </div>
        )}
        <FactList
          facts={[
            ['holds', depth === null ? null : show(depth)],
            ['room for', capacity === null ? null : show(capacity)],
            ['drops', drops === null ? null : drops.toLocaleString('en')],
            ['region', resource.region],
            ...Object.entries(facts).map(([name, value]): [string, string] => [
              name,
              typeof value === 'number' ? value.toLocaleString('en') : value,
            ]),
          ]}
        />
        <Section title="Users">
          {users.length === 0 ? <p class="muted">Nobody has it open.</p> : null}
          <ul class="lives">
            {users.map(({ unit, pid }) => (
              <li key={pid}>
                {unit === null ? (
                  <span>a process of another tree</span>
                ) : (
                  <button
                    type="button"
                    class="link"
                    onClick={() => page.select({ kind: 'unit', path: unit })}
                  >
                    {unit === '' ? 'root' : unit}
                  </button>
                )}
                <span class="muted">pid {pid}</span>
              </li>
            ))}
          </ul>
        </Section>
      </div>
    </>
  );
}
