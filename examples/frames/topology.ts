// A camera, a filter and a viewer, each of which works in the memory of the one before it. Kill any of them.
import { defineTopology, node } from 'actor-ipc/topology';

const patient = { backoff: { maxMs: 1_000 }, giveUp: { restarts: 1_000, periodMs: 60_000 } };

export default defineTopology({
  name: 'frames',
  children: {
    camera: node('./camera.ts', patient),
    filter: node('./filter.ts', { ...patient, dependsOn: { camera: 'operative' } }),
    viewer: node('./viewer.ts', { ...patient, dependsOn: { filter: 'operative' } }),
  },
});
