import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { assert } from 'chai';
import { isAlive, livingBelow } from '../../src/runtime/living.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { Command, command, scratch } from './command.ts';

interface Report {
  readonly acts: Record<string, number>;
  readonly violations: readonly string[];
  readonly backMs: { readonly max: number } | null;
  readonly workspace: string | null;
}

describe('chaos', () => {
  const place = scratch();
  const folder = temporaryFolder();
  after(() => {
    place.remove();
    folder[Symbol.dispose]();
  });

  function topologyOf(name: string, children: string): string {
    const file = join(folder.path, `${name}.topology.yaml`);
    writeFileSync(file, `name: ${name}\nchildren:\n${children}`);
    return file;
  }
  const temporary = () => {
    const path = join(folder.path, 'temporary');
    mkdirSync(path, { recursive: true });
    return path;
  };
  const quick = 'backoff: { minMs: 20, maxMs: 200 }, giveUp: { restarts: 1000, periodMs: 1000 }';
  const sleeper = `{ kind: exec, file: /bin/sh, args: ['-c', 'sleep 1000 & wait'], ${quick} }`;

  it('kills and stops at random, and finds that all came back and nothing is left', async () => {
    const file = topologyOf('steady', `  a: ${sleeper}\n  b: ${sleeper}\n`);
    const { code, output } = await command(['chaos', file, '--for', '6s', '--seed', '5', '--json'], {
      ...place.env,
      TMPDIR: temporary(),
    });
    const { acts, violations, backMs, workspace } = JSON.parse(output) as Report;
    assert.deepEqual(violations, []);
    assert.equal(code, 0);
    assert.isNotEmpty(Object.keys(acts));
    assert.isAbove(backMs!.max, 0);
    assert.isNull(workspace);
    assert.deepEqual(readdirSync(temporary()), [], 'nobody needs what it has written');
  }).timeout(60_000);

  it('says when the tree does not come up at all', async () => {
    const file = topologyOf(
      'late',
      "  a: { kind: exec, file: /bin/sleep, args: ['1000'], ready: { log: never } }\n",
    );
    const { code, output } = await command(['chaos', file, '--for', '5s', '--patience', '1s'], place.env);
    assert.equal(code, 6, output);
    assert.match(output, /the tree is not up; see .*actor-ipc\.log/);
  }).timeout(60_000);

  it('tells of what does not come back', async () => {
    const once = join(folder.path, 'once');
    const script = `test -e ${once} || echo ready; touch ${once}; exec sleep 1000`;
    const file = topologyOf(
      'mortal',
      `  a: { kind: exec, file: /bin/sh, args: ['-c', '${script}'], ready: { log: ready }, ${quick} }\n`,
    );
    const { code, output } = await command(
      ['chaos', file, '--for', '1m', '--patience', '8s', '--seed', '5'],
      { ...place.env, TMPDIR: temporary() },
    );
    assert.equal(code, 1, output);
    assert.lengthOf(readdirSync(temporary()), 1, 'what it has written stays');
    assert.match(output, /not all are up 8 s after: \w+/);
  }).timeout(60_000);

  it('stops the tree when it is asked to end', async () => {
    const file = topologyOf('asked', `  a: ${sleeper}\n`);
    const chaos = new Command(['chaos', file, '--for', '10m', '--seed', '2'], place.env);
    await chaos.sees(/ s {2}\w+/);
    const all = livingBelow(chaos.pid);
    assert.isAtLeast(all.length, 2);
    chaos.signal('SIGINT');
    const { code } = await chaos.ended;
    assert.equal(code, 0, chaos.output);
    assert.deepEqual(all.filter(isAlive), []);
  }).timeout(60_000);
});
