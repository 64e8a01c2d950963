import { assert } from 'chai';
import fc from 'fast-check';
import { lineRoom, lineWindow, RelayLine } from '../../src/transport/relay-line.ts';

const body = (text: string) => new TextEncoder().encode(text);
const textOf = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

function pumped(line: RelayLine): [number, string][] {
  const sent: [number, string][] = [];
  line.pump((number, bytes) => sent.push([number, textOf(bytes)]));
  return sent;
}

describe('a relay line', () => {
  it('sends nothing before a peer has said how much it takes', () => {
    const line = new RelayLine();
    assert.isTrue(line.push(body('a')));
    assert.deepEqual(pumped(line), []);
    line.restart(lineWindow);
    assert.deepEqual(pumped(line), [[1, 'a']]);
  });

  it('stops at the window, in messages and in bytes, and goes on with each confirmation', () => {
    const line = new RelayLine();
    line.restart({ messages: 2, bytes: 1_000 });
    for (const each of ['a', 'b', 'c', 'd']) line.push(body(each));
    assert.deepEqual(pumped(line), [
      [1, 'a'],
      [2, 'b'],
    ]);
    line.confirm(1);
    assert.deepEqual(pumped(line), [[3, 'c']]);
    const narrow = new RelayLine();
    narrow.restart({ messages: 100, bytes: 10 });
    // One message may be larger than the window: else it would stand there for ever.
    for (const each of ['x'.repeat(20), 'y', 'z']) narrow.push(body(each));
    assert.lengthOf(pumped(narrow), 1);
    narrow.confirm(1);
    assert.lengthOf(pumped(narrow), 2);
  });

  it('refuses what has no room, and counts it', () => {
    const line = new RelayLine({ messages: 2, bytes: 10 });
    assert.deepEqual(
      ['12345', '1234567', '1', '2'].map((each) => line.push(body(each))),
      [true, false, true, false],
    );
    assert.equal(line.stats.refused, 2);
    assert.equal(line.stats.waitingBytes, 6);
  });

  it('takes each message once, and no gap', () => {
    const line = new RelayLine();
    assert.deepEqual(
      [1, 2, 2, 1, 3].map((number) => line.take(number)),
      [true, true, false, false, true],
    );
    assert.equal(line.stats.duplicates, 2);
    assert.throws(() => line.take(5), /message 5 came after message 3/);
  });

  it('believes no confirmation and no resumption that can be none', () => {
    const line = new RelayLine();
    line.restart(lineWindow);
    line.push(body('a'));
    assert.throws(() => line.confirm(1), /not sent/);
    pumped(line);
    line.confirm(1);
    assert.throws(() => line.resume(2, lineWindow), /never sent/);
    assert.throws(() => line.resume(0, lineWindow), /it had confirmed/);
  });

  it('counts as lost what was under way to a peer that has lost its memory, and sends the rest', () => {
    const line = new RelayLine();
    line.restart({ messages: 2, bytes: 1_000 });
    for (const each of ['a', 'b', 'c']) line.push(body(each));
    pumped(line);
    line.confirm(1);
    assert.equal(line.restart(lineWindow), 1);
    assert.deepEqual(pumped(line), [[1, 'c']]);
    assert.equal(line.stats.lost, 1);
  });

  it('loses and doubles nothing, whenever it is cut', () => {
    // Two lines and a network that carries frames in order until it is cut, which drops all that is on it.
    const step = fc.oneof(
      { weight: 5, arbitrary: fc.constant('push') },
      { weight: 4, arbitrary: fc.constant('carry') },
      { weight: 3, arbitrary: fc.constant('confirm') },
      { weight: 1, arbitrary: fc.constant('cut') },
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), fc.integer({ min: 1, max: 8 }), (steps, messages) => {
        const window = { messages, bytes: 64 };
        const from = new RelayLine();
        const to = new RelayLine();
        from.restart(window);
        to.restart(window);
        let network: [number, Uint8Array][] = [];
        let confirmations: number[] = [];
        const got: string[] = [];
        let pushed = 0;
        const carry = () => {
          const next = network.shift();
          if (next && to.take(next[0])) got.push(textOf(next[1]));
        };
        const confirm = () => {
          const number = to.confirmation();
          if (number !== undefined) confirmations.push(number);
          const first = confirmations.shift();
          if (first !== undefined) from.confirm(first);
        };
        for (const each of steps) {
          if (each === 'push') from.push(body(`${pushed++}`));
          else if (each === 'carry') carry();
          else if (each === 'confirm') confirm();
          else {
            network = [];
            confirmations = [];
            from.resume(to.received, window);
            to.resume(from.received, window);
          }
          from.pump((number, bytes) => network.push([number, bytes]));
          assert.isAtMost(network.length, messages);
        }
        while (!from.empty) {
          carry();
          confirm();
          from.pump((number, bytes) => network.push([number, bytes]));
        }
        assert.deepEqual(
          got,
          Array.from({ length: pushed }, (_, i) => `${i}`),
        );
        assert.equal(from.stats.lost, 0);
        assert.equal(from.stats.waitingBytes, 0);
      }),
      { numRuns: 300 },
    );
  });

  it('has room for what its window lets through', () => {
    assert.isAbove(lineRoom.messages, lineWindow.messages);
    assert.isAbove(lineRoom.bytes, lineWindow.bytes);
  });
});
