// A replica: votes for what is proposed. The one that is started with "wrong" always votes for something else.
import { connect } from 'actor-ipc';
import { type InSession, type Io, type ServiceIo, server, service } from 'actor-ipc/kinds';
import { type Proposal, quorum, type Vote } from './universe.ts';

const wrong = process.argv.includes('wrong');

/** Decides on proposals, one after the other, and remembers what it has voted for. */
const voter = service(
  async ({ height, block }: Proposal, { state }: ServiceIo<{ state: Map<number, Vote> }>) => {
    const vote = state.get(height) ?? { height, block: wrong ? 'something else' : block };
    state.set(height, vote);
    state.delete(height - 100);
    return vote;
  },
  { name: 'voter', state: () => new Map<number, Vote>() },
);

const replica = server(
  async ({ session, spawn }: Io<InSession<typeof quorum.coordinator, 'client'>>) => {
    const { proposals, votes } = session.channels;
    using asked = spawn(voter);
    for await (const proposal of proposals) await votes.send(await asked.request(proposal));
  },
  { name: 'replica' },
);

await connect(quorum.replica, quorum.coordinator, replica);
