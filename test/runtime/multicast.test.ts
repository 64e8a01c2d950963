import { assert } from 'chai';
import type { MulticastReport } from '../../src/machines/multicast.ts';
import { createRuntime } from '../../src/runtime/process-runtime.ts';
import type { Runtime } from '../../src/runtime/program.ts';
import type { Pipe, Region } from '../../src/spec/region.ts';
import { type TemporaryFolder, temporaryFolder } from '../support/temporary-folder.ts';
import { regionUser } from '../support/transport/region-user.ts';
import { waitUntil } from '../support/wait-until.ts';

const silent = { debug() {}, info() {}, warn() {}, error() {} };

describe('a multicast', function () {
  this.timeout(90_000);
  let folder: TemporaryFolder;
  let runtime: Runtime;
  let region: Region;

  beforeEach(async () => {
    folder = temporaryFolder();
    runtime = createRuntime({ runDirectory: folder.path, log: silent });
    region = await runtime.region('market', { bytes: 1_000_000 });
  });

  afterEach(async () => {
    await runtime.stop();
    folder[Symbol.dispose]();
  });

  const pipes = (...names: string[]): Promise<Pipe[]> =>
    Promise.all(names.map((name) => region.pipe(name, { capacityPackets: 4 })));

  it('drops for a reader that is stopped, tells of it once, and holds the others up once', async () => {
    const [input, a, b, c] = (await pipes('in', 'a', 'b', 'c')) as [Pipe, Pipe, Pipe, Pipe];
    const live = ['a', 'b'].map((name) => regionUser('consume', folder.path, name));
    // It takes packets until it is stopped.
    using stopped = regionUser('take', folder.path, 'c');
    const reports: MulticastReport[] = [];
    const multicast = runtime.multicast(input, [a, b, c], {
      slow: 'drop',
      slowAfterMs: 500,
      onReport: (report) => reports.push(report),
    });
    await input.enqueue(0);
    await stopped.says();
    stopped.child.kill('SIGSTOP');
    const since = performance.now();
    for (let i = 1; i < 20; i++) await input.enqueue(i);
    await waitUntil('all are through', () => multicast.readers()[0]!.delivered === 20 && multicast.readers());
    assert.isBelow(performance.now() - since, 5_000, 'the limit was used up once, not for each packet');
    // One with the stopped consumer, three more in its pipe: an unacknowledged packet keeps its place.
    assert.deepEqual(multicast.readers()[2], { name: 'c', slow: true, delivered: 4, dropped: 16 });
    assert.deepEqual(reports, [{ type: 'reader.slow', reader: 'c', dropped: 1 }]);
    await multicast.stop();
    for (const pipe of [a, b]) await pipe.enqueue(null);
    for (const reader of live)
      assert.deepEqual(
        await reader.says(),
        Array.from({ length: 20 }, (_, i) => i),
      );
    for (const reader of live) await reader.end;
  });

  it('waits for a slow reader where that is asked for', async () => {
    const [input, a] = (await pipes('in', 'a')) as [Pipe, Pipe];
    const reports: string[] = [];
    const multicast = runtime.multicast(input, [a], {
      slowAfterMs: 20,
      onReport: ({ type, reader }) => reports.push(`${reader} ${type}`),
    });
    for (let i = 0; i < 6; i++) await input.enqueue(i);
    await waitUntil('it is told', () => reports.length > 0);
    for (let i = 0; i < 6; i++) assert.equal(await a.dequeue(), i);
    await waitUntil('all are through', () => multicast.readers()[0]!.delivered === 6);
    assert.deepEqual(reports, ['a reader.slow', 'a reader.recovered']);
    assert.equal(multicast.readers()[0]!.dropped, 0);
    await multicast[Symbol.asyncDispose]();
    assert.isTrue((await region.stats()).pristine);
  });

  it('leaves what it has not taken in the input when it is stopped', async () => {
    const [input, a] = (await pipes('in', 'a')) as [Pipe, Pipe];
    const multicast = runtime.multicast(input, [a]);
    await multicast.stop();
    await multicast.ended;
    await input.enqueue('later');
    assert.equal(await input.dequeue(), 'later');
    assert.isUndefined(a.tryDequeue());
  });

  it('ends with the error of a pipe that fails', async () => {
    const [input, a] = (await pipes('in', 'a')) as [Pipe, Pipe];
    const multicast = runtime.multicast(input, [a]);
    a.close();
    await input.enqueue(1);
    const error = await multicast.ended.then(
      () => undefined,
      (reason: unknown) => reason,
    );
    assert.propertyVal(error, 'code', 'ERR_REGION_CLOSED');
  });

  it('ends with its runtime, and so do its regions', async () => {
    const [input, a] = (await pipes('in', 'a')) as [Pipe, Pipe];
    const multicast = runtime.multicast(input, [a]);
    await runtime.stop();
    await multicast.ended;
    assert.throws(() => input.tryDequeue(), /closed/);
    const refused = await runtime.region('market', { bytes: 1_000_000 }).catch((reason: unknown) => reason);
    assert.propertyVal(refused, 'code', 'ERR_STOPPING');
  });
});
