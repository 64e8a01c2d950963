// Two HTTP front ends that share log-in sessions by a relay, with two nodes behind it. Kill any one of them: what it knew, the
// others know.
import { cache, defineTopology, node, relay } from 'actor-ipc/topology';

const seed = 9849381;
const front = (name: string, port: string) =>
  node('./front.ts', { args: [name], env: { PORT: port }, dependsOn: { relay: 'operative' } });

/** Of each front end, as if it had a machine of its own. The root keeps it when its front end is killed. */
const table = cache({ capacity: 10_000, tombstones: 20_000 });

export default defineTopology({
  name: 'web-sessions',
  caches: { north: table, south: table },
  children: {
    relay: relay({
      edge_supported_relay: true,
      path: 'relay.sock',
      path_types: { auths: { relay: { local: true }, cache: { seed, el_count: 5_000 } } },
    }),
    sibling: relay({ half_edge: true, path: 'sibling.sock', cache: { seed } }),
    // Takes every new session, so that a relay that was killed finds them again.
    recent: relay({
      name: 'recent',
      age_or_replica: 'replicating',
      lru: { cache: { seed, el_count: 20_000 } },
      message_relay: { path: 'sibling.sock' },
    }),
    // Takes those that the relay has no room for.
    old: relay({
      name: 'old',
      lru: { cache: { seed, el_count: 100_000 } },
      message_relay: { path: 'sibling.sock' },
    }),
    north: front('north', process.env.NORTH_PORT ?? '8081'),
    south: front('south', process.env.SOUTH_PORT ?? '8082'),
  },
});
