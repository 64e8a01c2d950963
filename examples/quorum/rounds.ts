// The rounds: proposes one block after the other to all replicas that are there, and goes on when enough have agreed.
import { type Io, type Sender, server } from 'actor-ipc/kinds';
import { type BallotMessage, certificate } from './certificate.ts';
import type { Proposal } from './universe.ts';

export type RoundsMessage =
  | BallotMessage
  | { type: 'joined'; by: number; proposals: Sender<Proposal> }
  | { type: 'left'; by: number };

/** Of 3f + 1 replicas, 2f + 1 must agree: here one of four may be dead or wrong. */
export const needed = 3;
const roundMs = 300;
/** A replica that was dead when the block was proposed gets it again after this time. */
const againMs = 500;

export const rounds = server(
  async ({ inbox, spawn, sleep, select, every, stage }: Io<{ messages: RoundsMessage }>) => {
    const replicas = new Map<number, Sender<Proposal>>();
    for (let height = 1; ; height++) {
      stage('proposing');
      const proposal = { height, block: `block ${height}` };
      const propose = (by: number) => {
        try {
          replicas.get(by)?.trySend(proposal);
        } catch {
          // Its session has just ended; that it has left lies in the inbox.
          replicas.delete(by);
        }
      };
      const votes = spawn(certificate, { ...proposal, needed });
      for (const by of replicas.keys()) propose(by);
      using again = every(againMs);
      try {
        for (;;) {
          const got = await select({ certificate: votes.joined, message: inbox, again });
          if (got.from === 'certificate') {
            console.log(`height ${height}: certified by ${got.value.length} of ${replicas.size} replicas`);
            break;
          }
          if (got.from === 'again') {
            console.log(`height ${height}: waiting for a quorum, ${replicas.size} replicas are here`);
            for (const by of replicas.keys()) propose(by);
          } else if (got.value.type === 'joined') {
            replicas.set(got.value.by, got.value.proposals);
            propose(got.value.by);
          } else if (got.value.type === 'left') replicas.delete(got.value.by);
          else votes.trySend(got.value);
        }
      } finally {
        // Asked to stop in the middle of a round: nobody needs its certificate any more.
        votes.stop();
      }
      await sleep(roundMs);
    }
  },
  { name: 'rounds' },
);
