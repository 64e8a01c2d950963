// What is left of a session whose other side is killed: at any moment, with messages on their way.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { assert } from 'chai';
import { waitUntil } from '../support/wait-until.ts';
import { Court, holder, type ServerSession, tennis } from './pair.ts';

const player = fileURLToPath(new URL('../fixtures/actors/player.ts', import.meta.url));

describe('a session whose peer is killed', () => {
  let court: Court;
  const children = new Set<ChildProcess>();
  beforeEach(() => {
    court = new Court();
  });
  afterEach(async () => {
    for (const child of children) child.kill('SIGKILL');
    children.clear();
    await court.close();
  });

  function start(what: string): ChildProcess {
    const env = { ...process.env, ACTOR_IPC_RUN_DIR: court.folder };
    const child = spawn(process.execPath, [...process.execArgv, player, what], {
      env,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    children.add(child);
    return child;
  }

  it('is hosed once, and every call after it gives the same cause', async () => {
    const ends: { type: string; reason?: string; error?: { code: string; cause?: unknown } }[] = [];
    let session: ServerSession | undefined;
    await court.runtime().serve(
      tennis.wall,
      holder<ServerSession>(
        (opened) => {
          session = opened;
        },
        (end) => ends.push(end),
      ),
    );
    const child = start('idle');
    await waitUntil('the session', () => session !== undefined);
    const { balls, sums } = session!.channels;
    const failures = [balls.receive(), sums.request('add', [1, 2]), balls.flush()].map((call) =>
      call.then(
        () => assert.fail('it went on'),
        (error) => error,
      ),
    );
    child.kill('SIGKILL');
    await waitUntil('the end', () => ends.length > 0);
    assert.throws(() => balls.trySend({ n: 1 }), /channel balls is hosed/);
    assert.throws(() => balls.tryReceive(), /channel balls is hosed/);
    assert.isFalse(balls.open);
    const causes = (
      await Promise.all([...failures.slice(0, 2), balls.send({ n: 1 }).catch((error) => error)])
    ).map((error) => {
      assert.equal(error.code, 'ERR_CHANNEL_HOSED');
      return error.cause;
    });
    assert.equal(ends.length, 1);
    assert.deepInclude(ends[0], { type: 'session.hosed', reason: 'peer.closed' });
    assert.equal(ends[0]!.error!.code, 'ERR_SESSION_HOSED');
    for (const cause of causes) assert.strictEqual(cause, ends[0]!.error!.cause);
    assert.equal((ends[0]!.error!.cause as { code: string }).code, 'ERR_PEER_LOST');
  });

  it('hands over everything that had been sent, without a gap, however late it dies', async function () {
    this.timeout(120_000);
    for (let round = 0; round < 12; round++) {
      const taken: number[] = [];
      let ended = false;
      const runtime = court.runtime();
      const serving = await runtime.serve(
        tennis.wall,
        holder<ServerSession>(
          ({ channels }) => channels.balls.onBatch((balls) => taken.push(...balls.map(({ n }) => n))),
          () => {
            ended = true;
          },
        ),
      );
      const child = start('burst');
      // At another place each time, while both are busy.
      await waitUntil('the first messages', () => taken.length > round * 5_000);
      child.kill('SIGKILL');
      await waitUntil('the end', () => ended);
      assert.isTrue(
        taken.every((n, index) => n === index),
        `round ${round}: a gap or a repetition among ${taken.length}`,
      );
      await serving.stop();
    }
  });

  it('is opened again by a client when its server has been killed and started again', async () => {
    const tokens: string[] = [];
    const first = start('serve');
    await once(first.stdout!, 'data');
    const runtime = court.runtime();
    const reasons: (string | undefined)[] = [];
    runtime.connect(
      tennis.player,
      tennis.wall,
      holder<ServerSession>(
        ({ token }) => tokens.push(token),
        ({ reason }) => reasons.push(reason),
      ),
      { reconnect: { minMs: 20, maxMs: 50 } },
    );
    await waitUntil('the first session', () => tokens.length === 1);
    first.kill('SIGKILL');
    await waitUntil('the loss', () => reasons.length === 1);
    start('serve');
    await waitUntil('the second session', () => tokens.length === 2);
    // A reset if it had not read our last frame yet.
    assert.include(['peer.closed', 'peer.reset'], reasons[0]);
    assert.notEqual(tokens[0], tokens[1]);
  });
});
