// A victim of the arena soak: arena-victim.ts SEED ROLE LEDGER, a client that lends, borrows, or does both.
import { setup } from 'xstate';
import { connect, createArena, sessionOf } from '../../src/index.ts';
import { Random } from '../support/random.ts';
import { ArenaLoad, type ArenaSession } from './arena-load.ts';
import { Ledger } from './ledger.ts';
import { arenaSoak } from './universe.ts';

const [seed, role, path] = process.argv.slice(2);
const ledger = new Ledger(path);
const shared = createArena({ bytes: 1024 * 1024 });
const does = { lends: role !== 'borrow', borrows: role !== 'lend' };

const machine = setup({
  actions: {
    run: ({ self }) => {
      const session = sessionOf(arenaSoak.quarry, self) as ArenaSession;
      const load = new ArenaLoad(session, shared, new Random(Number(seed)), does, ledger);
      // It learns of a fault while it lives; that the session ends is no fault of anybody.
      setInterval(() => {
        if (load.fault) process.stderr.write(`arena victim: ${load.fault}\n`);
      }, 5).unref();
    },
  },
}).createMachine({ entry: 'run' });

connect(arenaSoak.mason, arenaSoak.quarry, machine);
