// What is no recording, and addresses that can't be listened on.
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { assert } from 'chai';
import fc from 'fast-check';
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

  it('goes forth and back one record at a time, also of those of one moment', async () => {
    const begin = { k: 'actor', at: 1_000, actor: 'lamp', chart: null, value: 'off', status: 'active' };
    const values = Array.from({ length: 7 }, (_, i) => `v${i}`);
    const records = [begin, ...values.map((value, i) => actor(2_000 + (i >> 1), value))];
    const metrics = [2_001, { type: 'metrics', at: 2_001, processes: [], flows: [] }];
    const lines = [header, [5_000, { type: 'records', batches: [{ process: 'a#1', records }] }], metrics];
    writeFileSync(file, lines.map((line) => JSON.stringify(line)).join('\n'));
    const told: unknown[] = [];
    const playing: unknown[] = [];
    const showing = (await Playback.open(file)).show({
      tell: (message) => message.type === 'playing' && playing.push([message.at, message.playing]),
      record: (_, record) => told.push((record as { value?: unknown }).value),
    });
    const value = () => {
      const [batch] = showing.dump().actors;
      return (batch?.records[0] as { value?: unknown } | undefined)?.value;
    };
    assert.equal(value(), 'off');
    for (const expected of values) {
      showing.step(1);
      assert.equal(value(), expected);
    }
    assert.deepEqual(told, values);
    showing.step(1);
    assert.equal(value(), 'v6', 'nothing comes after the end');
    assert.deepEqual(playing.at(-1), [2_003, false]);
    for (const expected of [...values.slice(0, -1).toReversed(), 'off']) {
      showing.step(-1);
      assert.equal(value(), expected);
    }
    showing.step(-1);
    showing.step(-1);
    assert.isUndefined(value(), 'before the beginning there is no actor, and nothing to step back to');
    showing.step(1);
    showing.play(1);
    showing.step(1);
    assert.deepEqual(playing.at(-1)!.toString(), '2000,false');
    showing.close();
  });

  it('of a hundred thousand records is at any of them at once, and tells what was before', async function () {
    this.timeout(90_000);
    const begin = { k: 'actor', at: 1_000, actor: 'lamp', chart: null, value: 'off', status: 'active' };
    const batches = Array.from({ length: 1_000 }, (_, batch) => ({
      process: 'a#1',
      records: Array.from({ length: 100 }, (_, i) => actor(2_000 + batch * 100 + i, `v${batch * 100 + i}`)),
    }));
    const lines = [
      header,
      [0, { type: 'records', batches: [{ process: 'a#1', records: [begin] }, ...batches] }],
    ];
    writeFileSync(file, lines.map((line) => JSON.stringify(line)).join('\n'));
    const showing = (await Playback.open(file)).show({ tell() {}, record() {} });
    const cpu = process.cpuUsage();
    for (const at of [0, 19_999, 20_000, 20_001, 60_500, 99_999]) {
      showing.seek(2_000 + at);
      const { actors, past } = showing.dump();
      const [batch] = actors;
      assert.propertyVal(batch?.records[0], 'value', `v${at}`);
      const before = [...past].flatMap(({ records }) => records);
      assert.isAtLeast(before.length, Math.min(at, 2_000));
      assert.propertyVal(before.at(-1), 'value', `v${at}`);
    }
    const { user, system } = process.cpuUsage(cpu);
    assert.isBelow((user + system) / 1e6, 3);
    showing.close();
  });

  it('that is spoilt anywhere is shown as far as it goes, or refused by name', async function () {
    this.timeout(90_000);
    const begin = { k: 'actor', at: 1_000, actor: 'lamp', chart: null, value: 'off', status: 'active' };
    const units = [{ path: 'a', dead: [{ process: 'a#1' }] }];
    const good = [
      header,
      [1_000, { type: 'records', batches: [{ process: 'a#1', records: [begin, actor(1_500, 'on')] }] }],
      [1_600, { type: 'processes', units }],
      [1_700, { type: 'log', lines: [] }],
    ];
    const text = good.map((line) => JSON.stringify(line)).join('\n');
    const spoils = fc.oneof(
      fc.nat({ max: text.length }).map((length) => text.slice(0, length)),
      fc
        .tuple(
          fc.nat({ max: text.length }),
          fc.nat({ max: 40 }),
          fc.constantFrom('null', '[]', '{}', '0', '""', '\n', '"'),
        )
        .map(([at, count, instead]) => text.slice(0, at) + instead + text.slice(at + count)),
      fc
        .tuple(
          fc.integer({ min: 1, max: 3 }),
          fc.constantFrom('batches', 'units', 'lines', 'records', 'dead'),
          fc.json(),
        )
        .map(([line, name, value]) =>
          good
            .map((each, index) =>
              JSON.stringify(each, (key, inner: unknown) =>
                index === line && key === name ? JSON.parse(value) : inner,
              ),
            )
            .join('\n'),
        ),
    );
    await fc.assert(
      fc.asyncProperty(spoils, async (spoilt) => {
        writeFileSync(file, spoilt);
        let playback: Playback;
        try {
          playback = await Playback.open(file);
        } catch (error) {
          assert.equal((error as IpcError).code, 'ERR_RECORDING');
          return;
        }
        const showing = playback.show({ tell() {}, record() {} });
        showing.seek(playback.span.toMs);
        const { messages, actors, past } = showing.dump();
        JSON.stringify([messages, [...actors], [...past]]);
        showing.step(-1);
        showing.step(1);
        showing.close();
      }),
      { numRuns: 300 },
    );
  });

  it('of a later version, or of somebody else, is refused in words', async () => {
    for (const [begin, words] of [
      [JSON.stringify({ ...header, version: 2 }), /version 2, and this actor-ipc reads up to 1/],
      ['{"actorIpc":"postmortem","version":1}', /no recording of actor-ipc/],
      ['\u001f\u008b\u0000', /it is empty/],
      ['', /empty/],
      [JSON.stringify(header), /nothing but its header/],
    ] as const) {
      writeFileSync(file, begin, 'latin1');
      const error = await Playback.open(file).then(
        () => assert.fail(),
        (each: IpcError) => each,
      );
      assert.equal(error.code, 'ERR_RECORDING');
      assert.match(error.message, words);
    }
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
