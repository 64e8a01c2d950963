// How a session ends: from within every kind of handler, by a crash, by signals.
import { assert } from 'chai';
import { setup } from 'xstate';
import { sessionOf } from '../../src/index.ts';
import { type Program, startFixture } from '../support/fixture.ts';
import { waitUntil } from '../support/wait-until.ts';
import { type ClientSession, Court, holder, type ServerSession, tennis } from './pair.ts';

interface Told {
  type: string;
  reason?: string;
  /** Whose end it is; a client that was told to close opens its next session at once. */
  machine?: object;
}
type Ends = { server: Told[]; client: Told[] };
type Act = () => void;
type Handler = [what: string, arm: (server: ServerSession, client: ClientSession, act: Act) => void];

const quiet = () => {};

/** Each calls `act` once, from within a handler of the server's. */
const handlers: Handler[] = [
  [
    'onBatch',
    ({ channels }, client, act) => {
      channels.balls.onBatch(act);
      client.channels.balls.trySend({ n: 1 });
    },
  ],
  [
    'onBatch of one of many batches',
    ({ channels }, client, act) => {
      channels.bytes.onBatch(act);
      for (let i = 0; i < 400; i++) client.channels.bytes.trySend(new Uint8Array(100));
    },
  ],
  [
    'receive()',
    ({ channels }, client, act) => {
      channels.balls.receive().then(act, quiet);
      client.channels.balls.trySend({ n: 1 });
    },
  ],
  [
    'for await',
    ({ channels }, client, act) => {
      const iterate = async () => {
        for await (const _ of channels.balls) act();
      };
      iterate().catch(quiet);
      client.channels.balls.trySend({ n: 1 });
    },
  ],
  [
    'onRequest',
    ({ channels }, client, act) => {
      channels.sums.onRequest('add', () => {
        act();
        return 1;
      });
      client.channels.sums.request('add', [1]).catch(quiet);
    },
  ],
  [
    'the answer to a request',
    ({ channels }, client, act) => {
      client.channels.sums.onRequest('add', () => 1);
      channels.sums.request('add', [1]).then(act, quiet);
    },
  ],
  [
    'flush()',
    ({ channels }, client, act) => {
      client.channels.balls.onBatch(quiet);
      channels.balls.trySend({ n: 1 });
      channels.balls.flush().then(act, quiet);
    },
  ],
  [
    'send() that waited for room',
    ({ channels }, client, act) => {
      while (channels.balls.trySend({ n: 1 }));
      channels.balls.send({ n: 2 }).then(act, quiet);
      client.channels.balls.onBatch(quiet);
    },
  ],
];

function thrownBy(call: () => void): unknown {
  try {
    call();
  } catch (error) {
    return error;
  }
  return assert.fail('nothing was thrown');
}

describe('the end of a session', function () {
  this.timeout(90_000);
  let court: Court;
  const programs: Program[] = [];
  beforeEach(() => {
    court = new Court();
  });
  afterEach(async () => {
    for (const program of programs.splice(0)) program[Symbol.dispose]();
    await court.close();
  });

  const reconnect = { minMs: 60_000, maxMs: 60_000 };

  async function bothEnd(ends: Ends): Promise<void> {
    await waitUntil('both ends', () => ends.server.length > 0 && ends.client.length > 0);
    await court.close();
    for (const told of [ends.server, ends.client])
      assert.sameMembers(
        [...new Set(told.map(({ machine }) => machine))],
        told.map(({ machine }) => machine),
      );
    assert.isEmpty(court.messages.filter(({ level }) => level === 'error'));
  }

  const once = (act: Act): Act => {
    let done = false;
    return () => {
      if (!done) act();
      done = true;
    };
  };

  for (const [what, arm] of handlers) {
    it(`can be asked for from within ${what}`, async () => {
      const { atServer, atClient, ends } = await court.play({ connect: { reconnect } });
      arm(
        atServer,
        atClient,
        once(() => atServer.close('within')),
      );
      await bothEnd(ends);
      assert.deepInclude(ends.server[0], { type: 'session.closed', reason: 'within' });
      assert.deepInclude(ends.client[0], { type: 'session.hosed', reason: 'peer.goodbye' });
    });

    it(`can begin at the other side, and at once at both, within ${what}`, async () => {
      const { atServer, atClient, ends } = await court.play({ connect: { reconnect } });
      arm(
        atServer,
        atClient,
        once(() => {
          atClient.close('there');
          atServer.close('here');
        }),
      );
      await bothEnd(ends);
      assert.deepEqual([ends.server[0]!.type, ends.client[0]!.type], ['session.closed', 'session.closed']);
    });

    it(`leaves nothing behind when the whole runtime is stopped within ${what}`, async () => {
      const { server, atServer, atClient, ends } = await court.play({ connect: { reconnect } });
      arm(
        atServer,
        atClient,
        once(() => void server.stop()),
      );
      await bothEnd(ends);
    });
  }

  for (const where of ['entry', 'message', 'end'] as const)
    it(`can be asked for by the machine itself in an action on ${where}`, async () => {
      const told: Told[] = [];
      const close = ({ self }: { self: object }) => {
        sessionOf(tennis.wall, self).close('by the machine');
      };
      const machine = setup({
        types: { events: {} as Told },
        actions: { close, note: ({ event, self }) => void told.push({ ...event, machine: self }) },
      }).createMachine({
        entry: where === 'entry' ? 'close' : [],
        on: {
          'message.balls': { actions: where === 'message' ? 'close' : [] },
          'session.closed': { actions: ['note', 'close'] },
          'session.hosed': { actions: ['note', 'close'] },
        },
      });
      await court.runtime().serve(tennis.wall, machine);
      const ends: Told[] = [];
      court.runtime().connect(
        tennis.player,
        tennis.wall,
        holder<ClientSession>(
          (session) => {
            if (where === 'message') session.channels.balls.trySend({ n: 1 });
            if (where === 'end') session.close('by the client');
          },
          (end, machine) => ends.push({ ...end, machine }),
        ),
        { reconnect },
      );
      await bothEnd({ server: told, client: ends });
    });

  it('tells the peer why when our machine crashes, and is logged with its code', async () => {
    const machine = setup({
      actions: {
        crash() {
          throw new Error('a mistake');
        },
      },
    }).createMachine({ on: { 'message.balls': { actions: 'crash' } } });
    await court.runtime().serve(tennis.wall, machine);
    const ends: { type: string; reason?: string; error?: { code: string } }[] = [];
    court.runtime().connect(
      tennis.player,
      tennis.wall,
      holder<ClientSession>(
        ({ channels }) => void channels.balls.trySend({ n: 1 }),
        (end) => ends.push(end),
      ),
      { reconnect },
    );
    await waitUntil('the end', () => ends.length > 0);
    assert.deepInclude(ends[0], { type: 'session.hosed', reason: 'peer.goodbye' });
    assert.match((ends[0]!.error as unknown as Error).message, /crashed: a mistake/);
    const logged = await waitUntil('the log', () =>
      court.messages.find(({ facts }) => (facts as { code?: string }).code === 'ERR_MACHINE_CRASHED'),
    );
    assert.equal(logged.level, 'error');
  });

  it('refuses a reply to what was no request', async () => {
    const { atServer } = await court.play();
    const reply = (event: object) => () => atServer.channels.sums.reply(event, 1);
    for (const event of [{}, { requestId: undefined }, { requestId: 7 }])
      assert.throws(reply(event), /^no request to reply to/);
    // Its code is what a program looks at.
    assert.deepInclude(thrownBy(reply({})), { code: 'ERR_REQUEST_UNKNOWN' });
  });

  describe('by a signal', () => {
    const start = (what: string): Program => {
      const program = startFixture('actors/player.ts', [what], {
        env: { ACTOR_IPC_RUN_DIR: court.folder },
      });
      programs.push(program);
      return program;
    };
    const line = (program: Program, wanted: RegExp) => {
      let text = '';
      program.child.stdout!.on('data', (more: string) => {
        text += more;
      });
      return waitUntil(`${wanted}`, () => wanted.test(text));
    };

    it('SIGTERM closes every session with a goodbye, newest first, then the server, and the process', async () => {
      const wall = start('serve');
      await line(wall, /up/);
      const order: string[] = [];
      for (const name of ['first', 'second', 'third']) {
        let open = false;
        court.runtime().connect(
          tennis.player,
          tennis.wall,
          holder<ClientSession>(
            () => {
              open = true;
            },
            (end) => order.push(`${name}: ${end.reason}`),
          ),
          { reconnect },
        );
        await waitUntil(name, () => open);
      }
      wall.child.kill('SIGTERM');
      const { code, signal } = await wall.end;
      assert.deepEqual([code, signal], [143, null]);
      await waitUntil('all ends', () => order.length === 3);
      assert.deepEqual(order, ['third: peer.goodbye', 'second: peer.goodbye', 'first: peer.goodbye']);
    });

    it('what was accepted before SIGTERM arrives', async () => {
      const wall = start('talk');
      await line(wall, /up/);
      const taken: number[] = [];
      let ended = false;
      court.runtime().connect(
        tennis.player,
        tennis.wall,
        holder<ClientSession>(
          ({ channels }) => channels.balls.onBatch((balls) => taken.push(...balls.map(({ n }) => n))),
          () => {
            ended = true;
          },
        ),
        { reconnect },
      );
      // It sends a hundred and signals itself in the same turn.
      await waitUntil('the end', () => ended);
      assert.deepEqual(
        taken,
        Array.from({ length: 100 }, (_, n) => n),
      );
      assert.equal((await wall.end).code, 143);
    });

    it('a second SIGTERM ends the process at once, whatever waits', async () => {
      const wall = start('stuck');
      await line(wall, /up/);
      let ended = '';
      court.runtime().connect(
        tennis.player,
        tennis.wall,
        // It never reads, so that the close waits for its deadline.
        holder<ClientSession>(quiet, ({ reason }) => {
          ended = reason!;
        }),
        { reconnect },
      );
      await line(wall, /full/);
      wall.child.kill('SIGTERM');
      await line(wall, /closing/);
      const begin = performance.now();
      await waitUntil('a signal of its own', () => performance.now() - begin > 300);
      wall.child.kill('SIGTERM');
      assert.equal((await wall.end).code, 143);
      await waitUntil('the end', () => ended !== '');
      assert.equal(ended, 'peer.closed');
    });
  });
});
