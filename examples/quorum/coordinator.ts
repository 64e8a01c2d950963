// The coordinator: a session kind for each replica hands its votes on to the rounds.
import { run, serve } from 'actor-ipc';
import { type InSession, type Io, server } from 'actor-ipc/kinds';
import { rounds } from './rounds.ts';
import { quorum } from './universe.ts';

const running = run(rounds);

const member = server(
  async ({ session, share, input }: Io<InSession<typeof quorum.coordinator, 'server'>>) => {
    using to = share(running.handle);
    const { proposals, votes } = session.channels;
    // The kernel says who it is.
    const by = input.peer.pid;
    await to.send({ type: 'joined', by, proposals });
    try {
      for await (const vote of votes) await to.send({ type: 'vote', by, ...vote });
    } finally {
      running.handle.trySend({ type: 'left', by });
    }
  },
  { name: 'member' },
);

await serve(quorum.coordinator, member);
