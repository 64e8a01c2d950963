// A project from its first file to production: init, check, run, build, run what was built.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { assert } from 'chai';
import { Command, command, fixture, scratch, telemetry } from './command.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));

describe('a new project', function () {
  this.timeout(180_000);
  const place = scratch();
  const folder = join(place.folder, 'greetings');
  after(() => place.remove());

  async function runs(topology: string): Promise<void> {
    const run = new Command(['run', topology], place.env);
    await run.sees(/visitor \| Hello visitor, this is process \d+/);
    run.signal('SIGINT');
    const { code } = await run.ended;
    assert.equal(code, 0);
  }

  it('is written by init', async () => {
    const { code, output } = await command(['init', folder], place.env);
    assert.equal(code, 0, output);
    assert.includeMembers(readdirSync(folder), [
      'README.md',
      'package.json',
      'topology.ts',
      'universe.ts',
      '.gitignore',
    ]);
    assert.notMatch(readFileSync(join(folder, 'package.json'), 'utf8'), /__/);
  });

  it('is not written over another', async () => {
    const { code, output } = await command(['init', folder], place.env);
    assert.equal(code, 2);
    assert.include(output, 'it is not empty');
  });

  it('has correct types', () => {
    symlinkSync(join(root, 'node_modules', '@types'), join(folder, 'node_modules', '@types'));
    execFileSync(process.execPath, [join(root, 'node_modules', 'typescript', 'bin', 'tsc'), '-p', folder], {
      stdio: 'inherit',
    });
  });

  it('is warned of nothing', async () => {
    const { code, output } = await command(['check', folder], place.env);
    assert.equal(code, 0, output);
    assert.notInclude(output, 'warning');
  });

  it('runs at once', () => runs(folder));

  it('is bundled, and runs from the bundle alone', async () => {
    const { code, output } = await command(['build', folder], place.env);
    assert.equal(code, 0, output);
    const built = join(folder, 'build');
    assert.includeMembers(readdirSync(built), ['greeter.mjs', 'visitor.mjs', 'topology.json']);
    await runs(join(built, 'topology.json'));
  });

  it('keeps probes and all else that a topology says when it is bundled', async () => {
    const file = join(folder, 'probed.yaml');
    writeFileSync(
      file,
      'name: probed\nchildren:\n  greeter:\n    kind: node\n    file: ./greeter.ts\n    standby: 1\n    liveness: { tcp: "[::1]:9", periodMs: 5000 }\n    states: { warm: { log: "^WARM", flags: i } }\n  clock: { kind: exec, file: sleep, args: ["1"], ready: { exec: [sleep, "0"] }, survive: true }\n',
    );
    const out = join(place.folder, 'probed');
    assert.equal((await command(['build', file, '--out', out], place.env)).code, 0);
    const spec = async (topology: string) =>
      JSON.parse((await command(['check', topology, '--json'], place.env)).output) as {
        children: Record<string, { file?: string; cwd?: string }>;
      };
    const [before, after] = [await spec(file), await spec(join(out, 'topology.json'))];
    for (const { children } of [before, after]) delete children.greeter!.file;
    assert.deepEqual(after.children, before.children);
  });

  it('is bundled again over an earlier build, and over nothing else', async () => {
    assert.equal((await command(['build', folder], place.env)).code, 0);
    const other = join(place.folder, 'mine');
    mkdirSync(other);
    writeFileSync(join(other, 'thesis.txt'), 'years');
    const { code, output } = await command(['build', folder, '--out', other], place.env);
    assert.equal(code, 2);
    assert.include(output, 'something else');
    assert.isTrue(existsSync(join(other, 'thesis.txt')));
  });

  it('can be described in YAML', async () => {
    const yaml = join(folder, 'topology.yaml');
    writeFileSync(
      yaml,
      'name: greetings # of the day\nchildren:\n  greeter: { kind: node, file: ./greeter.ts }\n  visitor:\n    kind: node\n    file: ./visitor.ts\n    dependsOn: { greeter: operative }\n',
    );
    await runs(yaml);
  });

  it('names the place of a mistake in YAML', async () => {
    const yaml = join(folder, 'broken.yaml');
    writeFileSync(yaml, 'name: x\nchildren:\n  a: { kind: node\n');
    const { code, output } = await command(['check', yaml], place.env);
    assert.equal(code, 2);
    assert.match(output, /broken\.yaml: it could not be loaded: .*line 4/s);
  });
});

describe('graph', () => {
  const place = scratch();
  after(() => place.remove());

  for (const [format, expected] of [
    ['dot', /digraph "telemetry".*aggregator -> probe;/s],
    ['mermaid', /flowchart TD.*aggregator -\.-> probe/s],
    ['json', /"from": "aggregator",\s+"to": "probe",\s+"state": "operative"/],
    ['svg', /<svg .*>aggregator:operative<\/text>/s],
  ] as const)
    it(`draws the telemetry example as ${format}`, async () => {
      const { code, output } = await command(['graph', telemetry, '--format', format], place.env);
      assert.equal(code, 0);
      assert.match(output, expected);
    });

  it('refuses a topology that is not right', async () => {
    const { code } = await command(['graph', fixture('missing-file.topology.ts')], place.env);
    assert.equal(code, 2);
  });
});

describe('doctor', () => {
  const place = scratch();
  after(() => place.remove());

  it('finds nothing wrong where the tests run', async () => {
    const { code, output } = await command(['doctor', '--json'], place.env);
    assert.equal(code, 0, output);
    const findings = JSON.parse(output) as { name: string; verdict: string }[];
    assert.isEmpty(findings.filter(({ verdict }) => verdict === 'wrong'));
    assert.includeMembers(
      findings.map(({ name }) => name),
      ['node', 'addon', 'kernel', 'open files', 'run directory'],
    );
  });

  it('says what to change', async () => {
    const { code, output } = await command(['doctor'], { ACTOR_IPC_RUN_DIR: '/proc/nowhere' });
    assert.equal(code, 2);
    assert.match(output, /wrong run directory .*\n +set ACTOR_IPC_RUN_DIR/);
  });
});

describe('color', () => {
  const place = scratch();
  after(() => place.remove());
  const colorCode = String.fromCharCode(27);

  for (const [wish, variables, colored] of [
    ['no wish, in continuous integration', { CI: 'true', NO_COLOR: '' }, false],
    ['NO_COLOR', { FORCE_COLOR: '1', NO_COLOR: '1' }, false],
    ['FORCE_COLOR', { FORCE_COLOR: '1', NO_COLOR: '' }, true],
  ] as const)
    it(`is ${colored ? '' : 'not '}there without a terminal, with ${wish}`, async () => {
      const { output } = await command(['doctor'], { ...place.env, ...variables });
      assert.equal(output.includes(colorCode), colored, output);
    });
});
