// Mill: a process of the bench of the inspector. One machine turns so many times a second; the first argument says how many.
import { reportState, run } from 'actor-ipc';
import { fromCallback, setup } from 'xstate';

const turnsPerS = Number(process.argv[2]);
const tickMs = 10;

const mill = setup({
  actors: {
    wheel: fromCallback(({ sendBack }) => {
      const beganMs = performance.now();
      let turned = 0;
      const timer = setInterval(() => {
        for (const due = ((performance.now() - beganMs) * turnsPerS) / 1_000; turned < due; turned++)
          sendBack({ type: 'turn' });
      }, tickMs);
      return () => clearInterval(timer);
    }),
  },
}).createMachine({
  id: 'mill',
  invoke: { src: 'wheel' },
  initial: 'up',
  states: { up: { on: { turn: 'down' } }, down: { on: { turn: 'up' } } },
});

run(mill, { name: 'mill' });
reportState('operative');
