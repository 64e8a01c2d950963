// A feed that says nothing of itself, a trader that is there only while the feed listens, with another one that stands by, and a strategy.
import { fileURLToPath } from 'node:url';
import { cache, defineTopology, env, exec, node } from 'actor-ipc/topology';

const port = env('FEED_PORT', '7496');
const patient = { backoff: { maxMs: 1_000 }, giveUp: { restarts: 1_000, periodMs: 60_000 } };

export default defineTopology({
  name: 'market',
  caches: { positions: cache({ capacity: 100 }) },
  children: {
    feed: exec(process.execPath, {
      ...patient,
      args: [fileURLToPath(new URL('./feed.mjs', import.meta.url)), port],
      // Seen from outside, half a second apart: whether it listens.
      states: {
        starting: { condition: 'len(fp.listen) == 0', periodMs: 500 },
        operative: { condition: 'len(fp.listen) > 0', periodMs: 500 },
      },
    }),
    trader: node('./trader.ts', {
      ...patient,
      env: { FEED_PORT: port },
      standby: 1,
      dependsOn: { feed: { state: 'operative', mode: 'bind' } },
    }),
    strategy: node('./strategy.ts', { ...patient, dependsOn: { trader: 'operative' } }),
  },
});
