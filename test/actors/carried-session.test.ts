// A session between two machines: the same to both programs as one on one machine, whatever becomes of the link.
import { assert } from 'chai';
import { waitUntil } from '../support/wait-until.ts';
import { Wire } from './wire.ts';

const codeOf = (promise: Promise<unknown>) =>
  promise.then(
    () => 'no error',
    (error: { code?: string }) => error.code,
  );

describe('a session between two machines', function () {
  this.timeout(120_000);
  let machines: Wire;
  beforeEach(() => {
    machines = new Wire();
  });
  afterEach(() => machines.close());

  it('carries messages, requests and metadata both ways, and names the node at the other end', async () => {
    await machines.join();
    const { desk, guest } = await machines.play();
    assert.deepEqual([desk.peer.host, desk.peer.app, desk.peer.metadata], ['a', 'guest', { says: 'guest' }]);
    assert.deepEqual([guest.peer.host, guest.peer.app, guest.peer.metadata], ['b', 'desk', { says: 'desk' }]);
    await guest.channels.words.send({ n: 1, text: 'hello' });
    assert.deepEqual(await desk.channels.words.receive(), { n: 1, text: 'hello' });
    await desk.channels.words.send({ n: 2, text: 'back' });
    assert.deepEqual(await guest.channels.words.receive(), { n: 2, text: 'back' });
    desk.channels.sums.onRequest('add', (numbers) => numbers.reduce((sum, n) => sum + n, 0));
    assert.equal(await guest.channels.sums.request('add', [1, 2, 3]), 6);
  });

  it('loses, doubles and changes nothing of 20,000 messages while the link is cut again and again', async () => {
    await machines.join();
    const { desk, guest } = await machines.play();
    const count = 20_000;
    const cuts = setInterval(() => machines.network.cut(), 150);
    const sending = (async () => {
      for (let n = 0; n < count; n++) await guest.channels.words.send({ n, text: 'x'.repeat(n % 97) });
    })();
    try {
      for (let n = 0; n < count; n++) {
        const message = await desk.channels.words.receive({ timeoutMs: 20_000 });
        if (message.n !== n || message.text.length !== n % 97) assert.fail(`${message.n} in place of ${n}`);
      }
    } finally {
      clearInterval(cuts);
    }
    await sending;
    assert.isAbove(machines.network.connections, 1);
  });

  it('says that a ring is full as on one machine, when the reader takes nothing', async () => {
    await machines.join();
    const { desk, guest } = await machines.play();
    const message = new Uint8Array(4_000);
    let sent = 0;
    while (guest.channels.bytes.trySend(message)) sent++;
    assert.equal(sent, Math.floor(65_536 / 4_008));
    assert.equal(await codeOf(guest.channels.bytes.send(message, { timeoutMs: 100 })), 'ERR_TIMEOUT');
    assert.equal(await codeOf(guest.channels.bytes.flush({ timeoutMs: 100 })), 'ERR_TIMEOUT');
    for (; sent > 0; sent--) assert.lengthOf(await desk.channels.bytes.receive(), 4_000);
    await guest.channels.bytes.flush();
    assert.isTrue(guest.channels.bytes.trySend(message));
  });

  it('copies loans and messages in the arena, and gives their memory back', async () => {
    await machines.join();
    const { desk, guest } = await machines.play();
    const bytes = 1_500_000;
    for (let round = 0; round < 30; round++) {
      const page = new Uint8Array(bytes).fill(round);
      if (round % 2 === 0) await guest.channels.pages.send(page);
      else {
        const loan = guest.channels.pages.loan(bytes);
        loan.bytes.set(page);
        await loan.send();
      }
      const got = await desk.channels.pages.receive({ borrow: true });
      assert.isTrue(Buffer.from(got.bytes).equals(Buffer.from(page)), `page ${round}`);
      got.release();
    }
    await waitUntil('all loans are back', () => guest.channels.pages.stats().loans === 0);
    await desk.channels.pages.send(new Uint8Array(bytes).fill(7));
    assert.deepEqual((await guest.channels.pages.receive()).subarray(0, 3), new Uint8Array([7, 7, 7]));
  });

  it('opens and closes channels on demand, many after each other in the same lanes', async () => {
    await machines.join();
    const { desk, guest } = await machines.play();
    const taken: string[] = [];
    desk.onOffer('calls', (offer) => {
      if ((offer.metadata as { no?: boolean })?.no) return offer.reject('not now');
      const call = offer.accept();
      void (async () => {
        for await (const word of call) {
          taken.push(word);
          await call.send(`${word}!`);
        }
      })();
    });
    for (let round = 0; round < 20; round++) {
      const call = await guest.openChannel('calls');
      for (let n = 0; n < 30; n++) {
        await call.send(`${round}-${n}`);
        assert.equal(await call.receive(), `${round}-${n}!`);
      }
      await call.close();
    }
    assert.lengthOf(taken, 600);
    const refused = guest.openChannel('calls', { metadata: { no: true } });
    assert.equal(await codeOf(refused), 'ERR_OFFER_REJECTED');
  });

  it('refuses what belongs to one machine, names it, and goes on', async () => {
    await machines.join();
    const { server, desk, guest } = await machines.play();
    const refused = 'ERR_NOT_ACROSS';
    assert.equal(await codeOf(guest.channels.words.send({ n: 1, text: 'a file' }, { handle: 0 })), refused);
    assert.equal(await codeOf(guest.broadcasts.ticks.receive()), refused);
    const arena = server.createArena({ bytes: 2 * 1024 * 1024 });
    using shared = arena.construct(
      { name: 'raw', write: (memory) => memory.subarray(0, 8), read: (bytes) => bytes },
      0,
    );
    assert.throws(() => desk.channels.pages.lend(shared), /raw|another machine|relay node a/);
    await guest.channels.words.send({ n: 2, text: 'goes on' });
    assert.equal((await desk.channels.words.receive()).n, 2);
  });

  it('ends gracefully: what was accepted arrives, then the reason', async () => {
    await machines.join();
    const { client, desk, guest, told } = await machines.play();
    const got: number[] = [];
    desk.channels.words.onBatch((words) => got.push(...words.map(({ n }) => n)));
    for (let n = 0; n < 200; n++) await guest.channels.words.send({ n, text: '' });
    guest.close('enough');
    await waitUntil('the end at both', () => told.desk.length > 0 && told.guest.length > 0);
    assert.lengthOf(got, 200);
    assert.deepInclude(told.desk[0], { type: 'session.hosed', reason: 'peer.goodbye' });
    assert.deepInclude(told.guest[0], { type: 'session.closed', reason: 'enough' });
    await client.stop();
    await waitUntil('nothing is carried', () => machines.gateways.b.sessions === 0);
  });

  it('hoses both sides once when the link is lost for longer than the outage, and opens the next session', async () => {
    await machines.join({ outageMs: 600 });
    const { told } = await machines.play();
    machines.network.refusing = true;
    machines.network.cut();
    await waitUntil('both are hosed', () => told.desk.length > 0 && told.guest.length > 0);
    for (const { type, reason, error } of [told.desk[0]!, told.guest[0]!]) {
      assert.deepEqual([type, reason], ['session.hosed', 'peer.idle']);
      assert.match(String(error?.message), /nothing was heard of the node [ab] for \d+ ms/);
    }
    machines.network.refusing = false;
    await waitUntil('a session is carried again', () => machines.gateways.b.sessions === 1);
    assert.lengthOf(told.desk, 1);
    assert.lengthOf(told.guest, 1);
  });

  it('ends with its gateway: both programs are told at once when that is stopped', async () => {
    await machines.join({ outageMs: 60_000 });
    const { told } = await machines.play();
    await machines.gateways.a.close();
    await waitUntil('both are hosed', () => told.desk.length > 0 && told.guest.length > 0);
    for (const { reason, error } of [told.desk[0]!, told.guest[0]!]) {
      assert.equal(reason, 'peer.closed');
      assert.match(String(error?.message), /the gateway of its machine was stopped/);
    }
  });

  it('ends for both when another gateway sends what makes no sense', async () => {
    for (const items of [
      [['ring', 99, 0, new Uint8Array(8), true]],
      [['ring', 0, 8, new Uint8Array(8), true]],
      [['ring', 0, 0, new Uint8Array(7), true]],
      [['head', 0, 64]],
      [['block', 0, 0, new Uint8Array(8)]],
      [['memory', 5, 4096]],
      [['memory', 0, 2 ** 32 - 1]],
      [['frame', { t: 'memory', number: 0, scope: 'session', bytes: 4096 }]],
      [['end', { t: 'end', reason: 'peer.goodbye', why: 'no' }]],
      [['nothing']],
      ['nothing'],
    ]) {
      const wire = new Wire();
      try {
        await wire.join();
        const { told } = await wire.play();
        wire.slip('a', items);
        await waitUntil(`the end after ${JSON.stringify(items)}`, () => told.desk.length > 0);
        assert.include(['protocol', 'peer.closed'], told.desk[0]!.reason);
      } finally {
        await wire.close();
      }
    }
  });

  it('tells a client why there is no session: no link, no app, not allowed', async () => {
    await machines.join();
    const client = machines.runtime('a');
    const { wire } = await import('./wire.ts');
    const { holder } = await import('./pair.ts');
    const says = (words: RegExp) =>
      waitUntil(String(words), () => machines.messages.some((each) => words.test(each)));
    client.connect(
      wire.guest,
      wire.desk,
      holder(() => {}),
      { reconnect: { minMs: 20, maxMs: 50 } },
    );
    await says(/none is running behind the other node/);
    machines.network.refusing = true;
    machines.network.cut();
    await says(/the node b gives no answer/);
    machines.network.refusing = false;
    void machines.runtime('b').serve(
      wire.desk,
      holder(() => {}),
    );
    const stranger = machines.runtime('a');
    stranger.connect(
      wire.stranger as never,
      wire.desk,
      holder(() => {}),
      { reconnect: { minMs: 20, maxMs: 50 } },
    );
    await says(/app desk does not allow app stranger/);
    await waitUntil('the guest is there', () => machines.gateways.a.sessions > 0);
  });
});
