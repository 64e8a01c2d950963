// The alerts: looks at each summary and says when a threshold is passed, and when it is over. Silence is an alert too.
import { connect, sessionSetup } from 'actor-ipc';
import { assertEvent } from 'xstate';
import { type Summary, telemetry } from './universe.ts';

/** A probe sends ten samples a second; without one for this long, it is gone. */
const silenceMs = 1_000;

const rules: Record<string, (summary: Summary) => string | false> = {
  'no data': ({ sampledAtMs }) =>
    Date.now() - sampledAtMs > silenceMs &&
    `the last sample is ${((Date.now() - sampledAtMs) / 1000).toFixed(1)} s old`,
  'processors busy': ({ cpu }) => cpu.now > 0.9 && `${Math.round(cpu.now * 100)} % of all processors`,
  'memory short': ({ memory }) =>
    memory.usedBytes > 0.9 * memory.totalBytes &&
    `${Math.round((100 * memory.usedBytes) / memory.totalBytes)} % in use`,
  'a process spins': ({ top }) =>
    (top[0]?.cpu ?? 0) > 0.95 && `${top[0]!.name} (${top[0]!.pid}) uses a whole processor`,
};

const raised = new Set<string>();

function judge(summary: Summary): void {
  for (const [rule, test] of Object.entries(rules)) {
    const why = test(summary);
    if (why && !raised.has(rule)) {
      raised.add(rule);
      console.log(`ALERT ${rule}: ${why}`);
    } else if (!why && raised.delete(rule)) console.log(`over: ${rule}`);
  }
}

const session = sessionSetup(telemetry.aggregator, 'client', {
  actions: {
    judge: ({ event }) => {
      assertEvent(event, 'message.summaries');
      judge(event.message);
    },
  },
}).createMachine({ on: { 'message.summaries': { actions: 'judge' } } });

await connect(telemetry.alerts, telemetry.aggregator, session);
