// Kinds that serve a session, or work for the machine that does.
import { assert } from 'chai';
import { collector, type InSession, type Io, server } from '../../../src/actors/kinds/kinds.ts';
import { type Session, sessionSetup } from '../../../src/index.ts';
import { turns } from '../../support/kinds/stage.ts';
import { Court, tennis } from '../pair.ts';

type AtWall = InSession<typeof tennis.wall, 'server'>;
type AtPlayer = InSession<typeof tennis.wall, 'client'>;

describe('a kind as an app session', () => {
  let court: Court;
  beforeEach(() => {
    court = new Court();
  });
  afterEach(() => court.close());

  it('talks over the channels of its session, and closes it with its end', async () => {
    const wall = server(
      async ({ session }: Io<AtWall>) => {
        for await (const ball of session.channels.balls) await session.channels.balls.send({ n: ball.n * 2 });
      },
      { name: 'wall' },
    );
    const seen: number[] = [];
    let peer = '';
    const player = collector(
      async ({ session, input }: Io<AtPlayer>) => {
        peer = input.peer.app;
        const { balls } = session.channels;
        for (const n of [1, 2, 3]) {
          await balls.send({ n });
          seen.push((await balls.receive()).n);
        }
      },
      { name: 'player' },
    );
    await court.runtime().serve(tennis.wall, wall);
    const client = court.runtime();
    let sessions = 0;
    const once = collector(async (io: Io<AtPlayer>) => {
      if (++sessions > 1) return;
      const child = io.spawn(player, io.input);
      await child.join();
    });
    await using _connected = client.connect(tennis.player, tennis.wall, once);
    for (let turn = 0; turn < 2_000 && seen.length < 3; turn++) await turns(1);
    assert.deepEqual(seen, [2, 4, 6]);
    assert.equal(peer, 'wall');
  });

  it('gets in its inbox the events that it names, beside timers and children', async () => {
    const wall = server(
      async ({ inbox, session }: Io<AtWall>) => {
        for await (const event of inbox)
          if (event.type === 'message.balls') await session.channels.balls.send({ n: event.message.n + 1 });
      },
      { events: ['message.balls'] },
    );
    await court.runtime().serve(tennis.wall, wall);
    const got = new Promise<number>((resolve) => {
      const player = collector(async ({ session, select, timer }: Io<AtPlayer>) => {
        session.channels.balls.trySend({ n: 1 });
        const { value } = await select({ ball: session.channels.balls, late: timer(10_000) });
        if (value) resolve(value.n);
        await session.channels.balls.receive();
      });
      court.runtime().connect(tennis.player, tennis.wall, player);
    });
    assert.equal(await got, 2);
  });

  it('is ended with its session, and its cleanup runs', async () => {
    let why: { code?: string; cause?: { code?: string } } = {};
    const wall = server(async ({ inbox }: Io<AtWall>) => {
      try {
        await inbox.receive();
      } catch (error) {
        why = error as typeof why;
        throw error;
      }
    });
    await court.runtime().serve(tennis.wall, wall);
    const client = court.runtime();
    const opened = new Promise<void>((resolve) => {
      client.connect(
        tennis.player,
        tennis.wall,
        collector(async ({ inbox }: Io<AtPlayer>) => {
          resolve();
          await inbox.receive();
        }),
      );
    });
    await opened;
    await client.stop();
    for (let turn = 0; turn < 2_000 && why.code === undefined; turn++) await turns(1);
    assert.equal(why.code, 'ERR_KIND_ENDED');
    assert.equal(why.cause?.code, 'ERR_SESSION_HOSED');
  });

  it("that fails ends its session as a machine's crash does", async () => {
    const wall = server(async (_: Io<AtWall>) => {
      throw new Error('the wall fell down');
    });
    const runtime = court.runtime();
    await runtime.serve(tennis.wall, wall);
    court.runtime().connect(
      tennis.player,
      tennis.wall,
      collector(async ({ inbox }: Io<AtPlayer>) => inbox.receive()),
      { reconnect: { minMs: 60_000, maxMs: 60_000 } },
    );
    const said = /the machine of the session with player crashed: .*the wall fell down/;
    for (let turn = 0; turn < 2_000 && !court.messages.some(({ message }) => said.test(message)); turn++)
      await turns(1);
    assert.isTrue(court.messages.some(({ message }) => said.test(message)));
  });

  it('that a session machine has invoked has its session, and so have its children', async () => {
    const tokens: string[] = [];
    const child = collector(
      async ({ session }: Io<AtWall>) => {
        tokens.push(session.token);
      },
      { name: 'child' },
    );
    const echo = server(async ({ session, spawn, input }: Io<AtWall>) => {
      tokens.push(session.token);
      await spawn(child, input).join();
      for await (const ball of session.channels.balls) await session.channels.balls.send(ball);
    });
    const given = collector(
      async ({ input }: Io<{ input: { session: Session<typeof tennis.wall, 'server'> } }>) => {
        tokens.push(input.session.token);
      },
      { name: 'given' },
    );
    const machine = sessionSetup(tennis.wall, 'server', { actors: { given } }).createMachine({
      invoke: [{ src: 'given' }, { src: echo as never }],
    });
    await court.runtime().serve(tennis.wall, machine);
    const got = new Promise<number>((resolve) => {
      court.runtime().connect(
        tennis.player,
        tennis.wall,
        collector(async ({ session, inbox }: Io<AtPlayer>) => {
          await session.channels.balls.send({ n: 5 });
          resolve((await session.channels.balls.receive()).n);
          await inbox.receive();
        }),
      );
    });
    assert.equal(await got, 5);
    assert.equal(tokens.length, 3);
    assert.equal(new Set(tokens).size, 1);
  });
});
