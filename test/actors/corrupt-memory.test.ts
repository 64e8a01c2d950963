// A peer that lends what makes no sense, or gives back what it was never lent: its session ends with the reason, and the
// server goes on. And one whose segment comes late, which is no mistake.
import { assert } from 'chai';
import { type NativeSegment, native } from '../../src/transport/native.ts';
import { recordKind } from '../../src/transport/record.ts';
import { releaseRingBytes } from '../../src/transport/session-memory.ts';
import { openDescriptors } from '../support/descriptors.ts';
import { waitUntil } from '../support/wait-until.ts';
import { arenaBytes, library, type ReaderSession, type ShelfSession } from './library.ts';
import { Court, holder } from './pair.ts';
import { RawClient } from './raw-client.ts';

interface End {
  type: string;
  reason?: string;
  error?: { code: string; message: string };
}

const segmentBytes = 256 * 1024;
const messageBytes = 100;
/** Where the only block stands: behind the segment's first line and its own header. */
const offset = 192;
const generation = 5;

describe('a peer that is corrupt about memory', () => {
  let court: Court;
  let served: ShelfSession[];
  let ends: End[];
  let client: RawClient;
  let taken: Uint8Array[];
  const segments: NativeSegment[] = [];

  beforeEach(async () => {
    court = new Court();
    served = [];
    ends = [];
    taken = [];
    await court.runtime().serve(
      library.shelf,
      holder<ShelfSession>(
        (session) => {
          session.channels.pages.onBatch((batch) => taken.push(...batch));
          served.push(session);
        },
        (end) => ends.push(end as unknown as End),
      ),
    );
    client = new RawClient(court, library.shelf, 'reader');
    await client.logIn();
    await waitUntil('the session', () => served.length === 1);
  });
  afterEach(async () => {
    client.close();
    for (const segment of segments.splice(0)) segment.close();
    await court.close();
  });

  /** Sends a segment with one honest block of a hundred sevens. */
  function sendSegment(change: object = {}, fds?: (own: number) => number[]) {
    const segment = new (native().Segment)(segmentBytes);
    segments.push(segment);
    const { blockGenerationOffset, blockStartOffset, blockBytesOffset, blockAlign } = native().layout;
    const words = new Uint32Array(segment.buffer);
    const header = offset - blockAlign;
    words[(header + blockGenerationOffset) >> 2] = generation;
    words[(header + blockStartOffset) >> 2] = 0;
    words[(header + blockBytesOffset) >> 2] = messageBytes;
    new Uint8Array(segment.buffer, offset, messageBytes).fill(7);
    const frame = { t: 'memory', number: 0, scope: 'session', bytes: segment.bytes, ...change };
    client.send(frame, fds ? fds(segment.fd) : [segment.fd]);
  }

  /** Sends a reference to that block as a message. */
  function sendReference(change: Partial<Record<number, number>> = {}, bytes = 28) {
    const words = Uint32Array.of(0, 1, 0, offset, 0, messageBytes, generation);
    for (const [at, value] of Object.entries(change)) words[Number(at)] = value!;
    const lane = client.lane('pages');
    lane.write(recordKind.block, 0, new Uint8Array(words.buffer, 0, bytes), bytes);
    lane.publish();
    client.ring();
    return lane;
  }

  function release(slot: number, generationOfSlot: number, kind: number = recordKind.release): void {
    const lane = client.releases;
    lane.writeNumbered(kind, 0, slot, new Uint8Array(Uint32Array.of(generationOfSlot).buffer), 4);
    lane.publish();
    client.ring();
  }

  async function hosed(why: RegExp, reason = 'protocol'): Promise<void> {
    await waitUntil('the end of the session', () => ends.length > 0);
    assert.deepInclude(ends[0], { type: 'session.hosed', reason });
    assert.match(ends[0]!.error!.message, why);
    await waitUntil('the connection to be closed', () => client.end !== undefined);
    // An honest client gets in and is answered.
    let session: ReaderSession | undefined;
    court.runtime().connect(
      library.reader,
      library.shelf,
      holder<ReaderSession>((opened) => {
        session = opened;
      }),
    );
    await waitUntil('an honest session', () => session !== undefined && served.length === 2);
    served[1]!.channels.pages.trySend(new Uint8Array(20_000).fill(3));
    assert.equal((await session!.channels.pages.receive())[0], 3);
  }

  it('and is honest is understood', async () => {
    sendSegment();
    sendReference();
    await waitUntil('the message', () => taken.length === 1);
    assert.deepEqual(taken[0], new Uint8Array(messageBytes).fill(7));
  });

  it('may send a reference before its segment: the lane waits for it, and keeps the order', async () => {
    const lane = sendReference();
    lane.write(recordKind.message, 0, Uint8Array.of(1), 1);
    lane.publish();
    client.ring();
    await waitUntil('the reference to be read', () => lane.unreadBytes() < 50);
    assert.lengthOf(taken, 0);
    assert.isUndefined(served[0]!.channels.pages.tryReceive());
    sendSegment();
    await waitUntil('both', () => taken.length === 2);
    assert.deepEqual(
      taken.map(({ length }) => length),
      [messageBytes, 1],
    );
    assert.lengthOf(ends, 0);
  });

  it('that never sends the segment loses nothing but its message', async () => {
    sendReference();
    await waitUntil('the reference to be read', () => client.lane('pages').unreadBytes() === 0);
    client.send({ t: 'goodbye', reason: 'enough' });
    await waitUntil('the end', () => ends.length > 0);
    assert.deepInclude(ends[0], { type: 'session.hosed', reason: 'peer.goodbye' });
    assert.lengthOf(taken, 0);
  });

  const references: [what: string, change: Partial<Record<number, number>>, why: RegExp][] = [
    ['a slot beyond all', { 0: 1 << 20 }, /beyond all limits/],
    ['a use of its slot that is past', { 1: 0 }, /released already/],
    ['a segment beyond all', { 2: 1 << 20 }, /beyond all limits/],
    ['an offset that is not aligned', { 3: offset + 1 }, /outside its segment/],
    ['an offset into the header of the segment', { 3: 64 }, /outside its segment/],
    ['an offset behind the segment', { 3: segmentBytes }, /outside its segment/],
    ['a start behind the segment', { 4: segmentBytes }, /outside its segment/],
    ['another length than its block', { 5: 50 }, /another length/],
    ['a length behind the segment', { 5: segmentBytes }, /outside its segment/],
    ['a length above the limit of the channel', { 5: 2 ** 32 - 1 }, /above the limit/],
    ['another generation', { 6: 6 }, /stale/],
    ['no generation', { 6: 0 }, /stale/],
  ];
  for (const [what, change, why] of references)
    it(`by a reference with ${what} loses its session, and only this one`, async () => {
      sendSegment();
      sendReference(change);
      await hosed(why);
    });

  it('by a reference that is cut off loses its session', async () => {
    sendSegment();
    sendReference({}, 24);
    await hosed(/a reference of another length/);
  });

  it('by the same reference twice loses its session', async () => {
    sendSegment();
    const lane = sendReference();
    const words = Uint32Array.of(0, 1, 0, offset, 0, messageBytes, generation);
    lane.write(recordKind.block, 0, new Uint8Array(words.buffer), 28);
    lane.publish();
    client.ring();
    await hosed(/released already/);
  });

  it('to whom more is given back than its slots, since it takes nothing of it, loses its session', async () => {
    sendSegment();
    // Each use of the one slot is honest; but it could only know that the slot is free by taking the release.
    const lane = client.lane('pages');
    const uses = Math.ceil(releaseRingBytes(4 + 256 + 8) / 16) + 1;
    for (let use = 1; use <= uses && ends.length === 0; use++) {
      const words = Uint32Array.of(0, use, 0, offset, 0, messageBytes, generation);
      lane.write(recordKind.block, 0, new Uint8Array(words.buffer), 28);
      lane.publish();
      client.ring();
      await waitUntil('its turn', () => taken.length === use || ends.length > 0);
    }
    await hosed(/the peer lends more than it may/, 'memory');
    assert.isAbove(taken.length, 4 + 256 + 8);
  });

  const frames: [what: string, send: () => void, why: RegExp, reason?: string][] = [
    ['out of order', () => sendSegment({ number: 1 }), /a segment out of order/, 'memory'],
    [
      'of another size',
      () => sendSegment({ bytes: segmentBytes - 4096 }),
      /another size than announced/,
      'memory',
    ],
    ['above the limit', () => sendSegment({ bytes: arenaBytes + 4096 }), /more memory than the/, 'memory'],
    ['of another scope', () => sendSegment({ scope: 'all' }), /scope is all/],
    ['without a size', () => sendSegment({ bytes: 'large' }), /bytes is not a whole number/],
    ['without its descriptor', () => sendSegment({}, () => []), /0 descriptors instead of 1/],
    ['with two descriptors', () => sendSegment({}, (fd) => [fd, fd]), /2 descriptors instead of 1/],
    ['that is no memory', () => sendSegment({}, () => [0]), /refused: not a memory file/, 'memory'],
    [
      'that is a segment of another kind',
      () => sendSegment({ bytes: 0 }, () => [client.fds[0]!]),
      /refused/,
      'memory',
    ],
  ];
  for (const [what, send, why, reason] of frames)
    it(`by a segment ${what} loses its session, and leaves no descriptor`, async () => {
      const before = openDescriptors().size;
      send();
      await waitUntil('the end of the session', () => ends.length > 0);
      await waitUntil('its descriptors to be closed', () => openDescriptors().size <= before + 1);
      await hosed(why, reason);
    });

  const releases: [what: string, send: () => void][] = [
    ['of what was never lent', () => release(0, 1)],
    ['of a slot beyond all', () => release(2 ** 31 - 1, 1)],
    ['of another kind', () => release(0, 1, recordKind.message)],
  ];
  for (const [what, send] of releases)
    it(`by a release ${what} loses its session, and only this one`, async () => {
      send();
      await hosed(/a release of what was not lent/, 'memory');
    });

  it('by a second release of what it had loses its session, and the first one counts', async () => {
    const { pages } = served[0]!.channels;
    pages.loan(100).trySend();
    release(0, 1);
    await waitUntil('the release', () => pages.stats().loans === 0);
    release(0, 1);
    await hosed(/the peer's releases: a release of what was not lent/, 'memory');
  });
});
