// What is no recording, and addresses that can't be listened on.
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { assert } from 'chai';
import type { IpcError } from '../../src/errors.ts';
import { Playback } from '../../src/inspector/playback.ts';
import { InspectorServer } from '../../src/inspector/server.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const codeOf = (promise: Promise<unknown>) =>
  promise.then(
    () => 'nothing',
    (error: IpcError) => error.code,
  );

describe('a recording', () => {
  const place = temporaryFolder();
  const file = join(place.path, 'light.jsonl');
  const header = { actorIpc: 'recording', version: 1, startedAtMs: 1_000, topology: { name: 'x' } };
  const actor = (at: number, value: string) => ({
    k: 'transition',
    at,
    actor: 'lamp',
    event: 'turn',
    value,
    status: 'active',
    steps: [],
    actions: [],
  });
  after(() => place[Symbol.dispose]());

  it('that makes no sense is refused', async () => {
    writeFileSync(file, 'Call me Ishmael');
    assert.equal(await codeOf(Playback.open(file)), 'ERR_RECORDING');
  });

  it('is shown in the order in which things happened, not in that in which they came', async () => {
    const begin = { k: 'actor', at: 1_000, actor: 'lamp', chart: null, value: 'off', status: 'active' };
    const batch = (process: string, ...records: object[]) => [
      5_000,
      { type: 'records', batches: [{ process, records }] },
    ];
    const lines = [header, batch('a#1', begin, actor(3_000, 'on')), batch('b#1', begin, actor(2_000, 'on'))];
    writeFileSync(file, lines.map((line) => JSON.stringify(line)).join('\n'));
    const playback = await Playback.open(file);
    assert.deepEqual(playback.span, { fromMs: 1_000, toMs: 3_000 });
    const showing = playback.show({ tell() {}, record() {} });
    const valuesAt = (at: number) => {
      showing.seek(at);
      return [...showing.dump().actors].map(({ process, records }) => [
        process,
        ...records.map((record) => (record as { value: unknown }).value),
      ]);
    };
    assert.deepEqual(valuesAt(1_500), [
      ['a#1', 'off'],
      ['b#1', 'off'],
    ]);
    assert.deepEqual(valuesAt(2_500), [
      ['a#1', 'off'],
      ['b#1', 'on'],
    ]);
    assert.deepEqual(valuesAt(9_000), [
      ['a#1', 'on'],
      ['b#1', 'on'],
    ]);
    assert.deepEqual(valuesAt(0), [
      ['a#1', 'off'],
      ['b#1', 'off'],
    ]);
    showing.close();
  });
});

describe('an inspector', () => {
  it('whose port is taken is refused', async () => {
    const taken = createServer();
    await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve));
    const { port } = taken.address() as { port: number };
    const source = { hello: () => assert.fail(), show: () => assert.fail() };
    assert.equal(await codeOf(InspectorServer.open(source, { port })), 'ERR_INSPECTOR');
    taken.close();
  });
});
