// Four processes, one after the other as each can do its work: start with "actor-ipc run", then kill any of them.
import { defineTopology, node } from 'actor-ipc/topology';

/** This example is there to be killed: it comes back soon, and is not given up, however often that happens. */
const patient = { backoff: { maxMs: 1_000 }, giveUp: { restarts: 1_000, periodMs: 60_000 } };

export default defineTopology({
  name: 'telemetry',
  children: {
    aggregator: node('./aggregator.ts', patient),
    probe: node('./probe.ts', { ...patient, dependsOn: { aggregator: 'operative' } }),
    client: node('./client.ts', { ...patient, dependsOn: { probe: 'operative' } }),
    alerts: node('./alerts.ts', { ...patient, dependsOn: { probe: 'operative' } }),
  },
});
