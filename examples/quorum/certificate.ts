// The certificate: collects votes for one block until enough different replicas agree. It ends by itself.
import { collector, type Io } from 'actor-ipc/kinds';
import type { Proposal } from './universe.ts';

export type BallotMessage = { type: 'vote'; by: number; height: number; block: string };

export const certificate = collector(
  async ({ inbox, input }: Io<{ messages: BallotMessage; input: Proposal & { needed: number } }>) => {
    const voters = new Set<number>();
    while (voters.size < input.needed) {
      const { by, height, block } = await inbox.receive();
      // A vote for something else, an old one, or a second one of the same replica counts for nothing.
      if (height === input.height && block === input.block) voters.add(by);
    }
    return [...voters];
  },
  { name: 'certificate' },
);
