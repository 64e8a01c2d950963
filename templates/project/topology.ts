// Two processes under one supervisor; the visitor starts once the greeter accepts sessions.
import { defineTopology, node } from 'actor-ipc/topology';

export default defineTopology({
  name: '__NAME__',
  children: {
    greeter: node('./greeter.ts'),
    visitor: node('./visitor.ts', { dependsOn: { greeter: 'operative' } }),
  },
});
