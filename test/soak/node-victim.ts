// A victim of the soak test that is a whole Node.js process: the client of `store`, as busy as it can be.
import { setImmediate as turn } from 'node:timers/promises';
import { setup } from 'xstate';
import { connect, type Session, sessionOf } from '../../src/index.ts';
import { Random } from '../support/random.ts';
import { faultOf, makeMessage } from './message.ts';
import { soak } from './universe.ts';

async function run({ channels: { words, sums } }: Session<typeof soak.store, 'client'>): Promise<void> {
  let taken = 0;
  words.onBatch((messages) => {
    for (const message of messages) {
      const fault = faultOf(message, taken++);
      if (fault) process.stderr.write(`node victim: ${fault}\n`);
    }
  });
  sums.onRequest('echo', (value) => value);
  const random = new Random(process.pid);
  for (let number = 0; ; number++) {
    await words.send(makeMessage(number, random));
    if (number % 16 !== 0) continue;
    if ((await sums.request('echo', number)) !== number)
      process.stderr.write('node victim: another answer\n');
    await turn();
  }
}

const machine = setup({
  actions: {
    run: ({ self }) =>
      void run(sessionOf(soak.store, self) as Session<typeof soak.store, 'client'>).catch(() => {}),
  },
}).createMachine({ entry: 'run' });

connect(soak.courier, soak.store, machine);
