// Who takes part, and what they say to each other. Both programs import this.
import { channel, defineUniverse } from 'actor-ipc';

export const universe = defineUniverse('__NAME__', {
  greeter: {
    allow: ['visitor'],
    channels: {
      greetings: channel<{ up: { name: string }; down: { text: string } }>(),
    },
  },
  visitor: {},
});
