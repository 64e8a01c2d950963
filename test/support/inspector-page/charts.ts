// Charts: machines of the package as the feed tells them, and one that is nested and parallel.
import type { AnyStateMachine } from 'xstate';
import { channelMachine } from '../../../src/machines/channel.ts';
import { serverProcessMachine } from '../../../src/machines/process.ts';
import { sessionMachine } from '../../../src/machines/session.ts';
import { unitMachine } from '../../../src/machines/unit.ts';

function plain({ config }: AnyStateMachine): unknown {
  return JSON.parse(
    JSON.stringify(config, (key, value) => (typeof value === 'function' ? value.name || key : value)),
  );
}

export const processMachines: Readonly<Record<string, unknown>> = {
  server: plain(serverProcessMachine),
  session: plain(sessionMachine),
  channel: plain(channelMachine),
  unit: plain(unitMachine),
};

export const deepChart = {
  id: 'deep',
  type: 'parallel',
  states: {
    life: {
      initial: 'idle',
      states: {
        idle: { on: { go: 'work' } },
        work: {
          initial: 'first',
          on: { stop: 'idle' },
          states: {
            first: { on: { next: 'both' } },
            both: {
              type: 'parallel',
              states: {
                left: {
                  initial: 'x',
                  states: {
                    x: { on: { flip: { target: 'y', guard: 'mayFlip', actions: ['count', 'log'] } } },
                    y: { on: { flip: 'x' } },
                  },
                },
                right: { initial: 'p', states: { p: { after: { 500: 'q' } }, q: { type: 'final' } } },
              },
            },
          },
        },
      },
    },
    health: {
      initial: 'good',
      states: {
        good: { entry: 'reportGood', on: { 'probe.failed': 'bad' } },
        bad: { invoke: { src: 'prober', onDone: 'good' }, on: { 'probe.passed': 'good' } },
      },
    },
  },
} as const;
