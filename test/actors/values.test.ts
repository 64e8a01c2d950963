// Values that are built once in an arena and lent by handle, in a session and in all sessions of a process.
import { assert } from 'chai';
import { type Handle, type IpcError, rawBytes } from '../../src/index.ts';
import { flatbuffers } from '../../src/transport/flatbuffers.ts';
import { buildColumns, Columns } from '../support/columns.ts';
import { waitUntil } from '../support/wait-until.ts';
import { openLibrary } from './library.ts';
import { Court } from './pair.ts';

const columns = flatbuffers(Columns.getRootAsColumns);

async function failureOf(call: Promise<unknown>): Promise<IpcError> {
  return call.then(
    () => assert.fail('it succeeded'),
    (error) => error,
  );
}

function codeOf(call: () => unknown): string {
  try {
    call();
  } catch (error) {
    return (error as IpcError).code ?? String(error);
  }
  return assert.fail('it succeeded');
}

/** So that segments of a few small arenas reach it. */
const sharedMax = 1024 * 1024;

describe('a value in an arena', () => {
  let court: Court;
  beforeEach(() => {
    court = new Court();
  });
  afterEach(() => court.close());

  it('is built once and read in place by the peer, on any channel, any number of times', async () => {
    const { atServer, atClient } = await openLibrary(court);
    const { cards, pages } = atServer.channels;
    using value = atServer.arena.construct(
      columns,
      buildColumns('even', 1000, (index) => index * 2),
    );
    assert.equal(value.value.values(7), 14);
    for (let n = 0; n < 20; n++) {
      cards.trySend(cards.lend(value) as Handle<never>);
      pages.trySend(pages.lend(value));
      for (const handle of [
        await atClient.channels.cards.receive(),
        await atClient.channels.pages.receive(),
      ]) {
        using borrow = await atClient.channels.cards.borrow(handle as Handle<Columns>, columns);
        assert.equal(borrow.value.name(), 'even');
        assert.equal(borrow.value.valuesLength(), 1000);
        assert.equal(borrow.value.values(999), 1998);
      }
    }
    await waitUntil('all to be back', () => cards.stats().loans + pages.stats().loans === 0);
    assert.isAbove(atServer.arena.stats().used, 8000);
    value.release();
    assert.equal(atServer.arena.stats().used, 0);
  });

  it('may outgrow the room that it was given, at the cost of a copy', async () => {
    const { atServer } = await openLibrary(court);
    const build = buildColumns('many', 10_000, (index) => index);
    using tight = atServer.arena.construct(columns, build, { bytes: 1000 });
    assert.equal(tight.value.values(9_999), 9_999);
    assert.equal(tight.bytes % 8, 0);
    const { used } = atServer.arena.stats();
    assert.isBelow(used, 82_000, 'no room is kept that it does not need');
    using small = atServer.arena.construct(
      columns,
      buildColumns('few', 1, () => 1),
    );
    assert.isBelow(atServer.arena.stats().used - used, 512);
    assert.equal(small.value.values(0), 1);
  });

  it('leaves nothing behind when its building fails', async () => {
    const { atServer } = await openLibrary(court);
    const fail = () => {
      throw new Error('no data');
    };
    assert.throws(() => atServer.arena.construct(columns, fail), /no data/);
    assert.throws(
      () => atServer.arena.construct(rawBytes, { bytes: 100, write: () => {} }, { bytes: 10 }),
      /100 bytes need more room/,
    );
    assert.equal(
      codeOf(() => atServer.arena.construct(rawBytes, new Uint8Array(2 ** 24))),
      'ERR_ARENA_FULL',
    );
    assert.equal(atServer.arena.stats().used, 0);
  });

  it('lives until its maker and all its borrowers have released it', async () => {
    const { atServer, atClient } = await openLibrary(court);
    const { cards } = atServer.channels;
    const value = atServer.arena.construct(rawBytes, Uint8Array.of(1, 2, 3));
    const handle = cards.lend(value);
    value.release();
    assert.equal(
      codeOf(() => value.release()),
      'ERR_MEMORY_RETURNED',
    );
    assert.equal(
      codeOf(() => value.value),
      'ERR_MEMORY_RETURNED',
    );
    assert.equal(
      codeOf(() => cards.lend(value)),
      'ERR_MEMORY_RETURNED',
    );
    value[Symbol.dispose]();
    const one = await atClient.channels.cards.borrow(handle, rawBytes);
    const two = await atClient.channels.cards.borrow(handle, rawBytes);
    one.release();
    assert.deepEqual(two.value, Uint8Array.of(1, 2, 3));
    assert.isAbove(atServer.arena.stats().used, 0);
    two.release();
    await waitUntil('it to be free', () => atServer.arena.stats().used === 0);
  });

  it('has a limit of how often it is lent, and of what is borrowed', async () => {
    const { atServer, atClient } = await openLibrary(court);
    const { cards, pages } = atServer.channels;
    using value = atServer.arena.construct(rawBytes, Uint8Array.of(1));
    const handles = Array.from({ length: 8 }, () => cards.lend(value));
    assert.equal(
      codeOf(() => cards.lend(value)),
      'ERR_LOAN_LIMIT',
    );
    const lent = Array.from({ length: 4 }, () => pages.lend(value));
    for (const handle of lent) await atClient.channels.pages.borrow(handle, rawBytes);
    const error = await failureOf(atClient.channels.pages.borrow(handles[0]!, rawBytes));
    assert.equal(error.code, 'ERR_BORROW_LIMIT');
  });

  describe('by a handle', () => {
    /** Each makes a handle that leads to nothing of one that does. */
    const bad: [what: string, spoil: (handle: Uint8Array) => unknown, why: RegExp][] = [
      ['that is cut off', (handle) => handle.slice(0, 39), /it is not the 40 bytes/],
      ['that is no bytes', () => 'handle', /it is not the 40 bytes/],
      ['that was changed', (handle) => handle.fill(1, 8, 9), /changed on its way/],
      ['of zeroes', () => new Uint8Array(40), /changed on its way/],
      ['with another slot', (handle) => word(handle, 2, 2 ** 31), /beyond all limits/],
      ['with a slot of its past', (handle) => word(handle, 3, 0), /released already/],
      ['with a segment beyond all', (handle) => word(handle, 4, 5000), /beyond all limits/],
      ['off the alignment', (handle) => word(handle, 5, 257), /outside its segment/],
      ['into the header', (handle) => word(handle, 5, 64), /outside its segment/],
      ['behind the segment', (handle) => word(handle, 5, 2 ** 32 - 64), /outside its segment/],
      ['with another start', (handle) => word(handle, 6, 8), /another length/],
      ['longer than its segment', (handle) => word(handle, 7, 2 ** 32 - 1), /outside its segment/],
      ['longer than its block', (handle) => word(handle, 7, 101), /another length/],
      ['shorter than its block', (handle) => word(handle, 7, 99), /another length/],
      ['with another generation', (handle) => word(handle, 8, 77), /stale/],
      ['with no generation', (handle) => word(handle, 8, 0), /stale/],
    ];
    /** Sets a word and mends the checksum, as one that forges would. */
    function word(handle: Uint8Array, at: number, value: number): Uint8Array {
      const words = new Uint32Array(handle.slice().buffer);
      words[at] = value;
      let hash = 0x811c9dc5;
      for (let index = 0; index < 9; index++) hash = Math.imul(hash ^ words[index]!, 0x01000193);
      words[9] = hash >>> 0;
      return new Uint8Array(words.buffer);
    }

    for (const [what, spoil, why] of bad)
      it(`${what} is refused, and nothing else suffers`, async () => {
        const { atServer, atClient } = await openLibrary(court);
        const { cards } = atServer.channels;
        const value = atServer.arena.construct(rawBytes, new Uint8Array(100).fill(3));
        const handle = cards.lend(value);
        // The segment has come.
        await atClient.channels.cards.borrow(cards.lend(value), rawBytes);
        const false_ = spoil(handle.slice()) as Handle<Uint8Array>;
        const error = await failureOf(atClient.channels.cards.borrow(false_, rawBytes));
        assert.equal(error.code, 'ERR_HANDLE_INVALID');
        assert.match(error.message, why);
        using borrow = await atClient.channels.cards.borrow(handle, rawBytes);
        assert.deepEqual(borrow.value, new Uint8Array(100).fill(3));
        assert.isTrue(atServer.channels.cards.open);
      });

    it('that was used up is refused, also when its place is used again', async () => {
      const { atServer, atClient } = await openLibrary(court);
      const { cards } = atServer.channels;
      const value = atServer.arena.construct(rawBytes, Uint8Array.of(1));
      const handle = cards.lend(value);
      (await atClient.channels.cards.borrow(handle, rawBytes)).release();
      const used = await failureOf(atClient.channels.cards.borrow(handle, rawBytes));
      assert.match(used.message, /released already/);
      await waitUntil('its return', () => cards.stats().loans === 0);
      cards.lend(value);
      const again = await failureOf(atClient.channels.cards.borrow(handle, rawBytes));
      assert.equal(again.code, 'ERR_HANDLE_INVALID');
    });

    it('of another session, or of the other direction, is refused', async () => {
      const one = await openLibrary(court);
      const other = new Court();
      try {
        const two = await openLibrary(other);
        const handle = one.atServer.channels.cards.lend(
          one.atServer.arena.construct(rawBytes, Uint8Array.of(1)),
        );
        for (const end of [two.atClient, one.atServer]) {
          const error = await failureOf(end.channels.cards.borrow(handle, rawBytes));
          assert.match(error.message, /the peer did not lend it in this session/);
        }
        const value = one.atServer.arena.construct(rawBytes, Uint8Array.of(1));
        assert.equal(
          codeOf(() => two.atServer.channels.cards.lend(value)),
          'ERR_LOAN_FOREIGN',
        );
        assert.equal(
          codeOf(() => two.atServer.channels.cards.lend({} as never)),
          'ERR_LOAN_FOREIGN',
        );
      } finally {
        await other.close();
      }
    });
  });

  describe('of a shared arena', () => {
    it('is shown to a peer as far as sharedBytes goes, counted in whole segments', async () => {
      const { server, atServer, atClient, ends } = await openLibrary(court, sharedMax);
      const { cards } = atServer.channels;
      const arenas = Array.from({ length: 4 }, () => server.createArena({ bytes: 512 * 1024 }));
      const values = arenas.map((arena) => arena.construct(rawBytes, new Uint8Array(200_000).fill(7)));
      const lent: Handle<Uint8Array>[] = [];
      for (const value of values) {
        try {
          lent.push(cards.lend(value));
        } catch (error) {
          assert.equal((error as IpcError).code, 'ERR_ARENA_FULL');
          assert.include((error as Error).message, 'sharedBytes');
          break;
        }
      }
      assert.isAtLeast(lent.length, 1);
      assert.isBelow(lent.length, 4);
      // What it has been shown it is lent again, and all of it can be borrowed.
      for (const handle of [...lent, cards.lend(values[0]!)]) {
        using borrow = await atClient.channels.cards.borrow(handle, rawBytes);
        assert.equal(borrow.value[199_999], 7);
      }
      assert.isEmpty(ends.server);
      for (const arena of arenas) arena.close();
    });

    it('is lent in every session of its process, and comes back from each', async () => {
      const one = await openLibrary(court);
      const other = new Court();
      const arena = one.server.createArena({ bytes: 16 * 1024 * 1024 });
      try {
        const two = await openLibrary(other);
        using value = arena.construct(
          columns,
          buildColumns('all', 100, (index) => index),
        );
        for (const { atServer, atClient } of [one, two]) {
          const handle = atServer.channels.cards.lend(value) as Handle<unknown> as Handle<Columns>;
          using borrow = await atClient.channels.cards.borrow(handle, columns);
          assert.equal(borrow.value.values(99), 99);
        }
        value.release();
        await waitUntil('both to be back', () => arena.stats().used === 0);
      } finally {
        await other.close();
      }
    });

    it('is not taken back when the session ends: the peer may still read it', async () => {
      const { server, atServer, atClient, ends } = await openLibrary(court);
      const arena = server.createArena({ bytes: 1024 * 1024 });
      const value = arena.construct(rawBytes, Uint8Array.of(7));
      const borrow = await atClient.channels.cards.borrow(atServer.channels.cards.lend(value), rawBytes);
      value.release();
      const { used } = arena.stats();
      atServer.close();
      await waitUntil('the end', () => ends.server.length > 0 && ends.client.length > 0);
      await waitUntil('the channel to be gone', () => !atClient.channels.cards.open);
      assert.equal(borrow.value[0], 7);
      borrow.release();
      assert.equal(arena.stats().used, used);
      arena.close();
    });
  });
});
