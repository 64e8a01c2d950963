// What a node hears of a topic by the engine, message by message: here the sender and what lies between are played, since what matters is what
// comes in which order.
import { assert } from 'chai';
import type { Frame } from '../../src/transport/frame.ts';
import { newNodeId } from '../../src/transport/nats-address.ts';
import type { NatsConnection } from '../../src/transport/nats-connection.ts';
import { NatsSubscription } from '../../src/transport/nats-subscription.ts';
import { waitUntil } from '../support/wait-until.ts';

describe('a subscription by the engine', () => {
  const sender = newNodeId('relay');
  let said: Frame[];
  let heard: unknown[];
  let gaps: number;
  let subscription: NatsSubscription;
  beforeEach(() => {
    said = [];
    heard = [];
    gaps = 0;
    const link = { there: true, say: (_id: string, frame: Frame) => void said.push(frame) };
    subscription = new NatsSubscription({
      link: link as unknown as NatsConnection,
      id: newNodeId('front'),
      topic: 'news',
      guarded: (call) => call(),
    });
    const onGap = (messages: number) => {
      gaps += messages;
    };
    subscription.listeners.add({ listener: (message) => heard.push(message), onGap });
  });
  afterEach(() => subscription.end());
  const message = (n: number, e = 1) =>
    subscription.onMessage({ t: 'm', id: sender, from: 'r', topic: 'news', e, n, body: n }, 10);
  const asked = () => said.filter(({ t }) => t === 'again').map(({ from, to }) => [from, to]);

  it('holds what comes too early, asks for what is missing, and hands on in order', () => {
    for (const n of [1, 2, 5, 4]) message(n);
    assert.deepEqual(heard, [1, 2]);
    assert.deepEqual(asked(), [[3, 4]]);
    message(3);
    assert.deepEqual(heard, [1, 2, 3, 4, 5]);
    assert.equal(gaps, 0);
  });

  it('begins with the first message of a sender that it has not known', () => {
    message(40);
    assert.deepEqual(heard, [40]);
    assert.deepEqual(asked(), []);
  });

  it('knows a sender again that was gone for a while, and what it has missed of it', async () => {
    for (const n of [1, 2, 3]) message(n);
    subscription.gone(sender);
    message(10);
    assert.deepEqual(asked(), [[4, 9]]);
    for (const n of [4, 5, 6, 7, 8, 9]) message(n);
    assert.deepEqual(heard, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    subscription.gone(sender);
    subscription.came(sender);
    message(20);
    subscription.onGone({ t: 'gone', id: sender, topic: 'news', e: 1, to: 19 });
    assert.deepEqual([heard.at(-1), gaps], [20, 9]);
  });

  it('asks as long as something comes, and tells the loss when nothing does', async function () {
    this.timeout(20_000);
    message(1);
    message(20);
    // One at a time, each only when it is asked for again.
    for (let n = 2; n < 12; n++) {
      const before = asked().length;
      message(n);
      await waitUntil('the next question', () => asked().length > before);
      assert.equal(gaps, 0);
    }
    await waitUntil('the loss', () => gaps === 8);
    assert.deepEqual(heard.slice(-2), [11, 20]);
  });
});
