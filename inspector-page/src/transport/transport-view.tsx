// Transport view: what carries bytes between processes: channels with what goes through them, and shared memory with how full it is.
import type { Flow, ResourceView } from '../../../src/inspector/protocol.ts';
import { describeCount, describeMs, describeRate, describeSize } from '../detail/quantity.ts';
import { useTopics } from '../frame/use-topics.ts';
import { usePage } from '../page-state.ts';
import { isSame } from '../selection.ts';
import { fullName } from '../tree/tree-rows.ts';

/** More rows than these nobody reads; the busiest are shown. */
const rowsMax = 200;

export function TransportView() {
  const { model } = usePage();
  useTopics(model.topics, 'metrics', 'resources', 'selection');
  const { resources } = model;
  const flows = model.metrics.flows.toSorted((one, other) => other.messagesPerS - one.messagesPerS);
  return (
    <div class="transport">
      <Channels flows={flows} />
      <Memory resources={resources} />
    </div>
  );
}

function Channels({ flows }: { readonly flows: readonly Flow[] }) {
  return (
    <table>
      <caption>Channels between processes</caption>
      <thead>
        <tr>
          <th scope="col">from</th>
          <th scope="col">to</th>
          <th scope="col">channel</th>
          <th scope="col" class="figure">
            messages
          </th>
          <th scope="col" class="figure">
            waiting
          </th>
          <th scope="col" class="figure" title="how long a message waits on average until it is taken">
            latency
          </th>
        </tr>
      </thead>
      <tbody>
        {flows.length === 0 ? (
          <tr>
            <td colSpan={6} class="muted">
              No message has gone through any channel within the last second.
            </td>
          </tr>
        ) : null}
        {flows.slice(0, rowsMax).map(({ from, to, channel, messagesPerS, depth, waitMs }) => (
          <tr key={`${from.process} ${from.actor} ${to.process} ${to.actor} ${channel}`}>
            <td>
              <ProcessLink process={from.process} actor={from.actor} />
            </td>
            <td>
              <ProcessLink process={to.process} actor={to.actor} />
            </td>
            <td>
              <code>{channel}</code>
            </td>
            <td class="figure">{describeRate(messagesPerS)}</td>
            <td class="figure">{describeCount(depth)}</td>
            <td class="figure">{waitMs === null ? '–' : describeMs(waitMs)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function ProcessLink({ process, actor }: { readonly process: string; readonly actor: string }) {
  const page = usePage();
  return (
    <button
      type="button"
      class="link"
      title={`${process} ${actor}`}
      onClick={() => page.select({ kind: 'actor', process, actor })}
    >
      {process}
    </button>
  );
}

function Memory({ resources }: { readonly resources: readonly ResourceView[] }) {
  return (
    <table>
      <caption>Shared memory</caption>
      <thead>
        <tr>
          <th scope="col">name</th>
          <th scope="col">kind</th>
          <th scope="col">users</th>
          <th scope="col">filled</th>
          <th scope="col" class="figure">
            of
          </th>
          <th scope="col" class="figure" title="what found no room, or was evicted">
            drops
          </th>
        </tr>
      </thead>
      <tbody>
        {resources.length === 0 ? (
          <tr>
            <td colSpan={6} class="muted">
              No process has a pipe, a cache or an arena open.
            </td>
          </tr>
        ) : null}
        {resources.slice(0, rowsMax).map((resource) => (
          <MemoryRow key={`${resource.kind} ${fullName(resource)}`} resource={resource} />
        ))}
      </tbody>
    </table>
  );
}

function MemoryRow({ resource }: { readonly resource: ResourceView }) {
  const page = usePage();
  const { kind, users, depth, capacity, drops, counts } = resource;
  const own = { kind: 'resource', of: kind, name: fullName(resource) } as const;
  const show = counts === 'bytes' ? describeSize : (count: number) => count.toLocaleString('en');
  const names = users.map(({ unit, pid }) => (unit === null ? `process ${pid}` : unit || 'root')).join(', ');
  return (
    <tr class={isSame(own, page.selection) ? 'selected' : ''}>
      <td>
        <button type="button" class="link" onClick={() => page.select(own)}>
          {fullName(resource)}
        </button>
      </td>
      <td>{kind}</td>
      <td title={names}>{names === '' ? '–' : names}</td>
      <td>
        <Filled depth={depth} capacity={capacity} words={depth === null ? '–' : show(depth)} />
      </td>
      <td class="figure">{capacity === null ? '–' : show(capacity)}</td>
      <td class={`figure ${drops ? 'bad' : ''}`}>{drops === null ? '–' : drops.toLocaleString('en')}</td>
    </tr>
  );
}

interface FilledProps {
  readonly depth: number | null;
  readonly capacity: number | null;
  readonly words: string;
}

export function Filled({ depth, capacity, words }: FilledProps) {
  const part = depth !== null && capacity ? Math.min(1, depth / capacity) : null;
  return (
    <span class="filled">
      <span class="filled-words">{words}</span>
      {part === null ? null : (
        <span class="fill" aria-hidden="true">
          <span data-full={part > 0.9} style={{ width: `${part * 100}%` }} />
        </span>
      )}
    </span>
  );
}
