// Signs of life between processes: a peer that is stopped, one whose event loop stands still, and one that is only busy.
import { readdirSync, readFileSync } from 'node:fs';
import { assert } from 'chai';
import { setup } from 'xstate';
import { sessionOf } from '../../src/index.ts';
import type { ServeOptions } from '../../src/runtime/serving.ts';
import { native } from '../../src/transport/native.ts';
import { type Program, startFixture } from '../support/fixture.ts';
import { waitUntil } from '../support/wait-until.ts';
import { Court, type ServerSession, tennis } from './pair.ts';
import { RawClient } from './raw-client.ts';

interface Told {
  type: string;
  reason?: string;
  ms?: number;
  error?: { code: string; message: string; cause?: { code: string } };
}

const never = { keepAlive: { beatMs: 50, idleMs: 'never' }, stall: { reportMs: 'never' } } as const;
const blocked = new Int32Array(new SharedArrayBuffer(4));

/** The threads of this process that give its signs of life. */
function pulseThreads(): string[] {
  return readdirSync('/proc/self/task').filter((thread) => {
    try {
      return readFileSync(`/proc/self/task/${thread}/comm`, 'utf8') === 'actor-ipc pulse\n';
    } catch {
      return false;
    }
  });
}

describe('signs of life', function () {
  this.timeout(90_000);
  let court: Court;
  let told: Told[];
  let sessions: ServerSession[];
  const programs: Program[] = [];
  beforeEach(() => {
    court = new Court();
    told = [];
    sessions = [];
  });
  afterEach(async () => {
    for (const program of programs.splice(0)) program[Symbol.dispose]();
    await court.close();
    await waitUntil('the end of the thread', () => pulseThreads().length === 0);
  });

  /** Serves sessions and notes all that their machines are told. */
  async function serve(options: ServeOptions): Promise<void> {
    const machine = setup({
      types: { events: {} as Told },
      actions: {
        hand: ({ self }) => void sessions.push(sessionOf(tennis.wall, self) as ServerSession),
        note: ({ event }) => void told.push(event),
      },
    }).createMachine({
      entry: 'hand',
      on: {
        'peer.stalled': { actions: 'note' },
        'peer.resumed': { actions: 'note' },
        'session.closed': { actions: 'note' },
        'session.hosed': { actions: 'note' },
      },
    });
    await court.runtime().serve(tennis.wall, machine, options);
  }

  /** The same, with a client in a process of its own. */
  async function play(what: string, options: ServeOptions): Promise<Program> {
    await serve(options);
    const program = startFixture('actors/player.ts', [what], { env: { ACTOR_IPC_RUN_DIR: court.folder } });
    programs.push(program);
    await waitUntil('the session', () => sessions.length === 1);
    return program;
  }

  const ends = () => told.filter(({ type }) => type.startsWith('session.'));

  describe('of a process that is stopped', () => {
    const options = { keepAlive: { beatMs: 50, idleMs: 1_000 } };

    it('are missed after the limit, once, with the one cause', async () => {
      const { child } = await play('idle', options);
      const receiving = sessions[0]!.channels.balls.receive().then(
        () => assert.fail('it received something'),
        (failure) => failure,
      );
      child.kill('SIGSTOP');
      await waitUntil('the end', () => ends().length > 0);
      assert.deepInclude(ends()[0], { type: 'session.hosed', reason: 'peer.idle' });
      assert.match(ends()[0]!.error!.message, /gave no sign of life for 1000 ms/);
      const error = await receiving;
      assert.equal(error.code, 'ERR_CHANNEL_HOSED');
      assert.strictEqual(error.cause, ends()[0]!.error!.cause);
      assert.deepInclude(error.cause, { code: 'ERR_PEER_LOST' });
      assert.include(
        court.messages.filter(({ level }) => level === 'warn').map(({ message }) => message),
        'session of wall with player hosed: peer.idle: it gave no sign of life for 1000 ms',
      );
      // It finds its session lost, and opens the next.
      child.kill('SIGCONT');
      await waitUntil('the next session', () => sessions.length === 2);
      assert.lengthOf(ends(), 1);
    });

    it('are not missed by a side that waits for ever', async () => {
      const { child } = await play('block', never);
      child.kill('SIGSTOP');
      const begin = performance.now();
      await waitUntil('longer than another side would wait', () => performance.now() - begin > 1_500);
      child.kill('SIGCONT');
      sessions[0]!.channels.balls.trySend({ n: 1 });
      assert.deepEqual(await sessions[0]!.channels.balls.receive(), { n: 1 });
      assert.isEmpty(told);
    });
  });

  it('a goodbye that our busy loop has not read yet comes before a silence', async () => {
    await serve({ keepAlive: { beatMs: 20, idleMs: 100 } });
    const client = new RawClient(court);
    await client.logIn();
    await waitUntil('the session', () => sessions.length === 1);
    // It promises to beat and never does.
    Atomics.store(client.words, (native().layout.pulseOffset >> 2) + 1, 20);
    client.send({ t: 'goodbye', reason: 'lunch' });
    Atomics.wait(blocked, 0, 0, 400);
    await waitUntil('the end', () => ends().length > 0);
    assert.deepInclude(ends()[0], { reason: 'peer.goodbye' });
    client.close();
  });

  describe('of an event loop that stands still', () => {
    it('are missed and found again, while the session stays', async () => {
      await play('block', { keepAlive: { beatMs: 50, idleMs: 1_000 }, stall: { reportMs: 200 } });
      const { balls } = sessions[0]!.channels;
      balls.trySend({ n: 2_500 });
      await waitUntil('the stall', () => told.length === 1);
      assert.equal(told[0]!.type, 'peer.stalled');
      assert.isAtLeast(told[0]!.ms!, 200);
      assert.deepEqual(await balls.receive(), { n: 2_500 });
      await waitUntil('the recovery', () => told.length === 2);
      assert.equal(told[1]!.type, 'peer.resumed');
    });

    it('end the session at the limit', async () => {
      await play('block', { keepAlive: { beatMs: 50 }, stall: { reportMs: 100, hoseMs: 500 } });
      sessions[0]!.channels.balls.trySend({ n: 60_000 });
      await waitUntil('the end', () => ends().length > 0);
      assert.deepEqual(
        told.map(({ type, reason }) => reason ?? type),
        ['peer.stalled', 'peer.stalled'],
      );
      assert.match(ends()[0]!.error!.message, /event loop has not turned for 500 ms/);
    });
  });

  it('of a loop that is busy and turns are never missed', async () => {
    await play('busy', { keepAlive: { beatMs: 50, idleMs: 1_500 }, stall: { reportMs: 1_500 } });
    const begin = performance.now();
    await waitUntil('many beats', () => performance.now() - begin > 4_000);
    assert.isEmpty(told);
  });

  it('come from one thread, however many sessions there are, and wake it once per beat', async () => {
    const beatMs = 200;
    await serve({ keepAlive: { beatMs } });
    for (let i = 0; i < 5; i++) await startClient();
    await waitUntil('the sessions', () => sessions.length === 5);
    const [thread, ...others] = pulseThreads();
    assert.isEmpty(others);
    const sleeps = () =>
      Number(
        /^voluntary_ctxt_switches:\s+(\d+)/m.exec(
          readFileSync(`/proc/self/task/${thread}/status`, 'utf8'),
        )![1],
      );
    const before = sleeps();
    const begin = performance.now();
    await waitUntil('five beats', () => sleeps() - before >= 5);
    // The first may come at once; a lock that is held for a moment may add one.
    assert.isAtLeast(performance.now() - begin, 2 * beatMs);

    async function startClient() {
      const client = new RawClient(court);
      await client.logIn();
      clients.push(client);
    }
  });
  const clients: RawClient[] = [];
  afterEach(() => {
    for (const client of clients.splice(0)) client.close();
  });
});
