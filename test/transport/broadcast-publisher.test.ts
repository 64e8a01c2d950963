// The two ends of a broadcast over a session's link, without sockets: what one side says in its words is all that the other
// knows, so here a side can lie.
import { assert } from 'chai';
import { IpcError } from '../../src/errors.ts';
import { type BroadcastOptions, broadcast } from '../../src/spec/broadcast-spec.ts';
import { BroadcastPublisher } from '../../src/transport/broadcast-publisher.ts';
import { BroadcastSubscription } from '../../src/transport/broadcast-subscription.ts';
import type { Cursor } from '../../src/transport/cursor.ts';
import { Link } from '../../src/transport/link.ts';
import { native } from '../../src/transport/native.ts';
import { waitUntil } from '../support/wait-until.ts';

const capacity = 1024;
/** Of an encoded number with its header. */
const recordBytes = 32;
const ringRecords = capacity / recordBytes;
/** So that a test meets the end of the ring and of the 32-bit positions. */
const nearEnd = 2 ** 32 - 64;

class Pair {
  readonly publisher: BroadcastPublisher;
  readonly subscription: BroadcastSubscription;
  readonly server = new Link([native().layout.ringBytesMin]);
  readonly client = new Link([native().layout.ringBytesMin]);
  readonly broken: string[] = [];
  readonly #cause = IpcError.of('ERR_CHANNEL_CLOSED', 'ticks');

  constructor(options: Partial<BroadcastOptions>) {
    const spec = broadcast<number>({ capacityBytes: capacity, ...options });
    const { dupFd } = native();
    const [ofServer, ofClient] = [this.server.offer, this.client.offer];
    this.server.attach(ofClient.bytes, dupFd(ofClient.fds[0]), dupFd(ofClient.fds[1]));
    this.client.attach(ofServer.bytes, dupFd(ofServer.fds[0]), dupFd(ofServer.fds[1]));
    this.publisher = new BroadcastPublisher('ticks', spec, nearEnd);
    this.subscription = new BroadcastSubscription('ticks', spec, this.client, 0, {
      ask: (number) => {
        const { fd, ...admission } = this.publisher.admit(this.server, 0, number);
        queueMicrotask(() => this.subscription.accept({ number, ...admission }, dupFd(fd)));
      },
      admitted: () => {},
      dropped: () => {},
      leave: () => this.publisher.leave(this.server),
      broken: (why) => void this.broken.push(why),
    });
    this.server.start([]);
    this.client.start([]);
  }

  /** The words that the reader writes, for a reader that lies. */
  get cursor(): Cursor {
    return this.client.cursor(0);
  }

  fill(): number {
    let n = 0;
    while (this.publisher.tryPublish(n)) n++;
    return n;
  }

  close(): void {
    this.subscription.finish(this.#cause);
    this.publisher.finish(this.#cause);
    this.server.close();
    this.client.close();
  }
}

describe('BroadcastPublisher', () => {
  let pair: Pair;
  afterEach(() => pair.close());

  it('keeps its order and its history across the end of the positions', async () => {
    pair = new Pair({ history: 5 });
    for (let n = 0; n < 10; n++) pair.publisher.tryPublish(n);
    const received: number[] = [];
    pair.subscription.onBatch((messages, gap) => {
      assert.equal(gap, 0);
      received.push(...(messages as number[]));
    });
    await waitUntil('the history', () => received.length === 5);
    for (let n = 10; n < 20; n++) pair.publisher.tryPublish(n);
    await waitUntil('the rest', () => received.length === 15);
    assert.deepEqual(
      received,
      Array.from({ length: 15 }, (_, i) => i + 5),
    );
  });

  it('lets readers that block use the whole ring, and not a byte more', async () => {
    pair = new Pair({ reader: 'block' });
    await pair.subscription.subscribe();
    assert.equal(pair.fill(), ringRecords);
    assert.equal(pair.subscription.tryReceive()!.message, 0);
    assert.isTrue(pair.publisher.tryPublish(ringRecords));
    assert.isFalse(pair.publisher.tryPublish(-1));
  });

  it('counts a reader from its admission on, though it has not said yet where it stands', () => {
    pair = new Pair({ reader: 'block' });
    void pair.subscription.subscribe().catch(() => {});
    assert.equal(pair.fill(), ringRecords);
  });

  const lies: [title: string, bytes: number][] = [
    ['ahead of what there is', capacity + recordBytes],
    ['behind where it was', -recordBytes],
    ['half a world away', 2 ** 31],
  ];
  for (const [title, bytes] of lies)
    it(`believes no reader that says it stands ${title}`, async () => {
      pair = new Pair({ reader: 'block' });
      await pair.subscription.subscribe();
      pair.fill();
      pair.cursor.move((nearEnd + bytes) | 0);
      assert.isFalse(pair.publisher.tryPublish(-1));
      pair.cursor.move((nearEnd + recordBytes) | 0);
      assert.isTrue(pair.publisher.tryPublish(-1));
    });

  it('is not held up for ever by a reader that lies, if it says for how long', async () => {
    pair = new Pair({ reader: 'block', slowAfterMs: 20 });
    await pair.subscription.subscribe();
    pair.fill();
    pair.cursor.move((nearEnd - recordBytes) | 0);
    await pair.publisher.publish(-1);
    assert.deepInclude(pair.publisher.stats(), { dropped: 1, readers: 0 });
  });

  it('fails for all who wait when it is finished', async () => {
    pair = new Pair({ reader: 'block' });
    await pair.subscription.subscribe();
    pair.fill();
    const waiting = pair.publisher.publish(-1).catch((error) => error);
    const cause = IpcError.of('ERR_CHANNEL_CLOSED', 'ticks');
    pair.publisher.finish(cause);
    assert.strictEqual(await waiting, cause);
    assert.throws(() => pair.publisher.tryPublish(1), cause.message);
  });
});

describe('BroadcastSubscription', () => {
  let pair: Pair;
  afterEach(() => pair.close());

  it('refuses memory that is none of a broadcast of that size, and takes the descriptor', async () => {
    pair = new Pair({});
    const other = new BroadcastPublisher('other', broadcast({ capacityBytes: 2048 }));
    const { fd, ...admission } = other.admit(pair.server, 0, 1);
    const { subscription } = pair;
    const subscribed = subscription.subscribe();
    assert.throws(
      () => subscription.accept({ number: 1, ...admission }, native().dupFd(fd)),
      /its ring is not that of the broadcast/,
    );
    await subscribed;
    other.finish(IpcError.of('ERR_CHANNEL_CLOSED', 'other'));
  });

  it('ignores an answer to a subscription that it has given up', async () => {
    pair = new Pair({ reader: 'block' });
    const first = pair.subscription.subscribe().catch((error) => error.code);
    pair.subscription.unsubscribe();
    assert.equal(await first, 'ERR_CHANNEL_CLOSED');
    await pair.subscription.subscribe();
    pair.publisher.tryPublish(1);
    assert.deepEqual(await pair.subscription.receive(), { message: 1, gap: 0 });
    assert.equal(pair.publisher.stats().readers, 1);
  });
});
