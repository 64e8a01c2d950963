// What a server keeps for all sessions of one client app, and how several client apps, and an app on both sides, share a
// universe without mixing.
import { assert } from 'chai';
import { assign, setup } from 'xstate';
import { type Arena, channel, defineUniverse, type Handle, rawBytes, type Session } from '../../src/index.ts';
import type { Runtime } from '../../src/runtime/program.ts';
import { waitUntil } from '../support/wait-until.ts';
import { deferred } from './library.ts';
import { Court, holder } from './pair.ts';

const { bank, teller, auditor, archive } = defineUniverse('bank', {
  bank: {
    allow: ['teller', 'auditor'],
    appBytes: 1024 * 1024,
    channels: { sheets: channel<{ up: string; down: Handle<Uint8Array> }>() },
  },
  teller: {},
  auditor: {},
  archive: { allow: ['bank'], channels: { papers: channel<{ up: string; down: string }>() } },
});
type AtBank = Session<typeof bank, 'server'>;
type AtClient = Session<typeof bank, 'client'>;

/** Counts what it is told; its snapshot says for whom. */
const counting = setup({
  types: {
    context: {} as { client: string; count: number; room: number },
    events: {} as { type: 'counted' } | { type: 'finished' },
    input: {} as { client: string; arena: Arena | undefined },
  },
}).createMachine({
  context: ({ input }) => ({ client: input.client, count: 0, room: input.arena?.stats().free ?? 0 }),
  initial: 'on',
  states: {
    on: {
      on: {
        counted: { actions: assign({ count: ({ context }) => context.count + 1 }) },
        finished: 'off',
      },
    },
    off: { type: 'final' },
  },
});

const contextOf = ({ app }: AtBank) =>
  (app!.getSnapshot() as { context: { client: string; count: number; room: number } }).context;

describe('the app scope', () => {
  let court: Court;
  beforeEach(() => {
    court = new Court();
  });
  afterEach(() => court.close());

  /** Opens a session as that app. */
  async function open(runtime: Runtime, app: typeof teller | typeof auditor) {
    const { promise, resolve } = deferred<AtClient>();
    const part = runtime.connect(app, bank, holder<AtClient>(resolve));
    return { session: await promise, part };
  }

  async function serve() {
    const served: AtBank[] = [];
    const server = court.runtime();
    const part = await server.serve(
      bank,
      holder<AtBank>((session) => served.push(session)),
      { appScope: { teller: counting } },
    );
    return { served, server, part };
  }

  it('has one actor for all sessions of a client app, from the first of them on', async () => {
    const { served } = await serve();
    await open(court.runtime(), teller);
    const { part } = await open(court.runtime(), teller);
    await waitUntil('both', () => served.length === 2);
    const [one, other] = served as [AtBank, AtBank];
    one.app!.send({ type: 'counted' });
    other.app!.send({ type: 'counted' });
    assert.deepEqual(contextOf(one), contextOf(other));
    assert.deepInclude(contextOf(one), { client: 'teller', count: 2 });
    assert.isAbove(contextOf(one).room, 0);
    await part.stop();
    await open(court.runtime(), teller);
    await waitUntil('the third', () => served.length === 3);
    assert.equal(contextOf(served[2]!).count, 2, 'it outlives the sessions');
  });

  it('is another one for another client app, or none', async () => {
    const { served } = await serve();
    await open(court.runtime(), teller);
    await open(court.runtime(), auditor);
    await waitUntil('both', () => served.length === 2);
    assert.sameMembers(
      served.map(({ peer, app }) => [peer.app, app !== undefined].join()),
      ['teller,true', 'auditor,false'],
    );
    assert.notEqual(served[0]!.memory.app, served[1]!.memory.app);
  });

  it('has an actor that may end before the server; a crash is logged and harms nobody', async () => {
    const { served } = await serve();
    const { session } = await open(court.runtime(), teller);
    await waitUntil('it', () => served.length === 1);
    served[0]!.app!.send({ type: 'finished' });
    await waitUntil('its end', () => served[0]!.app === undefined);
    assert.isTrue(session.channels.sheets.open);
  });

  it('refuses logic for an app that may not connect', async () => {
    const failure = await court
      .runtime()
      .serve(
        bank,
        holder(() => {}),
        { appScope: { archive: counting } as never },
      )
      .then(
        () => assert.fail('it serves'),
        (error: { code: string }) => error,
      );
    assert.equal(failure.code, 'ERR_APP_UNKNOWN');
  });

  it('has an arena whose values go to each session of that app and outlive them', async () => {
    const { served } = await serve();
    const first = await open(court.runtime(), teller);
    await waitUntil('it', () => served.length === 1);
    const value = served[0]!.memory.app.construct(rawBytes, Uint8Array.of(1, 2, 3));
    const read = async ({ channels: { sheets } }: AtClient, from: AtBank) => {
      from.channels.sheets.trySend(from.channels.sheets.lend(value));
      using borrow = await sheets.borrow(await sheets.receive(), rawBytes);
      return [...borrow.value];
    };
    assert.deepEqual(await read(first.session, served[0]!), [1, 2, 3]);
    await first.part.stop();
    const second = await open(court.runtime(), teller);
    await waitUntil('the next', () => served.length === 2);
    assert.deepEqual(await read(second.session, served[1]!), [1, 2, 3]);
    assert.isUndefined(second.session.memory.app);
  });

  it('ends with the server: its values are gone', async () => {
    const { served, part } = await serve();
    await open(court.runtime(), teller);
    await waitUntil('it', () => served.length === 1);
    const value = served[0]!.memory.app.construct(rawBytes, Uint8Array.of(1));
    await part.stop();
    assert.throws(() => value.value, /was sent or given back already/);
  });

  it('is not there without appBytes', async () => {
    const { promise, resolve } = deferred<Session<typeof archive, 'server'>>();
    await court.runtime().serve(archive, holder<Session<typeof archive, 'server'>>(resolve));
    court.runtime().connect(
      bank,
      archive,
      holder(() => {}),
    );
    const { memory } = await promise;
    assert.throws(() => memory.app, /needs an arena; give the app appBytes/);
    assert.throws(() => memory.session, /needs an arena; give the app arenaBytes/);
  });

  it('leaves an app free to be a server and a client at once', async () => {
    const runtime = court.runtime();
    const served: AtBank[] = [];
    const papers = deferred<Session<typeof archive, 'client'>>();
    const filed = deferred<Session<typeof archive, 'server'>>();
    await court.runtime().serve(archive, holder<Session<typeof archive, 'server'>>(filed.resolve));
    await runtime.serve(
      bank,
      holder<AtBank>((session) => served.push(session)),
    );
    runtime.connect(bank, archive, holder<Session<typeof archive, 'client'>>(papers.resolve));
    const { session } = await open(court.runtime(), teller);
    const toArchive = await papers.promise;
    await waitUntil('the session', () => served.length === 1);
    session.channels.sheets.trySend('a');
    toArchive.channels.papers.trySend(`${await served[0]!.channels.sheets.receive()} and b`);
    assert.equal(await (await filed.promise).channels.papers.receive(), 'a and b');
  });
});
