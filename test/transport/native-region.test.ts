import { closeSync, openSync, readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { assert } from 'chai';
import { segmentKind } from '../../src/transport/link.ts';
import { type NativePacket, type NativeRegion, native, nativeCode } from '../../src/transport/native.ts';
import { isOpen, openDescriptors } from '../support/descriptors.ts';
import { startFixture } from '../support/fixture.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { waitUntil } from '../support/wait-until.ts';

const addonPath = fileURLToPath(new URL('../../build/Release/actor_ipc.node', import.meta.url));
const regionBytes = 1_000_000;

function codeOf(call: () => unknown): string | undefined {
  try {
    call();
  } catch (error) {
    return nativeCode(error);
  }
  return assert.fail('nothing was thrown');
}

const bytesOf = (text: string) => new TextEncoder().encode(text);
const newPacket = (): NativePacket => ({ block: 0, bytes: null, deliveries: 0 });

/** The next packet as text, acknowledged at once; undefined if the pipe is empty. */
function next(region: NativeRegion, pipe: number): string | undefined {
  const packet = newPacket();
  return region.dequeue(pipe, packet, false, false) === 0 ? Buffer.from(packet.bytes!).toString() : undefined;
}

describe('a native Region', () => {
  let region: NativeRegion;
  let words: number;

  beforeEach(() => {
    region = new (native().Region)(regionBytes);
    region.join();
    words = region.pipe('words', 4);
  });

  afterEach(() => region.close());

  function attach(): NativeRegion {
    return new (native().Region)(native().dupFd(region.fd), 2 ** 30);
  }

  it('is as large as asked for, and new with each creation', () => {
    const other = new (native().Region)(regionBytes);
    assert.isAtLeast(region.bytes, regionBytes);
    assert.match(region.generation, /^[0-9a-f]{32}$/);
    assert.notEqual(other.generation, region.generation);
    assert.isTrue(isOpen(region.fd));
    const attached = attach();
    assert.equal(attached.generation, region.generation);
    assert.equal(attached.bytes, region.bytes);
    assert.equal(attached.slot, -1);
    for (const one of [other, attached]) one.close();
  });

  it('refuses sizes and descriptors that are none, and closes what it was given', () => {
    const { Region, Segment, dupFd } = native();
    for (const bytes of [0, 65535, 2 ** 34 + 1, Number.MAX_SAFE_INTEGER])
      assert.equal(
        codeOf(() => new Region(bytes)),
        'TOO_LARGE',
      );
    for (const bytes of [-1, 1.5, Number.NaN, Infinity, '65536', null, {}])
      assert.throws(() => new Region(bytes as number), TypeError);
    const segment = new Segment(segmentKind.session, [65536], 0);
    const file = openSync('/dev/null', 'r+');
    const refused: [from: number, bytesMax: number, code: string][] = [
      [segment.fd, 2 ** 30, 'SYSTEM'],
      [file, 2 ** 30, 'BAD_SEGMENT'],
      [region.fd, region.bytes - 1, 'TOO_LARGE'],
    ];
    for (const [from, bytesMax, code] of refused) {
      const fd = dupFd(from);
      assert.equal(
        codeOf(() => new Region(fd, bytesMax)),
        code,
      );
      assert.isFalse(isOpen(fd));
    }
    assert.equal(
      codeOf(() => new Region(-1, 1)),
      'SYSTEM',
    );
    closeSync(file);
    segment.close();
  });

  it('hands each packet to one of its users, in the order of sending', () => {
    const other = attach();
    other.join();
    assert.equal(other.pipe('words', 0), words);
    for (const text of ['a', 'b', '', 'd']) assert.equal(region.enqueue(words, bytesOf(text), false), 0);
    assert.equal(region.enqueue(words, bytesOf('e'), false), 1);
    assert.equal(next(other, words), 'a');
    assert.equal(next(region, words), 'b');
    assert.equal(next(other, words), '');
    assert.equal(next(other, words), 'd');
    assert.isUndefined(next(other, words));
    assert.deepInclude(region.pipeStats(words), { capacity: 4, packets: 0, enqueued: 4, dequeued: 4 });
    other.close();
    assert.equal(region.users().length, 1);
  });

  it('gives the memory of a packet back at once, whatever its size', () => {
    const pristine = region.stats();
    assert.isTrue(pristine.pristine);
    for (const bytes of [0, 1, 4096, 4097, 300_000]) {
      const sent = new Uint8Array(bytes).map((_, i) => i);
      assert.equal(region.enqueue(words, sent, false), 0);
      assert.isFalse(region.stats().pristine);
      const packet = newPacket();
      assert.equal(region.dequeue(words, packet, false, false), 0);
      assert.deepEqual(Buffer.from(packet.bytes!), Buffer.from(sent));
      assert.equal(packet.block, 0);
      assert.deepEqual(region.stats(), pristine);
    }
  });

  it('keeps a packet that is not acknowledged, and hands out a rejected one again', () => {
    region.enqueue(words, bytesOf('a'), false);
    const packet = newPacket();
    assert.equal(region.dequeue(words, packet, true, false), 0);
    assert.equal(packet.deliveries, 1);
    assert.deepInclude(region.pipeStats(words), { packets: 0, unacknowledged: 1 });
    assert.equal(Buffer.from(region.view(packet.block)).toString(), 'a');
    assert.equal(region.reject(packet.block), 0);
    assert.equal(region.dequeue(words, packet, true, false), 0);
    assert.equal(packet.deliveries, 2);
    assert.equal(region.ack(packet.block), 0);
    assert.throws(() => region.ack(packet.block), RangeError);
    assert.isTrue(region.stats().pristine);
  });

  it('puts one block into many pipes without a copy', () => {
    const more = region.pipe('more', 4);
    const block = region.construct(bytesOf('hello'));
    for (const pipe of [words, more]) assert.equal(region.enqueueBlock(pipe, block, false), 0);
    assert.equal(region.release(block), 0);
    assert.equal(region.stats().blocks, 1);
    const packet = newPacket();
    assert.equal(region.dequeueBlock(words, packet, false), 0);
    assert.isNull(packet.bytes);
    assert.equal(Buffer.from(region.view(packet.block)).toString(), 'hello');
    assert.equal(next(region, more), 'hello');
    assert.equal(region.release(packet.block), 0);
    assert.throws(() => region.view(packet.block), RangeError);
    assert.isTrue(region.stats().pristine);
  });

  it('says so when its memory is used up, and is unharmed', () => {
    const big = new Uint8Array(400_000);
    for (let i = 0; i < 2; i++) assert.equal(region.enqueue(words, big, false), 0);
    assert.equal(
      codeOf(() => region.enqueue(words, big, true)),
      'NO_MEMORY',
    );
    assert.equal(
      codeOf(() => region.construct(big)),
      'NO_MEMORY',
    );
    assert.equal(region.enqueue(words, bytesOf('small'), false), 0);
    for (const bytes of [400_000, 400_000, 5]) assert.equal(next(region, words)!.length, bytes);
    assert.isTrue(region.stats().pristine);
  });

  it('tells of pipes that are missing, different, too many or without a name', () => {
    assert.equal(region.pipe('none', 0), -1);
    assert.equal(
      codeOf(() => region.pipe('words', 5)),
      'MISMATCH',
    );
    for (const name of ['', 'x'.repeat(65), 'ä'.repeat(33)])
      assert.equal(
        codeOf(() => region.pipe(name, 1)),
        'TOO_LARGE',
      );
    for (let i = 1; i < 64; i++) region.pipe(`${i}`, 1);
    assert.equal(
      codeOf(() => region.pipe('one too many', 1)),
      'FULL',
    );
  });

  it('tells whom to ring, once', () => {
    const other = attach();
    other.join();
    const packet = newPacket();
    assert.equal(other.dequeue(words, packet, false, true), 1);
    region.enqueue(words, bytesOf('a'), false);
    assert.deepEqual(region.takeRings(), [other.slot]);
    assert.deepEqual(region.takeRings(), []);
    assert.equal(other.unwait(words), 0);
    assert.deepEqual(other.takeRings(), []);
    other.close();
  });

  it('gives back what a killed process had, once that is proven', async () => {
    region.pipe('idle', 4);
    for (const text of ['a', 'b', 'c']) region.enqueue(words, bytesOf(text), false);
    using program = startFixture('transport/region-user.ts', [], { fds: [region.fd] });
    const user = await waitUntil('the other process has joined and waits', () => {
      const found = region.users().find(({ pid }) => pid === program.child.pid);
      // Its own block is the last thing that it takes, but for the wait.
      return region.stats().blocks === 4 ? found : undefined;
    });
    assert.equal(
      codeOf(() => region.recover(user.slot, user.pid, user.startTicks)),
      'BUSY',
    );
    program.child.kill('SIGKILL');
    await program.end;
    assert.equal(region.recover(user.slot, user.pid, user.startTicks), 0);
    assert.include(region.takeRings(), region.slot);
    assert.equal(region.users().length, 1);
    const packet = newPacket();
    assert.equal(region.dequeue(words, packet, false, false), 0);
    assert.equal(Buffer.from(packet.bytes!).toString(), 'a');
    assert.equal(packet.deliveries, 2);
    assert.equal(next(region, words), 'c');
    assert.isTrue(region.stats().pristine);
    assert.equal(region.recover(user.slot, user.pid, user.startTicks), 0);
  });

  for (const end of ['return', 'exit', 'throw', 'terminate']) {
    it(`is left by a worker thread that ends without leaving, by ${end}, and who waits is rung`, async () => {
      using folder = temporaryFolder();
      const prefix = join(folder.path, 'user-');
      const bell = new (native().Bell)(`${prefix}${region.slot}.bell`);
      let rung = 0;
      bell.listen((why) => {
        rung = why;
      });
      region.enqueue(words, bytesOf('a'), false);
      const worker = new Worker(new URL('../fixtures/transport/region-worker.mjs', import.meta.url), {
        workerData: { addon: addonPath, fd: native().dupFd(region.fd), end, prefix },
      });
      worker.on('error', () => undefined);
      const exited = new Promise((resolve) => worker.once('exit', resolve));
      await new Promise((resolve) => worker.once('message', resolve));
      // The worker may be stopped with the lock in hand: 2 is the answer then.
      await waitUntil(
        'a packet that is not ours yet',
        () => region.dequeue(words, newPacket(), false, true) === 1,
      );
      worker.postMessage('end');
      if (end === 'terminate') await worker.terminate();
      await exited;
      await waitUntil('a ring', () => rung === 1);
      bell.close();
      assert.equal(region.users().length, 1);
      assert.equal(next(region, words), 'a');
      assert.isTrue(region.stats().pristine);
    });
  }

  it('answers that it makes no sense where a user slot says what no process can be', () => {
    const { startTicks } = region.users()[0]!;
    const ticks = Buffer.from(BigUint64Array.of(BigInt(startTicks)).buffer);
    const at = readFileSync(`/proc/self/fd/${region.fd}`).indexOf(ticks);
    writeSync(region.fd, Buffer.alloc(4, 0xff), 0, 4, at + 4);
    assert.equal(
      codeOf(() => region.users()),
      'BAD_LAYOUT',
    );
  });

  it('leaves a buffer that somebody has transferred alone when it is closed', () => {
    const view = region.view(region.construct(bytesOf('mine')));
    const place = view.byteOffset;
    const moved = structuredClone(view.buffer, { transfer: [view.buffer as ArrayBuffer] });
    region.close();
    assert.equal(Buffer.from(moved, place, 4).toString(), 'mine');
  });

  it('does nothing with what is of the wrong kind, or names nothing of ours', () => {
    const packet = newPacket();
    const block = region.construct(bytesOf('x'));
    const wild = region as unknown as Record<string, (...args: unknown[]) => unknown>;
    for (const bad of [undefined, null, 'text', {}, Number.NaN, -1, 1.5, 2 ** 60]) {
      for (const call of ['ack', 'reject', 'release', 'view', 'unwait', 'pipeStats'])
        assert.throws(() => wild[call]!(bad), TypeError);
      assert.throws(() => wild.enqueue!(bad, bytesOf('x'), false), TypeError);
      assert.throws(() => wild.enqueue!(words, bad, false), TypeError);
      assert.throws(() => wild.enqueue!(words, bytesOf('x'), bad), TypeError);
      assert.throws(() => wild.construct!(bad), TypeError);
      assert.throws(() => wild.dequeue!(bad, packet, false, false), TypeError);
      assert.throws(() => wild.pipe!('x', bad), TypeError);
      assert.throws(() => wild.recover!(bad, 1, 1), TypeError);
    }
    for (const bytes of [new Uint16Array(2), new ArrayBuffer(2), new DataView(new ArrayBuffer(2)), [1, 2]])
      assert.throws(() => wild.enqueue!(words, bytes, false), TypeError);
    for (const target of [undefined, null, 5, 'text'])
      assert.throws(() => wild.dequeue!(words, target, false, false), TypeError);
    for (const pipe of [63, 64, 2 ** 32 - 1]) {
      assert.throws(() => region.enqueue(pipe, bytesOf('x'), false), RangeError);
      assert.throws(() => region.dequeue(pipe, packet, false, false), RangeError);
      assert.throws(() => region.unwait(pipe), RangeError);
      assert.throws(() => region.pipeStats(pipe), RangeError);
    }
    for (const number of [0, block + 1, Number.MAX_SAFE_INTEGER])
      for (const call of ['ack', 'reject', 'release', 'view'])
        assert.throws(() => wild[call]!(number), RangeError);
    assert.throws(() => region.ack(block), RangeError);
    assert.throws(() => region.enqueueBlock(words, block + 1, false), RangeError);
    assert.throws(() => region.recover(64, 1, 1), RangeError);
    const addon = native() as unknown as { Region(bytes: number): unknown };
    assert.throws(() => addon.Region(regionBytes), TypeError);
    const foreign = region.enqueue as (...args: unknown[]) => unknown;
    for (const self of [undefined, {}, native()])
      assert.throws(() => foreign.call(self, 0, bytesOf('x'), false));
    assert.equal(region.release(block), 0);
    assert.isTrue(region.stats().pristine);
  });

  it('survives a packet object whose setters close the region', () => {
    region.enqueue(words, bytesOf('a'), false);
    const trap = {
      set block(_: number) {
        region.close();
      },
      bytes: null as Uint8Array | null,
      deliveries: 0,
    } as NativePacket;
    assert.equal(region.dequeue(words, trap, true, false), 0);
    assert.equal(Buffer.from(trap.bytes!).toString(), 'a');
  });

  it('has nothing for those who have not joined or have left', () => {
    const stranger = attach();
    const packet = newPacket();
    const calls = [
      () => stranger.enqueue(words, bytesOf('x'), false),
      () => stranger.dequeue(words, packet, false, false),
      () => stranger.construct(bytesOf('x')),
      () => stranger.unwait(words),
    ];
    for (const call of calls) assert.equal(codeOf(call), 'CLOSED');
    assert.equal(stranger.stats().users, 1);
    stranger.join();
    stranger.join();
    const block = stranger.construct(bytesOf('x'));
    stranger.leave();
    stranger.leave();
    for (const call of calls) assert.equal(codeOf(call), 'CLOSED');
    assert.throws(() => stranger.release(block), RangeError);
    assert.isTrue(region.stats().pristine);
    stranger.close();
  });

  it('is empty for everybody once it is closed, and closes twice', () => {
    const { fd } = region;
    const block = region.construct(bytesOf('hello'));
    const view = region.view(block);
    assert.equal(view.length, 5);
    const other = attach();
    region.close();
    region.close();
    assert.equal(view.length, 0);
    assert.equal(region.bytes, 0);
    assert.equal(region.slot, -1);
    assert.isFalse(isOpen(fd));
    for (const call of [
      () => region.join(),
      () => region.leave(),
      () => region.users(),
      () => region.pipe('words', 0),
      () => region.enqueue(words, bytesOf('x'), false),
      () => region.dequeue(words, newPacket(), false, false),
      () => region.dequeueBlock(words, newPacket(), false),
      () => region.ack(block),
      () => region.reject(block),
      () => region.release(block),
      () => region.view(block),
      () => region.construct(bytesOf('x')),
      () => region.enqueueBlock(words, block, false),
      () => region.unwait(words),
      () => region.takeRings(),
      () => region.recover(0, 1, 1),
      () => region.stats(),
      () => region.pipeStats(words),
    ])
      assert.equal(codeOf(call), 'CLOSED');
    assert.isTrue(other.stats().pristine);
    other.close();
  });

  it('is closed and left once nobody can reach it', async () => {
    const before = openDescriptors().size;
    (() => {
      for (let i = 0; i < 8; i++) attach().join();
    })();
    assert.equal(region.stats().users, 9);
    await waitUntil('only one user is left', () => {
      // Garbage enough that the collector comes round.
      new Array(100_000).fill(() => undefined);
      return region.stats().users === 1;
    });
    assert.equal(openDescriptors().size, before);
  });
});
