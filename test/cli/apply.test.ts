// A running tree that gets another topology: what is the same runs on, an invalid file changes nothing.
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { assert } from 'chai';
import { waitUntil } from '../support/wait-until.ts';
import { Command, command, processesWith, scratch } from './command.ts';

interface Unit {
  readonly name: string;
  readonly phase: string;
  readonly pid: number | null;
  readonly starts: number;
}

const sleeper = (more: object = {}) => ({ kind: 'exec', file: 'sleep', args: ['1000'], ...more });

describe('apply', function () {
  this.timeout(180_000);
  const place = scratch();
  const file = join(place.folder, 'topology.mjs');
  let run: Command;

  const write = (children: object, more: object = {}) =>
    writeFileSync(file, `export default ${JSON.stringify({ name: 'shop', ...more, children })};\n`);
  const apply = (...args: string[]) =>
    command(['apply', file, '--workspace', place.workspace, ...args], place.env);
  async function units(): Promise<Record<string, Unit>> {
    const { output } = await command(['status', '--json', '--workspace', place.workspace], place.env);
    return Object.fromEntries((JSON.parse(output).units as Unit[]).map((unit) => [unit.name, unit]));
  }
  /** Which process each unit has. */
  function runs(all: Record<string, Unit>): [name: string, pid: number | null, phase: string][] {
    return Object.entries(all).map(([name, { pid, phase }]) => [name, pid, phase]);
  }
  const base = {
    kept: sleeper(),
    going: sleeper(),
    changed: sleeper(),
    after: sleeper({ dependsOn: { going: 'ready' } }),
    below: { kind: 'supervisor', children: { one: sleeper(), two: sleeper() } },
  };
  const next = {
    kept: sleeper({ stableMs: 5, shutdown: 100 }),
    changed: sleeper({ args: ['1001'] }),
    after: sleeper({ dependsOn: { kept: 'ready' } }),
    below: {
      kind: 'supervisor',
      strategy: 'rest-for-one',
      children: { two: sleeper(), three: sleeper({ dependsOn: { two: 'ready' } }) },
    },
    fresh: sleeper({ dependsOn: { kept: 'ready' } }),
  };

  before(async () => {
    write(base);
    run = new Command(['run', file, '--workspace', place.workspace], place.env);
    await run.sees(/shop is operative/);
  });
  after(async () => {
    run.signal('SIGKILL');
    await run.ended;
    await waitUntil('no process of the tree', () => processesWith(place.folder).length === 0);
    place.remove();
  });

  it('says so if there is nothing to do', async () => {
    const { code, output } = await apply();
    assert.equal(output, 'shop is as it should be\n');
    assert.equal(code, 0);
  });

  it('changes nothing if the file is not right', async () => {
    const before = await units();
    write({ ...next, fresh: { kind: 'exec' } });
    const { code, output } = await apply();
    assert.equal(code, 2);
    assert.match(output, /children\.fresh\.file/);
    assert.deepEqual(Object.keys(await units()), Object.keys(before));
  });

  it('refuses a topology of another name', async () => {
    write(base, { name: 'office' });
    const { code, output } = await apply();
    assert.equal(code, 6);
    assert.match(output, /it describes office, and shop runs here/);
  });

  it('only says what it would do, if asked so', async () => {
    const before = runs(await units());
    write(next);
    const { code, output } = await apply('--dry-run');
    assert.equal(code, 0);
    assert.deepEqual(output.trim().split('\n'), [
      'would remove going',
      'would change kept (shutdown, stableMs)',
      'would restart changed (args)',
      'would change after (dependsOn)',
      'would change below (strategy)',
      'would remove below/one',
      'would add below/three',
      'would add fresh',
    ]);
    assert.deepEqual(runs(await units()), before);
  });

  it('leads from one to the other; what is the same keeps its process', async () => {
    const before = await units();
    const { code, output } = await apply();
    assert.equal(code, 0, output);
    const after = await units();
    assert.sameMembers(Object.keys(after), [
      'kept',
      'changed',
      'after',
      'below',
      'below/two',
      'below/three',
      'fresh',
    ]);
    for (const same of ['kept', 'after', 'below/two'])
      assert.equal(after[same]!.pid, before[same]!.pid, same);
    assert.equal(after.changed!.starts, 2);
    for (const unit of Object.values(after)) assert.equal(unit.phase, 'up', unit.name);
    for (const gone of ['going', 'below/one']) assert.isFalse(existsSync(`/proc/${before[gone]!.pid}`), gone);
    assert.equal((await apply()).output, 'shop is as it should be\n');
  });

  it('replaces a child by one of another kind', async () => {
    const before = await units();
    write({ ...next, changed: { kind: 'supervisor', children: { inner: sleeper() } } });
    const { code, output } = await apply('--json');
    assert.equal(code, 0, output);
    assert.deepEqual(JSON.parse(output).changes, [{ do: 'replace', unit: 'changed', keys: ['kind'] }]);
    const after = await units();
    assert.isFalse(existsSync(`/proc/${before.changed!.pid}`));
    assert.equal(after['changed/inner']!.phase, 'up');
  });

  it('ends with code 1 if a step fails, and does the others', async () => {
    const hopeless = sleeper({ file: 'there-is-no-such-program' });
    write({ ...next, changed: hopeless, more: sleeper() });
    const { code, output } = await apply('-t', '20s');
    assert.equal(code, 1, output);
    assert.match(output, /replace changed \(kind\): .*given up/);
    assert.equal((await units()).more!.phase, 'up');
    write(next);
    assert.equal((await apply()).code, 0);
    assert.equal((await units()).changed!.phase, 'up');
  });

  it('leaves a unit down that somebody has stopped', async () => {
    await command(['stop', 'fresh', '--workspace', place.workspace], place.env);
    write({ ...next, fresh: sleeper({ args: ['1002'] }) });
    assert.equal((await apply()).code, 0);
    assert.equal((await units()).fresh!.phase, 'idle');
  });

  it('stops all that there is now', async () => {
    const { code } = await command(['down', '--workspace', place.workspace], place.env);
    assert.equal(code, 0);
    assert.deepEqual(
      processesWith(place.folder).filter((pid) => pid !== run.pid),
      [],
    );
  });
});
