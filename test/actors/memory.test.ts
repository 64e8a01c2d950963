// Loans, borrows and messages in the arena, between the two ends of a session.
import { assert } from 'chai';
import { IpcError, rawBytes } from '../../src/index.ts';
import { waitUntil } from '../support/wait-until.ts';
import { arenaBytes, openLibrary } from './library.ts';
import { Court } from './pair.ts';

const MiB = 1024 * 1024;

function codeOf(call: () => unknown): string {
  try {
    call();
  } catch (error) {
    return (error as IpcError).code ?? String(error);
  }
  return assert.fail('it succeeded');
}

async function failureOf(call: Promise<unknown>): Promise<IpcError> {
  return call.then(
    () => assert.fail('it succeeded'),
    (error) => error,
  );
}

describe('the memory of a session', () => {
  let court: Court;
  beforeEach(() => {
    court = new Court();
  });
  afterEach(() => court.close());

  describe('a message above a quarter of its ring', () => {
    it('arrives whole, in order with small ones, up to the limit of its channel', async () => {
      const { atServer, atClient } = await openLibrary(court);
      const sizes = [10, 5_000, 70, 300_000, 1, 3_000_000, 8];
      const send = async () => {
        for (const [n, size] of sizes.entries())
          await atServer.channels.notes.send({ n, text: String(n % 10).repeat(size) });
      };
      const sending = send();
      for (const [n, size] of sizes.entries())
        assert.deepEqual(await atClient.channels.notes.receive(), { n, text: String(n % 10).repeat(size) });
      await sending;
      assert.throws(
        () => atServer.channels.notes.trySend({ n: 0, text: 'x'.repeat(4 * MiB) }),
        /above its limit of 4194304/,
      );
    });

    it('is received by handlers, iterators and look-ahead as any other', async () => {
      const { atServer, atClient } = await openLibrary(court);
      const { pages } = atClient.channels;
      atServer.channels.pages.trySend(new Uint8Array(20_000).fill(1));
      atServer.channels.pages.trySend(new Uint8Array(20_000).fill(2));
      for await (const page of pages) {
        assert.deepEqual(page, new Uint8Array(20_000).fill(1));
        break;
      }
      const taken: Uint8Array[] = [];
      pages.onBatch((batch) => taken.push(...batch));
      await waitUntil('the second', () => taken.length === 1);
      assert.deepEqual(taken[0], new Uint8Array(20_000).fill(2));
    });

    it('gives its memory back when it has been received', async () => {
      const { atServer, atClient } = await openLibrary(court);
      for (let n = 0; n < 100; n++) {
        await atServer.channels.pages.send(new Uint8Array(MiB).fill(n));
        assert.equal((await atClient.channels.pages.receive())[MiB - 1], n);
      }
      await waitUntil('all of it to be back', () => atServer.channels.pages.stats().loans === 0);
      assert.equal(atServer.arena.stats().used, 0);
      assert.isAtMost(atServer.arena.stats().segments, 2);
    });

    it('makes the sender wait while the reader has as many as it may lend', async () => {
      const { atServer, atClient } = await openLibrary(court);
      const { pages } = atServer.channels;
      for (let n = 0; n < 4; n++) assert.isTrue(pages.trySend(new Uint8Array(10_000).fill(n)));
      assert.isFalse(pages.trySend(new Uint8Array(10_000)));
      const fifth = pages.send(new Uint8Array(10_000).fill(4));
      assert.equal((await failureOf(pages.send(new Uint8Array(5), { timeoutMs: 20 }))).code, 'ERR_TIMEOUT');
      for (let n = 0; n < 5; n++) assert.equal((await atClient.channels.pages.receive())[0], n);
      await fifth;
    });

    it('waits for memory that the peer has, and fails for good where no release can help', async () => {
      const { atServer, atClient } = await openLibrary(court);
      const { notes, pages } = atServer.channels;
      // Fills the arena with loans that nobody will release but us.
      const kept = atServer.arena.construct(rawBytes, {
        bytes: arenaBytes - 1.5 * MiB,
        write: () => {},
      });
      assert.equal(
        codeOf(() => pages.trySend(new Uint8Array(2 * MiB))),
        'ERR_ARENA_FULL',
      );
      assert.isTrue(notes.trySend({ n: 1, text: 'x'.repeat(MiB) }));
      assert.isFalse(pages.trySend(new Uint8Array(MiB)));
      const waiting = failureOf(pages.send(new Uint8Array(2 * MiB)));
      assert.equal((await atClient.channels.notes.receive()).n, 1);
      assert.equal((await waiting).code, 'ERR_ARENA_FULL');
      kept.release();
      assert.isTrue(pages.trySend(new Uint8Array(2 * MiB)), 'the channel is unharmed');
    });

    it('counts as unread when nobody took it', async () => {
      const { atServer, ends, client } = await openLibrary(court);
      atServer.channels.pages.trySend(new Uint8Array(20_000));
      atServer.channels.pages.trySend(new Uint8Array(2));
      await client.stop();
      await waitUntil('the end', () => ends.server.length > 0);
      assert.equal(ends.server[0]!.unread!.pages, 2);
    });
  });

  describe('a loan', () => {
    it('is sent without a copy, with the length that was written', async () => {
      const { atServer, atClient } = await openLibrary(court);
      {
        using loan = atServer.channels.pages.loan(MiB);
        loan.bytes.fill(7, 0, 500_000);
        await loan.send(500_000);
      }
      const page = await atClient.channels.pages.receive();
      assert.deepEqual(page, new Uint8Array(500_000).fill(7));
    });

    it('may be small, and empty', async () => {
      const { atServer, atClient } = await openLibrary(court);
      const loan = atServer.channels.pages.loan(3);
      loan.bytes.set([1, 2, 3]);
      assert.isTrue(loan.trySend());
      assert.isTrue(atServer.channels.pages.loan(0).trySend());
      assert.deepEqual(await atClient.channels.pages.receive(), Uint8Array.of(1, 2, 3));
      assert.deepEqual(await atClient.channels.pages.receive(), new Uint8Array(0));
    });

    it('is given back when its block is left without a send', async () => {
      const { atServer } = await openLibrary(court);
      const { pages } = atServer.channels;
      {
        using loan = pages.loan(MiB);
        assert.equal(loan.bytes.byteLength, MiB);
        assert.equal(pages.stats().loans, 1);
      }
      assert.equal(pages.stats().loans, 0);
      assert.equal(atServer.arena.stats().used, 0);
    });

    it('begins at a multiple of 64 of memory that nothing else uses', async () => {
      const { atServer } = await openLibrary(court);
      const loans = [1, 64, 1000, 4].map((bytes) => atServer.channels.pages.loan(bytes));
      const places = loans.map(({ bytes }) => [bytes.byteOffset, bytes.byteOffset + bytes.byteLength]);
      places.sort(([one], [other]) => one! - other!);
      for (const [at] of places) assert.equal(at! % 64, 0);
      for (let index = 1; index < places.length; index++)
        assert.isAtMost(places[index - 1]![1]!, places[index]![0]!);
    });

    it('can not be used once it was sent or given back', async () => {
      const { atServer } = await openLibrary(court);
      const { pages } = atServer.channels;
      const sent = pages.loan(8);
      sent.trySend();
      const released = pages.loan(8);
      released.release();
      for (const loan of [sent, released]) {
        assert.equal(
          codeOf(() => loan.bytes),
          'ERR_MEMORY_RETURNED',
        );
        assert.equal(
          codeOf(() => loan.trySend()),
          'ERR_MEMORY_RETURNED',
        );
        assert.equal(
          codeOf(() => loan.release()),
          'ERR_MEMORY_RETURNED',
        );
        assert.equal((await failureOf(loan.send())).code, 'ERR_MEMORY_RETURNED');
        loan[Symbol.dispose]();
      }
      assert.equal(pages.stats().loans, 1, 'the one on its way');
    });

    it('waits for room in the ring like any message, and is whole after a wait in vain', async () => {
      const { atServer, atClient } = await openLibrary(court);
      const { pages } = atServer.channels;
      let filled = 0;
      while (pages.trySend(new Uint8Array(filled < 15 ? 1000 : 0))) filled++;
      const loan = pages.loan(10);
      loan.bytes.fill(9);
      assert.isFalse(loan.trySend());
      assert.equal((await failureOf(loan.send(10, { timeoutMs: 20 }))).code, 'ERR_TIMEOUT');
      assert.deepEqual(loan.bytes, new Uint8Array(10).fill(9));
      const sent = loan.send();
      assert.equal(
        codeOf(() => loan.bytes),
        'ERR_MEMORY_RETURNED',
        'it is on its way',
      );
      for (let n = 0; n < filled; n++) await atClient.channels.pages.receive();
      await sent;
      assert.deepEqual(await atClient.channels.pages.receive(), new Uint8Array(10).fill(9));
    });

    it('is refused above the limits, with a typed error, and the channel is unharmed', async () => {
      const { atServer } = await openLibrary(court);
      const { pages, notes } = atServer.channels;
      assert.equal(
        codeOf(() => pages.loan(2 * MiB + 1)),
        'ERR_MESSAGE_TOO_LARGE',
      );
      assert.equal(
        codeOf(() => pages.loan(-1)),
        'ERR_MESSAGE_INVALID',
      );
      assert.equal(
        codeOf(() => pages.loan(1.5)),
        'ERR_MESSAGE_INVALID',
      );
      assert.equal(
        codeOf(() => notes.loan(1)),
        'ERR_CHANNEL_CODEC',
      );
      const loans = Array.from({ length: 4 }, () => pages.loan(100));
      assert.equal(
        codeOf(() => pages.loan(100)),
        'ERR_LOAN_LIMIT',
      );
      assert.equal(
        codeOf(() => loans[0]!.trySend(101)),
        'ERR_MESSAGE_TOO_LARGE',
      );
      loans[0]!.release();
      for (let { largest } = atServer.arena.stats(); largest >= 2 * MiB; { largest } = atServer.arena.stats())
        atServer.arena.construct(rawBytes, { bytes: largest, write: () => {} });
      assert.equal(
        codeOf(() => pages.loan(2 * MiB)),
        'ERR_ARENA_FULL',
      );
      assert.isTrue(loans[1]!.trySend());
    });

    it('can not be taken or sent after the end, and its memory turns empty rather than dangling', async () => {
      const { atServer, ends } = await openLibrary(court);
      const loan = atServer.channels.pages.loan(100);
      const { bytes } = loan;
      atServer.close();
      await waitUntil('the end', () => ends.server.length > 0);
      await waitUntil('the memory to be gone', () => bytes.byteLength === 0);
      assert.equal(
        codeOf(() => loan.trySend()),
        'ERR_CHANNEL_CLOSED',
      );
      assert.equal(
        codeOf(() => atServer.channels.pages.loan(1)),
        'ERR_CHANNEL_CLOSED',
      );
      loan.release();
    });
  });

  describe('a borrow', () => {
    it('shows the very memory of the peer until it is released', async () => {
      const { atServer, atClient } = await openLibrary(court);
      const loan = atServer.channels.pages.loan(20_000);
      const { bytes: written } = loan;
      written.fill(5);
      loan.trySend();
      const borrow = await atClient.channels.pages.receive({ borrow: true });
      assert.deepEqual(borrow.bytes, new Uint8Array(20_000).fill(5));
      assert.strictEqual(borrow.value, borrow.bytes);
      written[0] = 6;
      assert.equal(borrow.bytes[0], 6, 'it is no copy');
      assert.equal(atServer.channels.pages.stats().loans, 1);
      borrow.release();
      await waitUntil('the release', () => atServer.channels.pages.stats().loans === 0);
      assert.equal(atServer.arena.stats().used, 0);
    });

    it('can not be used or released once it was released', async () => {
      const { atServer, atClient } = await openLibrary(court);
      for (const size of [10, 20_000]) {
        atServer.channels.pages.trySend(new Uint8Array(size));
        const borrow = await atClient.channels.pages.receive({ borrow: true });
        borrow.release();
        assert.equal(
          codeOf(() => borrow.bytes),
          'ERR_MEMORY_RETURNED',
        );
        assert.equal(
          codeOf(() => borrow.value),
          'ERR_MEMORY_RETURNED',
        );
        assert.equal(
          codeOf(() => borrow.release()),
          'ERR_MEMORY_RETURNED',
        );
        borrow[Symbol.dispose]();
      }
      await waitUntil('one release', () => atServer.channels.pages.stats().loans === 0);
    });

    it('of a small message is a private copy with the same manners', async () => {
      const { atServer, atClient } = await openLibrary(court);
      atServer.channels.pages.trySend(Uint8Array.of(1, 2, 3));
      await waitUntil('the message', () => atServer.channels.pages.stats().unreadBytes > 0);
      using borrow = await atClient.channels.pages.receive({ borrow: true });
      assert.deepEqual(borrow.bytes, Uint8Array.of(1, 2, 3));
      assert.equal(borrow.bytes.buffer.byteLength, 3);
      assert.equal(atClient.channels.pages.stats().borrows, 1);
    });

    it('has a limit per channel, for calls that wait too', async () => {
      const { atServer, atClient } = await openLibrary(court);
      const { pages } = atClient.channels;
      const waiting = Array.from({ length: 3 }, () => pages.receive({ borrow: true }));
      assert.isUndefined(pages.tryReceive({ borrow: true }));
      const fourth = pages.receive({ borrow: true });
      assert.equal(
        codeOf(() => pages.tryReceive({ borrow: true })),
        'ERR_BORROW_LIMIT',
      );
      assert.equal((await failureOf(pages.receive({ borrow: true }))).code, 'ERR_BORROW_LIMIT');
      for (let n = 0; n < 4; n++) atServer.channels.pages.trySend(new Uint8Array(n * 5000).fill(n));
      const borrows = await Promise.all([...waiting, fourth]);
      assert.deepEqual(
        borrows.map(({ bytes }) => bytes.byteLength),
        [0, 5000, 10_000, 15_000],
      );
      assert.equal(
        codeOf(() => pages.tryReceive({ borrow: true })),
        'ERR_BORROW_LIMIT',
      );
      borrows[1]!.release();
      assert.isUndefined(pages.tryReceive({ borrow: true }));
      assert.equal((await failureOf(pages.receive({ borrow: true, timeoutMs: 10 }))).code, 'ERR_TIMEOUT');
      assert.equal(pages.stats().borrows, 3);
    });

    it('is for channels that carry bytes', async () => {
      const { atClient } = await openLibrary(court);
      const { notes } = atClient.channels;
      assert.equal(
        codeOf(() => notes.tryReceive({ borrow: true })),
        'ERR_CHANNEL_CODEC',
      );
      assert.equal((await failureOf(notes.receive({ borrow: true }))).code, 'ERR_CHANNEL_CODEC');
      assert.equal(
        codeOf(() => notes.onBatch(() => {}, { borrow: true })),
        'ERR_CHANNEL_CODEC',
      );
      assert.equal((await failureOf(notes.receiveInto(new Uint8Array(1)))).code, 'ERR_CHANNEL_CODEC');
    });

    it('comes in batches, as many at once as the limit allows', async () => {
      const { atServer, atClient } = await openLibrary(court);
      const { pages } = atClient.channels;
      const held: { bytes: Uint8Array; release(): void }[] = [];
      const taken: number[] = [];
      let most = 0;
      pages.onBatch(
        (batch) => {
          held.push(...batch);
          most = Math.max(most, held.length);
          setImmediate(() => {
            for (const borrow of held.splice(0)) {
              taken.push(borrow.bytes[0]!);
              borrow.release();
            }
          });
        },
        { borrow: true },
      );
      for (let n = 0; n < 50; n++)
        await atServer.channels.pages.send(new Uint8Array(n % 3 ? 10 : 8000).fill(n));
      await waitUntil('all of them', () => taken.length === 50);
      assert.deepEqual(
        taken,
        Array.from({ length: 50 }, (_, n) => n),
      );
      assert.isAtMost(most, 4);
    });

    it('stays valid after the end of its session, and what had arrived can still be borrowed', async () => {
      const { atServer, atClient, ends } = await openLibrary(court);
      for (let n = 1; n <= 3; n++) atServer.channels.pages.trySend(new Uint8Array(50_000).fill(n));
      const first = await atClient.channels.pages.receive({ borrow: true });
      atServer.channels.pages.flush({ timeoutMs: 1 }).catch(() => {});
      atServer.close();
      await waitUntil('the end', () => ends.client.length > 0 && ends.server.length > 0);
      await waitUntil(
        'the memory of its owner to be gone',
        () => codeOf(() => atServer.arena.construct(rawBytes, new Uint8Array(1))) === 'ERR_ARENA_FULL',
      );
      const second = await atClient.channels.pages.receive({ borrow: true });
      assert.deepEqual(await atClient.channels.pages.receive(), new Uint8Array(50_000).fill(3));
      assert.deepEqual(first.bytes, new Uint8Array(50_000).fill(1));
      assert.deepEqual(second.bytes, new Uint8Array(50_000).fill(2));
      const { bytes } = first;
      first.release();
      second.release();
      assert.equal(bytes.byteLength, 0, 'the last release unmaps it');
    });
  });

  it('keeps each large message that waits, also in memory that an earlier one has waited in', async () => {
    const { atServer, atClient } = await openLibrary(court);
    const { pages } = atServer.channels;
    const source = new Uint8Array(70_000);
    for (let round = 0; round < 3; round++) {
      let sent = 0;
      while (pages.trySend(source.fill(sent))) sent++;
      const waiting = Array.from({ length: 3 }, () => pages.send(source.fill(sent++)));
      source.fill(255);
      for (let n = 0; n < sent; n++)
        assert.deepEqual(await atClient.channels.pages.receive(), new Uint8Array(70_000).fill(n));
      await Promise.all(waiting);
    }
  });

  describe('receiveInto()', () => {
    it('fills memory of the caller and answers the length', async () => {
      const { atServer, atClient } = await openLibrary(court);
      const into = new Uint8Array(100_000);
      for (const size of [3, 60_000]) {
        atServer.channels.pages.trySend(new Uint8Array(size).fill(size % 250));
        assert.equal(await atClient.channels.pages.receiveInto(into), size);
        assert.deepEqual(into.subarray(0, size), new Uint8Array(size).fill(size % 250));
      }
      await waitUntil('the release', () => atServer.channels.pages.stats().loans === 0);
      assert.equal(atClient.channels.pages.stats().borrows, 0);
    });

    it('fills it for those who wait, each with the message of its turn', async () => {
      const { atServer, atClient } = await openLibrary(court);
      const sizes = [5, 70_000, 0, 9];
      const memories = sizes.map(() => new Uint8Array(70_000));
      const lengths = memories.map((memory) => atClient.channels.pages.receiveInto(memory));
      const plain = atClient.channels.pages.receive();
      for (const size of [...sizes, 4])
        atServer.channels.pages.trySend(new Uint8Array(size).fill(size % 250));
      assert.deepEqual(await Promise.all(lengths), sizes);
      for (const [i, size] of sizes.entries())
        assert.deepEqual(memories[i]!.subarray(0, size), new Uint8Array(size).fill(size % 250));
      assert.deepEqual(await plain, new Uint8Array(4).fill(4));
      await waitUntil('the release', () => atServer.channels.pages.stats().loans === 0);
      assert.equal(atClient.channels.pages.stats().borrows, 0);
    });

    it('takes nothing for what is no memory', async () => {
      const { atServer, atClient } = await openLibrary(court);
      atServer.channels.pages.trySend(Uint8Array.of(1));
      const error = await atClient.channels.pages.receiveInto([] as never).catch((thrown: unknown) => thrown);
      assert.instanceOf(error, TypeError);
      assert.deepEqual(await atClient.channels.pages.receive(), Uint8Array.of(1));
    });

    it('leaves a small message that has no room to the next call that waits', async () => {
      const { atServer, atClient } = await openLibrary(court);
      const short = failureOf(atClient.channels.pages.receiveInto(new Uint8Array(2)));
      const into = new Uint8Array(3);
      const next = atClient.channels.pages.receiveInto(into);
      atServer.channels.pages.trySend(Uint8Array.of(1, 2, 3));
      assert.equal((await short).code, 'ERR_MESSAGE_TOO_LARGE');
      assert.equal(await next, 3);
      assert.deepEqual(into, Uint8Array.of(1, 2, 3));
    });

    it('leaves a message that is too large to the next call', async () => {
      const { atServer, atClient } = await openLibrary(court);
      atServer.channels.pages.trySend(new Uint8Array(60_000).fill(1));
      atServer.channels.pages.trySend(Uint8Array.of(2));
      const error = await failureOf(atClient.channels.pages.receiveInto(new Uint8Array(10)));
      assert.equal(error.code, 'ERR_MESSAGE_TOO_LARGE');
      assert.deepEqual(await atClient.channels.pages.receive(), new Uint8Array(60_000).fill(1));
      assert.deepEqual(await atClient.channels.pages.receive(), Uint8Array.of(2));
      await waitUntil('the release', () => atServer.channels.pages.stats().loans === 0);
      assert.equal(atClient.channels.pages.stats().borrows, 0);
    });
  });

  it('is not there without the option of the app', async () => {
    const { atServer } = await court.play();
    const { bytes } = atServer.channels;
    assert.equal(
      codeOf(() => atServer.arena),
      'ERR_NO_ARENA',
    );
    assert.equal(
      codeOf(() => bytes.loan(1)),
      'ERR_NO_ARENA',
    );
    assert.equal(
      codeOf(() => bytes.lend({} as never)),
      'ERR_NO_ARENA',
    );
    assert.equal((await failureOf(bytes.borrow(new Uint8Array(40), rawBytes))).code, 'ERR_NO_ARENA');
    bytes.trySend(Uint8Array.of(1));
    // Borrows of small messages and receiveInto need no arena.
    assert.instanceOf(IpcError.of('ERR_NO_ARENA', 'x', 'y'), Error);
  });
});
