// Who takes part in the quorum, and what they say to each other. Every program of the example imports this.
import { channel, defineUniverse } from 'actor-ipc';

/** What the coordinator asks its replicas to agree to. */
export interface Proposal {
  height: number;
  block: string;
}

export interface Vote {
  height: number;
  block: string;
}

export const quorum = defineUniverse('quorum', {
  coordinator: {
    allow: ['replica'],
    channels: {
      proposals: channel<{ down: Proposal }>(),
      votes: channel<{ up: Vote }>(),
    },
  },
  replica: {},
});
