import { existsSync, openSync, readdirSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { assert } from 'chai';
import { type ErrorCode, IpcError } from '../../src/errors.ts';
import type { RegionOptions } from '../../src/spec/region.ts';
import { native } from '../../src/transport/native.ts';
import { openRegion, type Region } from '../../src/transport/region.ts';
import { regionPlace } from '../../src/transport/region-place.ts';
import { regionDirectory } from '../../src/transport/run-directory.ts';
import { openDescriptors } from '../support/descriptors.ts';
import { type TemporaryFolder, temporaryFolder } from '../support/temporary-folder.ts';
import { endsAtLimit } from '../support/transport/limit.ts';
import { regionUser } from '../support/transport/region-user.ts';
import { waitUntil } from '../support/wait-until.ts';

async function rejection(promise: Promise<unknown>): Promise<unknown> {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  return assert.fail('it did not reject');
}

async function assertRejects(
  promise: Promise<unknown>,
  code: ErrorCode,
  ...words: string[]
): Promise<IpcError> {
  const error = await rejection(promise);
  assert.instanceOf(error, IpcError);
  assert.equal((error as IpcError).code, code, (error as Error).message);
  for (const word of words) assert.include((error as IpcError).message, word);
  return error as IpcError;
}

describe('a region', function () {
  this.timeout(120_000);
  let folder: TemporaryFolder;
  let opened: Region[];

  beforeEach(() => {
    folder = temporaryFolder();
    opened = [];
  });

  afterEach(async () => {
    for (const region of opened) await region.close();
    folder[Symbol.dispose]();
  });

  async function open(options?: RegionOptions, name = 'market'): Promise<Region> {
    const region = await openRegion(folder.path, name, options);
    opened.push(region);
    return region;
  }

  const filesThere = () =>
    readdirSync(regionDirectory(folder.path, 'market')).filter((file) => /\.(sock|bell|new)$/.test(file));

  describe('starts in any order', () => {
    it('client, then server, then the one that creates it: all become ready', async () => {
      using client = regionUser('client', folder.path, 'orders');
      using server = regionUser('server', folder.path, 'orders', 4);
      await waitUntil('the client watches for it', () => existsSync(regionDirectory(folder.path, 'market')));
      assert.isNull(client.child.exitCode);
      using main = regionUser('main', folder.path, 1_000_000);
      assert.property(await main.says(), 'ready');
      assert.equal(await server.says(), 'ready');
      assert.equal(await client.says(), 'ready');
    });

    it('several that create it at once make one', async () => {
      const regions = await Promise.all(Array.from({ length: 8 }, () => open({ bytes: 100_000 })));
      assert.equal(new Set(regions.map(({ generation }) => generation)).size, 1);
      assert.equal((await regions[0]!.stats()).users, 8);
    });

    it('also where the path is too long for a socket address', async () => {
      const runDirectory = join(folder.path, 'd'.repeat(120));
      const one = await openRegion(runDirectory, 'market', { bytes: 100_000 });
      const other = await openRegion(runDirectory, 'market');
      opened.push(one, other);
      const pipe = await other.pipe('p', { capacityPackets: 1 });
      const packet = pipe.dequeue();
      assert.isTrue(await (await one.pipe('p')).enqueue(1));
      assert.equal(await packet, 1);
    });
  });

  describe('that is not there', () => {
    it('is waited for until the limit, and named', async () => {
      const error = await endsAtLimit(200, () =>
        assertRejects(open({ timeoutMs: 200 }), 'ERR_REGION_MISSING', 'market', '200 ms'),
      );
      assert.isTrue(error.retryable);
    });

    it('can be given up', async () => {
      const abort = new AbortController();
      const waiting = open({ signal: abort.signal });
      abort.abort(new Error('enough'));
      assert.equal(((await rejection(waiting)) as Error).message, 'enough');
    });

    it('is told from a pipe that is not there', async () => {
      const region = await open({ bytes: 100_000 });
      await endsAtLimit(200, () =>
        assertRejects(region.pipe('nope', { timeoutMs: 200 }), 'ERR_PIPE_MISSING', 'nope', 'market'),
      );
      await assertRejects(open({ timeoutMs: 50 }, 'nope'), 'ERR_REGION_MISSING', 'nope');
    });

    it('leaves nothing open', async () => {
      await assertRejects(open({ timeoutMs: 10 }), 'ERR_REGION_MISSING');
      const before = openDescriptors().size;
      for (let i = 0; i < 20; i++) await assertRejects(open({ timeoutMs: 1 }), 'ERR_REGION_MISSING');
      assert.equal(openDescriptors().size, before);
    });
  });

  describe('that is another one than asked for', () => {
    it('by its size is refused with both sizes', async () => {
      await open({ bytes: 100_000 });
      await assertRejects(open({ bytes: 200_000 }), 'ERR_REGION_MISMATCH', '100000', '200000');
    });

    it('by the capacity or the codec of a pipe is refused', async () => {
      const region = await open({ bytes: 100_000 });
      await region.pipe('p', { capacityPackets: 4 });
      await assertRejects(region.pipe('p', { capacityPackets: 5 }), 'ERR_REGION_MISMATCH', 'pipe p');
      await assertRejects(region.pipe('p', { codec: 'bytes' }), 'ERR_REGION_MISMATCH', 'msgpack', 'bytes');
    });

    it('because the descriptor is none of a region is refused', async () => {
      const generation = await announce();
      const file = openSync(join(folder.path, 'file'), 'w+');
      using _ = handingOut(generation, file);
      await assertRejects(open(), 'ERR_REGION_REFUSED', 'market');
    });

    it('because it has another layout is refused', async () => {
      const region = new (native().Region)(100_000);
      // The layout hash, in cpp/shm/region_layout.h.
      writeSync(region.fd, Buffer.from('????'), 0, 4, 4);
      await announce(region.generation);
      using _ = handingOut(region.generation, region.fd);
      await assertRejects(open(), 'ERR_REGION_REFUSED', 'market');
      region.close();
    });

    /** Makes a generation the current one, as its creator does. */
    async function announce(generation = 'a'.repeat(32)): Promise<string> {
      const path = join(regionDirectory(folder.path, 'market'), 'current');
      await (await open({ bytes: 100_000 })).close();
      rmSync(path);
      writeSync(openSync(path, 'w', 0o600), generation);
      return generation;
    }

    function handingOut(generation: string, fd: number): Disposable {
      const place = regionPlace(folder.path, 'market');
      place.handOut({ fd, generation, bytes: 100_000 });
      return { [Symbol.dispose]: () => place.close() };
    }
  });

  describe('is handed on', () => {
    it('by any user, also when its creator is gone', async () => {
      using main = regionUser('main', folder.path, 100_000);
      const { ready } = (await main.says()) as { ready: string };
      const second = await open();
      const pipe = await second.pipe('p', { capacityPackets: 4 });
      await pipe.enqueue('kept');
      main.child.kill('SIGKILL');
      await main.end;
      const third = await open();
      assert.equal(third.generation, ready);
      assert.equal(await (await third.pipe('p')).dequeue(), 'kept');
    });

    it('by those who answer while another user is stopped', async () => {
      using stopped = regionUser('main', folder.path, 100_000);
      await stopped.says();
      await open();
      stopped.child.kill('SIGSTOP');
      for (let i = 0; i < 4; i++) await open();
      assert.equal((await opened[0]!.stats()).users, 6);
    });

    it('within the limit, though all its users are stopped', async () => {
      using stopped = regionUser('main', folder.path, 100_000);
      await stopped.says();
      stopped.child.kill('SIGSTOP');
      await endsAtLimit(300, () =>
        assertRejects(open({ bytes: 100_000, timeoutMs: 300 }), 'ERR_REGION_MISSING'),
      );
      stopped.child.kill('SIGCONT');
      await open({ bytes: 100_000 });
    });

    it('to no more than 64 users, and to the next when one has left', async () => {
      for (let i = 0; i < 64; i++) await open({ bytes: 100_000 });
      await assertRejects(open(), 'ERR_REGION_FULL', 'another user');
      await opened[10]!.close();
      await open();
    });
  });

  describe('whose run was killed', () => {
    it('is created anew, and nothing of the last run is seen', async () => {
      using main = regionUser('main', folder.path, 100_000);
      const { ready: old } = (await main.says()) as { ready: string };
      const user = await open();
      await (await user.pipe('p', { capacityPackets: 4 })).enqueue('old');
      main.child.kill('SIGKILL');
      await main.end;
      await user.close();
      // What the killed one has left behind stands in nobody's way.
      assert.isAbove(filesThere().length, 0);
      const next = await open({ bytes: 100_000 });
      assert.notEqual(next.generation, old);
      assert.isTrue((await next.stats()).pristine);
      const error = await assertRejects(open({ generation: old }), 'ERR_REGION_REPLACED', 'market', old);
      assert.equal(error.fatalTo, 'region');
      await assertRejects(next.pipe('p', { timeoutMs: 20 }), 'ERR_PIPE_MISSING');
      assert.isTrue(filesThere().every((file) => file.startsWith(next.generation.slice(0, 12))));
    });
  });

  describe('taken over', () => {
    it('ends all that waits in the old one, and new users find the new one', async () => {
      using other = regionUser('main', folder.path, 100_000);
      const { ready: old } = (await other.says()) as { ready: string };
      const user = await open();
      const pipe = await user.pipe('p', { capacityPackets: 1 });
      const waiting = pipe.dequeue();
      const next = await open({ bytes: 100_000, takeOver: true });
      await assertRejects(waiting, 'ERR_REGION_REPLACED', old);
      await assertRejects(user.pipe('p'), 'ERR_REGION_REPLACED');
      assert.throws(() => pipe.tryEnqueue(1), /created anew/);
      assert.equal((await open()).generation, next.generation);
      await assertRejects(open({ generation: old }), 'ERR_REGION_REPLACED');
    });

    it('needs to know the size', async () => {
      assert.instanceOf(await rejection(open({ takeOver: true })), TypeError);
    });
  });

  describe('close()', () => {
    it('leaves no socket, no descriptor and nothing in /dev/shm', async () => {
      await (await open({ bytes: 100_000 })).close();
      const before = openDescriptors().size;
      for (let i = 0; i < 10; i++) {
        const one = await open({ bytes: 100_000 });
        const other = await open();
        const pipe = await one.pipe('p', { capacityPackets: 1 });
        const got = (await other.pipe('p')).dequeue();
        await pipe.enqueue(1);
        await got;
        await one.close();
        await one.close();
        await other[Symbol.asyncDispose]();
      }
      assert.isAtMost(openDescriptors().size, before);
      assert.deepEqual(filesThere(), []);
      assert.isEmpty(readdirSync('/dev/shm').filter((file) => file.includes('market')));
    });

    it('ends calls that wait and refuses further ones', async () => {
      const region = await open({ bytes: 100_000 });
      const pipe = await region.pipe('p', { capacityPackets: 1 });
      const waiting = [pipe.dequeue(), region.pipe('none')];
      const value = await region.construct('x');
      const closed = region.close();
      for (const call of waiting) await assertRejects(call, 'ERR_REGION_CLOSED', 'market');
      await closed;
      await assertRejects(region.construct(1), 'ERR_REGION_CLOSED');
      await assertRejects(pipe.enqueue(1), 'ERR_REGION_CLOSED');
      assert.throws(() => value.value, /closed/);
      value.release();
    });

    it('gives back what it held', async () => {
      const [one, other] = [await open({ bytes: 100_000 }), await open()];
      await one.construct('held');
      assert.isFalse((await other.stats()).pristine);
      await one.close();
      const { pristine, users } = await other.stats();
      assert.deepEqual({ pristine, users }, { pristine: true, users: 1 });
    });
  });

  it('does not keep a process running that waits for nothing, and does while a call waits', async () => {
    const region = await open({ bytes: 100_000 });
    using idle = regionUser('idle', folder.path);
    assert.equal((await idle.end).code, 0);
    const pipe = await region.pipe('p', { capacityPackets: 1 });
    using waits = regionUser('await', folder.path, 'p');
    await waits.says();
    assert.isNull(waits.child.exitCode);
    await pipe.enqueue('now');
    assert.deepEqual(await waits.says(), { got: 'now' });
    assert.equal((await waits.end).code, 0);
  });

  it('takes worker threads as users, and what an ended one had goes back', async () => {
    const region = await open({ bytes: 100_000 });
    const pipe = await region.pipe<string>('p', { capacityPackets: 2 });
    const worker = new Worker(new URL('../fixtures/regions/worker.mjs', import.meta.url), {
      workerData: { directory: folder.path },
    });
    await pipe.enqueue('ping');
    const answers = await region.pipe<string>('answers', { capacityPackets: 2 });
    assert.equal(await answers.dequeue(), 'ping from a worker');
    assert.equal((await region.stats()).users, 2);
    await worker.terminate();
    await waitUntil('its slot is free', () => region.native.stats().users === 1);
    assert.isTrue((await region.stats()).pristine);
  });

  describe('construct()', () => {
    it('puts a value in that can be looked at and sent any number of times', async () => {
      const [one, other] = [await open({ bytes: 100_000 }), await open()];
      const value = await one.construct({ symbol: 'ABC', bid: 1.5 });
      assert.deepEqual(value.value, { symbol: 'ABC', bid: 1.5 });
      assert.equal(value.view().byteLength, value.bytes);
      const pipe = await one.pipe<{ symbol: string; bid: number }>('p', { capacityPackets: 4 });
      for (let i = 0; i < 3; i++) await pipe.enqueue(value);
      const used = (await one.stats()).used;
      value.release();
      value.release();
      assert.throws(() => value.value, /closed/);
      const there = await other.pipe('p');
      assert.deepEqual(await there.dequeue(), { symbol: 'ABC', bid: 1.5 });
      assert.equal((await one.stats()).used, used, 'two packets and no copy');
      const borrowed = await there.dequeue({ borrow: true });
      assert.deepEqual(borrowed!.value, { symbol: 'ABC', bid: 1.5 });
      assert.deepEqual(await there.dequeue(), { symbol: 'ABC', bid: 1.5 });
      assert.isFalse((await one.stats()).pristine, 'borrowed');
      borrowed![Symbol.dispose]();
      assert.isTrue((await one.stats()).pristine);
    });

    it('names the path of what can not be shared', async () => {
      const region = await open({ bytes: 100_000 });
      const cycle: Record<string, unknown> = { list: [1, { deep: Symbol('x') }] };
      await assertRejects(region.construct(cycle), 'ERR_PACKET_INVALID', '$.list[1].deep is a symbol');
      cycle.list = [{ again: cycle }];
      await assertRejects(region.construct(cycle), 'ERR_PACKET_INVALID', '$.list[0].again contains itself');
      await assertRejects(region.construct(undefined), 'ERR_PACKET_INVALID', 'undefined');
      await assertRejects(region.construct('text', 'bytes'), 'ERR_PACKET_INVALID', 'Uint8Array');
      assert.isTrue((await region.stats()).pristine);
    });

    it('says when the region is full, and what dies with its holder comes back', async () => {
      const region = await open({ bytes: 200_000 });
      await assertRejects(
        region.construct(new Uint8Array(300_000), 'bytes'),
        'ERR_REGION_FULL',
        '300000 bytes',
      );
      using holder = regionUser('fill', folder.path, 10_000);
      assert.deepEqual(await holder.says(), { code: 'ERR_REGION_FULL' });
      await assertRejects(region.construct(new Uint8Array(20_000), 'bytes'), 'ERR_REGION_FULL');
      const pipe = await region.pipe('p', { capacityPackets: 1 });
      // While a call waits, the death of a user is noticed at once.
      const waiting = pipe.dequeue();
      holder.child.kill('SIGKILL');
      await waitUntil('its values are free', () => region.native.stats().pristine);
      await pipe.enqueue(1);
      assert.equal(await waiting, 1);
    });
  });

  describe('outside()', () => {
    it('names the first part of a value that does not stand in the region', async () => {
      const [region, elsewhere] = [await open({ bytes: 100_000 }), await open({ bytes: 100_000 }, 'other')];
      const [value, foreign] = [await region.construct(1), await elsewhere.construct(1)];
      assert.isUndefined(region.outside(value));
      assert.isUndefined(region.outside({ list: [value, { one: value }] }));
      assert.equal(region.outside('text'), '$');
      assert.equal(region.outside({ list: [value, 'text'] }), '$.list[1]');
      assert.equal(region.outside([value, { a: foreign }]), '$[1].a');
      value.release();
      assert.equal(region.outside([value]), '$[0]');
    });
  });
});
