// The client: prints a live line for each summary, and now and then a curve of the processors' last seconds.
import { connect, sessionSetup } from 'actor-ipc';
import { assertEvent, fromPromise } from 'xstate';
import { type Summary, telemetry } from './universe.ts';

const curvePeriodMs = 5_000;
const curveSeconds = 6;

const session = sessionSetup(telemetry.aggregator, 'client', {
  actors: {
    curve: fromPromise(async ({ input, signal }) => {
      const { history } = input.session.channels;
      while (!signal.aborted) {
        await new Promise((resolve) => setTimeout(resolve, curvePeriodMs));
        if (!history.open) return;
        const loads = await history.request('cpu', { seconds: curveSeconds }, { signal });
        console.log(`cpu over the last ${curveSeconds} s  ${curveOf(loads)}`);
      }
    }),
  },
  actions: {
    print: ({ event }) => {
      assertEvent(event, 'message.summaries');
      console.log(lineOf(event.message));
    },
    tellEnd: ({ event }) => {
      assertEvent(event, 'session.hosed');
      console.log(`lost the aggregator: ${event.reason}`);
    },
  },
}).createMachine({
  initial: 'watching',
  states: {
    watching: {
      // A request that is cut off by the session's end is no news: the end itself is told.
      invoke: { src: 'curve', onError: 'quiet' },
    },
    quiet: {},
  },
  on: { 'message.summaries': { actions: 'print' }, 'session.hosed': { actions: 'tellEnd' } },
});

await connect(telemetry.client, telemetry.aggregator, session);

function lineOf({ sampledAtMs, cpu, memory, disk, network, top }: Summary): string {
  const parts = [
    `cpu ${percent(cpu.now)} p95 ${percent(cpu.p95)}`,
    `mem ${gib(memory.usedBytes)}/${gib(memory.totalBytes)} GiB`,
    `disk ${megabytes(disk.read + disk.written)}`,
    `net ${megabytes(network.received + network.sent)} MB/s`,
    `${top[0] ? `${top[0].name} ${percent(top[0].cpu)}` : ''}`,
    `${Date.now() - sampledAtMs} ms`,
  ];
  return parts.join('  ');
}

function percent(share: number): string {
  return `${Math.round(share * 100)}%`.padStart(4);
}

function gib(bytes: number): string {
  return (bytes / 2 ** 30).toFixed(1);
}

function megabytes(bytesPerSecond: number): string {
  return (bytesPerSecond / 1e6).toFixed(1);
}

function curveOf(loads: number[]): string {
  const bars = '▁▂▃▄▅▆▇█';
  return loads.map((load) => bars[Math.min(bars.length - 1, Math.floor(load * bars.length))]).join('');
}
