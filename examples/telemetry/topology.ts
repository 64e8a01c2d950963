// Four processes, one after the other as each can do its work: start with "actor-ipc run", then kill any of them.
import { defineTopology, node } from 'actor-ipc/topology';

export default defineTopology({
  name: 'telemetry',
  children: {
    aggregator: node('./aggregator.ts'),
    probe: node('./probe.ts', { dependsOn: { aggregator: 'operative' } }),
    client: node('./client.ts', { dependsOn: { probe: 'operative' } }),
    alerts: node('./alerts.ts', { dependsOn: { probe: 'operative' } }),
  },
});
