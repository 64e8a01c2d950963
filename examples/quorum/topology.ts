// One coordinator and four replicas, one of which is wrong. Kill one of the others, and there is no quorum until it is back.
import { defineTopology, node } from 'actor-ipc/topology';

const patient = { backoff: { maxMs: 1_000 }, giveUp: { restarts: 1_000, periodMs: 60_000 } };
const replica = (...args: string[]) =>
  node('./replica.ts', { ...patient, app: 'replica', args, dependsOn: { coordinator: 'operative' } });

export default defineTopology({
  name: 'quorum',
  children: {
    coordinator: node('./coordinator.ts', patient),
    ann: replica(),
    bob: replica(),
    eve: replica(),
    mal: replica('wrong'),
  },
});
