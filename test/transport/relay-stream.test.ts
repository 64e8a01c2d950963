import { assert } from 'chai';
import fc from 'fast-check';
import { encodeFrame } from '../../src/transport/frame.ts';
import {
  controlBytes,
  helloBytesMax,
  messageHead,
  RelayStream,
  relayFrameBytesMax,
} from '../../src/transport/relay-stream.ts';
import { Random } from '../support/random.ts';

interface Seen {
  readonly stream: RelayStream;
  readonly frames: (string | [number, string])[];
}

function stream(bytesMax = relayFrameBytesMax): Seen {
  const frames: Seen['frames'] = [];
  const made = new RelayStream({
    control: (body) => frames.push(body.toString()),
    message: (number, body) => frames.push([number, body.toString()]),
  });
  made.bytesMax = bytesMax;
  return { stream: made, frames };
}

const message = (number: number, text: string) =>
  Buffer.concat([messageHead(number, Buffer.byteLength(text)), Buffer.from(text)]);

describe('a relay stream', () => {
  it('finds all frames wherever the stream is cut', () => {
    const texts = fc.array(fc.string({ unit: 'binary', maxLength: 300 }), { maxLength: 12 });
    fc.assert(
      fc.property(texts, fc.array(fc.integer({ min: 1, max: 64 }), { minLength: 1 }), (bodies, cuts) => {
        const { stream: made, frames } = stream();
        const bytes = Buffer.concat(bodies.map((body, i) => message(i + 1, body)));
        for (let at = 0, i = 0; at < bytes.length; i++) {
          const end = at + cuts[i % cuts.length]!;
          made.push(bytes.subarray(at, end));
          at = end;
        }
        assert.deepEqual(
          frames,
          bodies.map((body, i) => [i + 1, body]),
        );
        assert.equal(made.waiting, 0);
      }),
    );
  });

  it('takes three frames in one packet, with braces and characters of many bytes', () => {
    const { stream: made, frames } = stream();
    made.push(
      Buffer.concat([message(1, '}{'), controlBytes(Buffer.from('x')), message(2 ** 48 - 1, '€ü}{')]),
    );
    assert.deepEqual(frames, [[1, '}{'], 'x', [2 ** 48 - 1, '€ü}{']]);
  });

  it('keeps half a frame, and no more than a frame', () => {
    const { stream: made, frames } = stream();
    made.push(message(1, 'x'.repeat(1_000)).subarray(0, 500));
    assert.deepEqual(frames, []);
    assert.equal(made.waiting, 500);
  });

  it('refuses a frame by its length, before anything of it is kept', () => {
    for (const length of [0, relayFrameBytesMax + 1, 0xffffffff]) {
      const head = Buffer.alloc(5);
      head.writeUInt32BE(length);
      assert.throws(() => stream().stream.push(head), /a frame of \d+ bytes/);
    }
  });

  it('lets a stranger say little', () => {
    const { stream: made, frames } = stream(helloBytesMax);
    assert.throws(() => made.push(message(1, 'x'.repeat(helloBytesMax))), /4096 are allowed/);
    assert.deepEqual(frames, []);
  });

  it('refuses kinds that are none, and a message without a number', () => {
    assert.throws(() => stream().stream.push(Buffer.from([0, 0, 0, 1, 7])), /unknown kind 7/);
    assert.throws(() => stream().stream.push(Buffer.from([0, 0, 0, 2, 1, 0])), /without its number/);
  });

  it('hands over nothing after it was stopped, even of the same packet', () => {
    const frames: number[] = [];
    const made: RelayStream = new RelayStream({
      control() {},
      message: (number) => {
        frames.push(number);
        made.stop();
      },
    });
    made.push(Buffer.concat([message(1, 'a'), message(2, 'b')]));
    made.push(message(3, 'c'));
    assert.deepEqual(frames, [1]);
  });

  it('survives garbage: it throws or waits, and keeps no more than a frame', () => {
    const random = new Random(41);
    for (let round = 0; round < 500; round++) {
      const { stream: made } = stream(helloBytesMax);
      try {
        for (let i = 0; i < 20; i++) made.push(Buffer.from(random.bytes(random.below(400) + 1)));
      } catch {
        // As it should.
      }
      assert.isAtMost(made.waiting, helloBytesMax + 400 + 4);
    }
  });

  it('says what a frame of ours looks like', () => {
    const frame = controlBytes(encodeFrame({ t: 'beat' }));
    assert.equal(frame.readUInt32BE(), frame.length - 4);
    assert.equal(frame[4], 0);
  });
});
