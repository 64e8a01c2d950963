// Flow list: channels between processes, with what goes through them and how long it waits there.
import type { Flow } from '../../../src/inspector/protocol.ts';
import { usePage } from '../page-state.ts';
import { describeCount, describeMs, describeRate } from './quantity.ts';

const shownMax = 12;

/** The busiest first. */
export function FlowList({ flows }: { readonly flows: readonly Flow[] }) {
  const busiest = flows.toSorted((one, other) => other.messagesPerS - one.messagesPerS).slice(0, shownMax);
  return (
    <ul class="flows">
      {busiest.map((flow) => (
        <FlowRow key={keyOf(flow)} flow={flow} />
      ))}
    </ul>
  );
}

function FlowRow({ flow: { from, to, channel, messagesPerS, depth, waitMs } }: { readonly flow: Flow }) {
  const page = usePage();
  const select = (process: string) => {
    const path = page.model.unitOf.get(process);
    if (path !== undefined) page.select({ kind: 'unit', path }, null);
  };
  return (
    <li title={`${from.actor} → ${to.actor}`}>
      <span class="flow-ends">
        <button type="button" class="link" onClick={() => select(from.process)}>
          {from.process}
        </button>
        {' → '}
        <button type="button" class="link" onClick={() => select(to.process)}>
          {to.process}
        </button>
      </span>
      <code class="flow-channel">{channel}</code>
      <span class="flow-figures">
        <span>{describeRate(messagesPerS)}</span>
        <span title="that have come and are not taken">{describeCount(depth)} waiting</span>
        <span title="how long a message waits on average until it is taken">
          {waitMs === null ? '–' : describeMs(waitMs)}
        </span>
      </span>
    </li>
  );
}

function keyOf({ from, to, channel }: Flow): string {
  return `${from.process} ${from.actor} ${to.process} ${to.actor} ${channel}`;
}
