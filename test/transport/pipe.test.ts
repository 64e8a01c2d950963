import { setMaxListeners } from 'node:events';
import { readFileSync, writeSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { assert } from 'chai';
import { type ErrorCode, IpcError } from '../../src/errors.ts';
import type { Pipe } from '../../src/spec/region.ts';
import { openRegion, type Region } from '../../src/transport/region.ts';
import { type TemporaryFolder, temporaryFolder } from '../support/temporary-folder.ts';
import { endsAtLimit } from '../support/transport/limit.ts';
import { type RegionUser, regionUser } from '../support/transport/region-user.ts';
import { waitUntil } from '../support/wait-until.ts';

async function assertRejects(promise: Promise<unknown>, code: ErrorCode, ...words: string[]) {
  try {
    await promise;
  } catch (error) {
    assert.instanceOf(error, IpcError, String(error));
    assert.equal((error as IpcError).code, code, (error as Error).message);
    for (const word of words) assert.include((error as IpcError).message, word);
    return;
  }
  assert.fail(`no ${code}`);
}

describe('a pipe', function () {
  this.timeout(90_000);
  let folder: TemporaryFolder;
  let region: Region;
  let opened: Region[];

  beforeEach(async () => {
    folder = temporaryFolder();
    opened = [];
    region = await open(1_000_000);
  });

  afterEach(async () => {
    for (const one of opened) await one.close();
    folder[Symbol.dispose]();
  });

  async function open(bytes?: number): Promise<Region> {
    const one = await openRegion(folder.path, 'market', bytes === undefined ? {} : { bytes });
    opened.push(one);
    return one;
  }

  const make = <T = unknown>(capacityPackets: number, name = 'p'): Promise<Pipe<T>> =>
    region.pipe<T>(name, { capacityPackets });

  function hammers(count: number): Disposable & { users: RegionUser[] } {
    const users = Array.from({ length: count }, () => regionUser('hammer', folder.path, 'p'));
    return {
      users,
      [Symbol.dispose]() {
        for (const user of users) user[Symbol.dispose]();
      },
    };
  }

  describe('limits', () => {
    it('full: a packet is in, or false after the limit and not later', async () => {
      const pipe = await make(4);
      for (let i = 0; i < 4; i++) assert.isTrue(await pipe.enqueue(i, { timeoutMs: 200 }));
      assert.isFalse(await endsAtLimit(200, () => pipe.enqueue(4, { timeoutMs: 200 })));
      assert.isFalse(pipe.tryEnqueue(4));
      assert.isFalse(await pipe.enqueue(4, { timeoutMs: 0 }));
    });

    it('empty: a packet, or undefined after the limit and not later', async () => {
      const pipe = await make(4);
      assert.isUndefined(await endsAtLimit(200, () => pipe.dequeue({ timeoutMs: 200 })));
      assert.isUndefined(pipe.tryDequeue());
      assert.isUndefined(await pipe.dequeue({ timeoutMs: 0 }));
    });

    it('under contention the limit counts from the call, not from the last wake-up', async () => {
      const pipe = await make<number>(1);
      const thief = await (await open()).pipe<number>('p');
      let thieving = true;
      const theft = (async () => {
        // Each packet wakes the one who waits, and is gone before it looks.
        while (thieving) {
          thief.tryEnqueue(1);
          thief.tryDequeue();
          await new Promise((resolve) => setImmediate(resolve));
        }
      })();
      assert.isUndefined(await endsAtLimit(200, () => pipe.dequeue({ timeoutMs: 200 })));
      thieving = false;
      await theft;
    });

    it('without one, calls wait and are served in their order', async () => {
      const pipe = await make<number>(1);
      const got = [pipe.dequeue(), pipe.dequeue(), pipe.dequeue()];
      const other = await (await open()).pipe<number>('p');
      const put = [1, 2, 3].map((i) => other.enqueue(i));
      assert.deepEqual(await Promise.all(put), [true, true, true]);
      assert.deepEqual(await Promise.all(got), [1, 2, 3]);
    });

    it('an aborted call rejects with the reason, and takes no packet', async () => {
      const pipe = await make<number>(1);
      const abort = new AbortController();
      const reason = new Error('enough');
      const waiting = pipe.dequeue({ signal: abort.signal });
      abort.abort(reason);
      assert.equal(await waiting.catch((error) => error), reason);
      assert.equal(await pipe.dequeue({ signal: abort.signal }).catch((error) => error), reason);
      assert.equal(await pipe.enqueue(1, { signal: abort.signal }).catch((error) => error), reason);
      await pipe.enqueue(7);
      assert.equal(await pipe.dequeue(), 7);
    });

    it('1,024 calls may wait at one side', async () => {
      const pipe = await make<number>(1);
      const abort = new AbortController();
      setMaxListeners(0, abort.signal);
      const waiting = Array.from({ length: 1024 }, () => pipe.dequeue({ signal: abort.signal }));
      await assertRejects(pipe.dequeue(), 'ERR_PIPE_BUSY', 'pipe p', '1024');
      abort.abort();
      await Promise.allSettled(waiting);
      assert.isUndefined(await pipe.dequeue({ timeoutMs: 1 }));
    });
  });

  describe('packets', () => {
    it('come out as they went in', async () => {
      const pipe = await make(16);
      const packets = [null, 0, '', 'é', [1, { a: true }], { nested: { list: [1.5] } }, Buffer.of(1, 2)];
      for (const packet of packets) await pipe.enqueue(packet);
      for (const packet of packets) assert.deepEqual(await pipe.dequeue(), packet);
      const bytes = await region.pipe<Uint8Array>('bytes', { capacityPackets: 1, codec: 'bytes' });
      await bytes.enqueue(Uint8Array.of(1, 2, 3));
      assert.deepEqual([...(await bytes.dequeue())!], [1, 2, 3]);
    });

    it('that wait for room are copied at the call', async () => {
      const pipe = await region.pipe<Uint8Array>('bytes', { capacityPackets: 1, codec: 'bytes' });
      const bytes = Uint8Array.of(1);
      await pipe.enqueue(bytes);
      const waiting = pipe.enqueue(bytes);
      bytes[0] = 9;
      assert.deepEqual([...(await pipe.dequeue())!], [1]);
      await waiting;
      assert.deepEqual([...(await pipe.dequeue())!], [1]);
    });

    it('that can not be expressed are refused with their path, and nothing has changed', async () => {
      const pipe = await make(4);
      const value = await region.construct('x');
      await assertRejects(pipe.enqueue({ a: [Symbol('x')] }), 'ERR_PACKET_INVALID', 'market/p', '$.a[0]');
      await assertRejects(pipe.enqueue(undefined), 'ERR_PACKET_INVALID', 'undefined');
      await assertRejects(pipe.enqueue({ value }), 'ERR_PACKET_INVALID', '$.value', 'a value of a region');
      const bytes = await region.construct(Buffer.of(1), 'bytes');
      await assertRejects(pipe.enqueue(bytes), 'ERR_PACKET_INVALID', 'bytes');
      value.release();
      bytes.release();
      assert.equal((await pipe.stats()).enqueued, 0);
      assert.isTrue((await region.stats()).pristine);
    });

    it('that are none of the codec are told to whom takes them, and are gone', async () => {
      const pipe = await make(4);
      const raw = await (await open()).pipe<Uint8Array>('p', { codec: 'bytes' });
      for (let i = 0; i < 2; i++) await raw.enqueue(Uint8Array.of(0xd9, 5));
      await assertRejects(pipe.dequeue(), 'ERR_PACKET_INVALID', 'market/p');
      await assertRejects(pipe.dequeue({ ack: true }), 'ERR_PACKET_INVALID');
      assert.isTrue((await region.stats()).pristine);
    });

    it('leave the memory as it was once they are taken', async () => {
      const pipe = await make<string>(4);
      const { used } = await region.stats();
      await pipe.enqueue('x'.repeat(10_000));
      assert.isAbove((await region.stats()).used, used + 10_000);
      await pipe.dequeue();
      const { used: after, pristine } = await region.stats();
      assert.deepEqual({ after, pristine }, { after: used, pristine: true });
    });

    it('for which the region has no memory are refused, and the pipe goes on', async () => {
      const pipe = await region.pipe<Uint8Array>('p', { capacityPackets: 100, codec: 'bytes' });
      const large = new Uint8Array(400_000);
      for (let i = 0; i < 2; i++) assert.isTrue(await pipe.enqueue(large));
      await assertRejects(pipe.enqueue(large), 'ERR_REGION_FULL', 'market', '400000 bytes');
      assert.isTrue(await pipe.enqueue(Uint8Array.of(1)));
      for (const bytes of [400_000, 400_000, 1]) assert.equal((await pipe.dequeue())!.length, bytes);
      assert.isTrue((await region.stats()).pristine);
    });
  });

  it('takes packets from the addon into memory of ours, whatever that is', async () => {
    const pipe = await region.pipe<Uint8Array>('p', { capacityPackets: 8, codec: 'bytes' });
    const { native } = region;
    const index = native.pipe('p', 0);
    const take = (scratch: unknown) => native.take(index, scratch as Uint8Array, false);
    for (let i = 0; i < 4; i++) await pipe.enqueue(Uint8Array.of(i, i));
    for (const wrong of [undefined, null, 1, 'text', {}, new ArrayBuffer(8), new Float64Array(8)])
      assert.throws(() => take(wrong), TypeError);
    assert.throws(() => native.take(63, new Uint8Array(8), false), RangeError);
    const scratch = new Uint8Array(2);
    assert.equal(take(scratch), 2);
    assert.deepEqual([...scratch], [0, 0]);
    assert.deepEqual([...(take(new Uint8Array(1)) as Uint8Array)], [1, 1]);
    const detached = new Uint8Array(8);
    structuredClone(detached, { transfer: [detached.buffer] });
    assert.deepEqual([...(take(detached) as Uint8Array)], [2, 2]);
    assert.equal(take(scratch), 2);
    assert.equal(take(scratch), -1);
    assert.isTrue((await region.stats()).pristine);
  });

  it('ends with its region once what stands in it makes no sense, and every call says why', async () => {
    const pipe = await make<string>(4);
    await pipe.enqueue('x');
    const waiting = (await make(4, 'empty')).dequeue();
    // Users, pipes and blocks: all but the lock.
    writeSync(region.native.fd, Buffer.alloc(500_000, 0xff), 0, 500_000, 8_192);
    await assertRejects(pipe.dequeue(), 'ERR_REGION_BROKEN', 'market');
    await assertRejects(waiting, 'ERR_REGION_BROKEN');
    await assertRejects(pipe.enqueue('x'), 'ERR_REGION_BROKEN');
    await assertRejects(region.stats(), 'ERR_REGION_BROKEN');
    await region.close();
  });

  describe('onPacket() and for await', () => {
    it('hand packets over as they come, in order', async () => {
      const pipe = await make<number>(8);
      const other = await (await open()).pipe<number>('p');
      const seen: number[] = [];
      const all = new Promise<void>((resolve) => {
        const stop = pipe.onPacket((packet) => {
          seen.push(packet);
          if (packet !== 999) return;
          stop();
          resolve();
        });
      });
      for (let i = 0; i < 1000; i++) await other.enqueue(i);
      await all;
      assert.deepEqual(seen, [...seen.keys()]);
      assert.equal(seen.length, 1000);
      await other.enqueue(1);
      assert.equal(await pipe.dequeue(), 1, 'it is not taken any more');
    });

    it('end with the pipe', async () => {
      const pipe = await make<number>(8);
      await pipe.enqueue(1);
      const seen: number[] = [];
      for await (const packet of pipe) {
        seen.push(packet);
        pipe.close();
      }
      assert.deepEqual(seen, [1]);
      assert.throws(() => pipe.tryDequeue(), /closed/);
      assert.equal((await (await make<number>(8)).stats()).packets, 0, 'it can be opened again');
    });
  });

  describe('between processes', () => {
    it('each packet goes to exactly one consumer, and the order of each producer is kept', async () => {
      const count = 34_000;
      const pipe = await make<unknown>(64);
      const consumers = Array.from({ length: 4 }, () => regionUser('consume', folder.path, 'p'));
      const producers = [0, 1, 2].map((id) => regionUser('produce', folder.path, 'p', id, count));
      for (const producer of producers) {
        const { code, stderr } = await producer.end;
        assert.equal(code, 0, stderr);
      }
      for (const _ of consumers) await pipe.enqueue(null);
      const seen = new Set<number>();
      for (const consumer of consumers) {
        const last = [-1, -1, -1];
        for (const [producer, sequence] of (await consumer.says()) as [number, number][]) {
          assert.isAbove(sequence, last[producer]!);
          last[producer] = sequence;
          seen.add(producer * count + sequence);
        }
        assert.equal((await consumer.end).code, 0);
      }
      assert.equal(seen.size, 3 * count);
      const { enqueued, dequeued } = await pipe.stats();
      assert.deepEqual({ enqueued, dequeued }, { enqueued: 3 * count + 4, dequeued: 3 * count + 4 });
      assert.isTrue((await region.stats()).pristine);
    });

    it('a middle side takes from one and puts into the next', async () => {
      const input = await make<unknown>(4, 'in');
      const output = await make<unknown>(4, 'out');
      using middle = regionUser('middle', folder.path, 'in', 'out');
      const put = (async () => {
        for (let sequence = 0; sequence < 100; sequence++) await input.enqueue({ sequence });
        await input.enqueue(null);
      })();
      const got: unknown[] = [];
      for await (const packet of output) {
        if (packet === null) break;
        got.push(packet);
      }
      await put;
      assert.deepEqual(
        got,
        Array.from({ length: 100 }, (_, sequence) => ({ sequence, my_sequence: sequence + 100 })),
      );
      assert.equal((await middle.end).code, 0);
    });

    it('a consumer that dies gives its packet back, with the number of deliveries', async () => {
      const pipe = await make<string>(2);
      const other = await pipe.enqueue('job').then(() => regionUser('take', folder.path, 'p'));
      using taker = other;
      assert.deepEqual(await taker.says(), { took: 'job', deliveries: 1 });
      assert.equal((await pipe.stats()).unacknowledged, 1);
      const next = pipe.dequeue({ ack: true });
      taker.child.kill('SIGKILL');
      const packet = (await next)!;
      assert.deepEqual([packet.value, packet.deliveries], ['job', 2]);
      packet.reject();
      packet.reject();
      {
        using again = (await pipe.dequeue({ ack: true }))!;
        assert.equal(again.deliveries, 3);
      }
      const last = (await pipe.dequeue({ ack: true }))!;
      assert.equal(last.deliveries, 4);
      last.ack();
      last.reject();
      assert.isTrue((await region.stats()).pristine);
    });

    it('a producer that is killed between its store and its ring strands nobody', async () => {
      const pipe = await make<string>(2);
      using producer = regionUser('silent', folder.path, 'p');
      await producer.says();
      const waiting = pipe.dequeue();
      producer.child.kill('SIGUSR2');
      assert.equal(await producer.says(), 'stored');
      producer.child.kill('SIGKILL');
      assert.equal(await waiting, 'last');
    });

    it('a process that joins while we wait, stores and is killed strands nobody either', async () => {
      const pipe = await make<string>(2);
      const waiting = pipe.dequeue();
      using producer = regionUser('silent', folder.path, 'p');
      await producer.says();
      producer.child.kill('SIGUSR2');
      await producer.says();
      producer.child.kill('SIGKILL');
      assert.equal(await waiting, 'last');
    });

    it('a consumer that is told of a packet and dies before it takes it strands nobody', async () => {
      const pipe = await make<string>(2);
      using deaf = regionUser('deaf', folder.path, 'p');
      await deaf.says();
      const waiting = pipe.dequeue();
      const producer = await (await open()).pipe<string>('p');
      await producer.enqueue('one');
      deaf.child.kill('SIGKILL');
      assert.equal(await waiting, 'one');
    });

    it('a consumer that is told of a packet and is stopped keeps others waiting for a moment only', async () => {
      const pipe = await make<string>(2);
      using stopped = await stoppedConsumer();
      // Behind it in turn, so that it is the one who is rung.
      const other = await (await open()).pipe<string>('p');
      const waiting = other.dequeue();
      await pipe.enqueue('one');
      assert.equal(await waiting, 'one');
      stopped.child.kill('SIGCONT');
      await pipe.enqueue('two');
      assert.deepEqual(await stopped.says(), { got: 'two' });
    });

    it('a call looks once more at its limit before it answers that nothing came', async () => {
      const pipe = await make<string>(2);
      using _ = await stoppedConsumer();
      const other = await (await open()).pipe<string>('p');
      const waiting = other.dequeue({ timeoutMs: 60 });
      await pipe.enqueue('one');
      assert.equal(await waiting, 'one');
    });

    async function stoppedConsumer(): Promise<RegionUser> {
      const stopped = regionUser('await', folder.path, 'p');
      await stopped.says();
      stopped.child.kill('SIGSTOP');
      await waitUntil('it is stopped', () => / T /.test(readFileSync(`/proc/${stopped.pid}/stat`, 'utf8')));
      return stopped;
    }

    it('what a dead user had comes back also to those who only try', async () => {
      const pipe = await make<string>(4);
      await pipe.enqueue('job');
      using taker = regionUser('take', folder.path, 'p');
      await taker.says();
      using filler = regionUser('fill', folder.path, 1000);
      assert.deepEqual(await filler.says(), { code: 'ERR_REGION_FULL' });
      assert.throws(() => pipe.tryEnqueue('x'.repeat(2000)), /region market/);
      for (const user of [taker, filler]) user.child.kill('SIGKILL');
      await waitUntil('the packet to come back', () => pipe.tryDequeue() === 'job');
      await waitUntil('the memory to come back', () => {
        try {
          return pipe.tryEnqueue('x'.repeat(2000));
        } catch {
          return false;
        }
      });
    });

    it('users that are killed at any instruction harm nobody', async () => {
      const pipe = await make<number>(8);
      for (let i = 0; i < 4; i++) await pipe.enqueue(i);
      // Where in the code they die is a matter of luck; cpp/test/ kills at each place in turn.
      for (let round = 0; round < 3; round++) {
        using victims = hammers(4);
        for (const victim of victims.users) await victim.says();
        for (const victim of victims.users) victim.child.kill('SIGKILL');
        for (const victim of victims.users) await victim.end;
        // A victim dies with the packet that it has taken, at most.
        let packets = 0;
        while ((await pipe.dequeue({ timeoutMs: 0 })) !== undefined) packets++;
        assert.isAtMost(packets, 4);
        await waitUntil('nothing of theirs is left', () => region.native.stats().pristine);
        for (let i = 0; i < 4; i++) assert.isTrue(await pipe.enqueue(i, { timeoutMs: 1000 }));
      }
    });

    it('a stopped process that holds the lock costs others their limit, and nothing else', async () => {
      const pipe = await make<number>(8);
      for (let i = 0; i < 4; i++) await pipe.enqueue(i);
      using holder = regionUser('hammer', folder.path, 'p');
      await holder.says();
      for (let tries = 0; ; tries++) {
        // A busy machine may leave it no time between two stops, and it would stay where it was.
        const { dequeued } = await pipe.stats();
        while ((await pipe.stats()).dequeued < dequeued + 100) await pause(1);
        // Those figures needed the lock: on one core with us, the holder now stands where it does not have it.
        await pause(1);
        holder.child.kill('SIGSTOP');
        await waitUntil('it is stopped', () => / T /.test(readFileSync(`/proc/${holder.pid}/stat`, 'utf8')));
        // Whether it was stopped with the lock is a matter of luck.
        const answer = await pipe.dequeue({ timeoutMs: 100 }).catch((error: unknown) => error as IpcError);
        const held = answer instanceof IpcError;
        if (held) assert.equal((answer as IpcError).code, 'ERR_LOCK_TIMEOUT');
        else if (answer !== undefined) await pipe.enqueue(answer as number);
        if (held)
          await endsAtLimit(100, () =>
            assertRejects(pipe.dequeue({ timeoutMs: 100 }), 'ERR_LOCK_TIMEOUT', 'market', '100 ms'),
          );
        const waiting = held ? pipe.dequeue() : undefined;
        holder.child.kill('SIGCONT');
        if (waiting) {
          assert.isNumber(await waiting);
          return;
        }
        assert.isBelow(tries, 500);
      }
    });
  });
});
