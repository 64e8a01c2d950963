// Channels on demand between two processes: as data, as events of machines, and when the other process is busy, stopped or
// killed.
import { assert } from 'chai';
import { assign, fromPromise } from 'xstate';
import { type Channel, type Session, sessionOf, sessionSetup } from '../../src/index.ts';
import { type Program, startFixture } from '../support/fixture.ts';
import { waitUntil } from '../support/wait-until.ts';
import { deferred } from './library.ts';
import { Court, holder } from './pair.ts';
import { type ExchangeSession, exchange, openSwitchboard, type PhoneSession } from './switchboard.ts';

async function failureOf(call: Promise<unknown>): Promise<{ code?: string; message: string }> {
  return call.then(
    () => assert.fail('it succeeded'),
    (error) => error,
  );
}

describe('a channel on demand to another process', function () {
  this.timeout(90_000);
  let court: Court;
  let peer: Program;
  let session: ExchangeSession;
  let pid: number;

  beforeEach(async () => {
    court = new Court();
    const { promise, resolve } = deferred<ExchangeSession>();
    await court.runtime().serve(exchange, holder<ExchangeSession>(resolve));
    peer = startFixture('actors/switchboard-peer.ts', [], { env: { ACTOR_IPC_RUN_DIR: court.folder } });
    session = await promise;
    assert.equal(await session.channels.line.receive(), 'up');
    pid = peer.child.pid!;
  });
  afterEach(async () => {
    peer[Symbol.dispose]();
    await court.close();
  });

  it('is opened, used, closed and opened again, hundreds of times', async () => {
    for (let n = 0; n < 300; n++) {
      const call = await opened(() => session.openChannel('calls'));
      assert.equal(await call.receive(), String(pid));
      call.trySend(`word ${n}`);
      assert.equal(await call.receive(), `heard word ${n}`);
      await call.close();
    }
  });

  it('whose process is stopped is given up with that reason; it is open to others once it goes on', async () => {
    process.kill(pid, 'SIGSTOP');
    const { code, message } = await failureOf(session.openChannel('calls', { timeoutMs: 100 }));
    assert.equal(code, 'ERR_OFFER_TIMEOUT');
    assert.include(message, `process ${pid} of app phone has not looked at it; it is stopped by a signal`);
    process.kill(pid, 'SIGCONT');
    const call = await session.openChannel('calls');
    assert.equal(await call.receive(), String(pid));
  });

  it('whose event loop is busy is given up with that reason', async () => {
    session.channels.line.trySend('1500');
    assert.equal(await session.channels.line.receive(), 'busy');
    const { message } = await failureOf(session.openChannel('calls', { timeoutMs: 300 }));
    assert.match(message, /has not looked at it; it (is busy|waits for something else)/);
  });

  it('whose program does not answer is given up with that reason', async () => {
    const { message } = await failureOf(session.openChannel('faxes', { timeoutMs: 100 }));
    assert.include(message, `the program of app phone (process ${pid}) has it before it`);
  });

  it('whose process is killed fails at once, with the cause of the session', async () => {
    const waits = failureOf(session.openChannel('faxes', { timeoutMs: 30_000 }));
    const call = await session.openChannel('calls');
    process.kill(pid, 'SIGKILL');
    assert.equal((await waits).code, 'ERR_SESSION_HOSED');
    await waitUntil('the end', () => !call.open);
    assert.equal((await failureOf(call.send('late'))).code, 'ERR_CHANNEL_HOSED');
  });
});

/** Opens a channel as soon as the lanes of an earlier one are free. */
async function opened<C>(open: () => Promise<C>): Promise<C> {
  for (;;)
    try {
      return await open();
    } catch (error) {
      assert.equal((error as { code?: string }).code, 'ERR_CHANNEL_LIMIT');
      await new Promise(setImmediate);
    }
}

describe('channels on demand as events of machines', () => {
  let court: Court;
  beforeEach(() => {
    court = new Court();
  });
  afterEach(() => court.close());

  const log: string[] = [];
  beforeEach(() => log.splice(0));

  /** Takes calls from those who say please, answers each word on the call that it came by, and notes their ends. */
  const operator = sessionSetup(exchange, 'server', {
    types: { context: {} as { calls: number } },
    actions: {
      answer: ({ event }) => {
        if (event.type !== 'channel.offered' || event.channel !== 'calls') return;
        if (event.metadata === 'please') event.accept();
        else event.reject('say please');
      },
      hear: ({ event }) => {
        if (event.type !== 'message.calls') return;
        if (event.request) event.via.reply(event, [...event.message]);
        else event.via.trySend(`yes, ${event.message}`);
      },
      end: ({ event }) => {
        if (event.type === 'channel.closed') log.push(`${event.channel} ${event.via?.name}`);
      },
    },
  }).createMachine({
    context: { calls: 0 },
    on: {
      'channel.offered': { actions: ['answer', assign({ calls: ({ context }) => context.calls + 1 })] },
      'message.calls': { actions: 'hear' },
      'channel.closed': { actions: 'end' },
    },
  });

  /** Opens its calls in its very first step, before the other side's machine runs. */
  const eager = (done: (words: string[]) => void, fail: (error: unknown) => void) =>
    sessionSetup(exchange, 'client', {
      actors: {
        call: fromPromise<void, { session: Session<typeof exchange, 'client'> }>(
          async ({ input: { session } }) => {
            try {
              const calls = await Promise.all(
                ['one', 'two'].map(async (word) => {
                  const call = await session.openChannel('calls', { metadata: 'please' });
                  call.trySend(word);
                  const heard = await call.receive();
                  const spelled = await call.request('spell', word);
                  await call.close();
                  return `${heard} ${spelled.join('-')}`;
                }),
              );
              done(calls);
            } catch (error) {
              fail(error);
            }
          },
        ),
      },
    }).createMachine({ invoke: { src: 'call' } });

  it('are offered, answered on the channel that a message came by, and their end is told', async () => {
    const heard = await new Promise<string[]>((resolve, reject) => {
      void openSwitchboard(court, {}, { server: operator, client: eager(resolve, reject) });
    });
    assert.deepEqual(heard, ['yes, one o-n-e', 'yes, two t-w-o']);
    await waitUntil('both ends', () => log.length === 2);
    assert.deepEqual(log, ['calls calls', 'calls calls']);
  });

  it('are rejected by the machine with its reason', async () => {
    const { promise, resolve } = deferred<PhoneSession>();
    void openSwitchboard(court, {}, { server: operator, client: holder<PhoneSession>(resolve) });
    const failure = await failureOf((await promise).openChannel('calls', { metadata: 'now!' }));
    assert.match(failure.message, /say please/);
  });

  it('never overtake the channels of the beginning: whoever takes an offer can use those', async () => {
    // The race that a slower set-up of one side would lose: the client offers before the server's machine has begun.
    for (let n = 0; n < 20; n++) {
      const one = new Court();
      const seen = deferred<[boolean, string]>();
      const server = sessionSetup(exchange, 'server', {
        actions: {
          take: ({ event, self }) => {
            if (event.type !== 'channel.offered') return;
            const { line } = sessionOf(exchange, self).channels;
            const call = event.accept() as Channel;
            seen.resolve([line.open && line.trySend('init first'), call.name]);
          },
        },
      }).createMachine({ on: { 'channel.offered': { actions: 'take' } } });
      const words = deferred<string>();
      const client = sessionSetup(exchange, 'client', {
        actions: {
          offer: ({ self }) => {
            const session = sessionOf(exchange, self);
            session.channels.line.trySend('from the first step');
            session
              .openChannel('calls')
              .then(async () => words.resolve(await session.channels.line.receive()));
          },
        },
      }).createMachine({ entry: 'offer' });
      // Nobody takes what the client sends.
      const limits = { closeTimeoutMs: 5 };
      void openSwitchboard(one, { serve: limits, connect: limits }, { server, client });
      assert.deepEqual(await seen.promise, [true, 'calls']);
      assert.equal(await words.promise, 'init first');
      await one.close();
    }
  });
});
