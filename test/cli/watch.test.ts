// `run --watch`: what is saved takes effect, and a mistake in it does not.
import { mkdirSync, renameSync, rmSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { assert } from 'chai';
import { waitUntil } from '../support/wait-until.ts';
import { Command, command, processesWith, scratch } from './command.ts';

const topologyEntry = new URL('../../dist/spec/topology.js', import.meta.url).href;

describe('run --watch', function () {
  this.timeout(180_000);
  const place = scratch();
  const path = (name: string) => join(place.folder, name);
  const write = (name: string, text: string) => writeFileSync(path(name), text);
  let run: Command;

  const topology = (more = '') => `
    import { defineTopology, exec, node } from '${topologyEntry}';
    import { word } from './settings.mjs';
    const quick = { shutdown: 500 };
    export default defineTopology({ name: 'watched', children: {
      worker: node('./worker.mjs', quick),
      server: node('./server.mjs', { ...quick, dependsOn: { worker: 'ready' } }),
      shell: exec('sh', { args: ['shell.sh', word], ...quick }),
      other: exec('sleep', { args: ['1000'], ...quick }), ${more} } });`;
  /** What each unit has written, since the output had that length. */
  const sees = (pattern: RegExp, from = 0) => run.sees(pattern, from);
  async function starts(): Promise<Record<string, number>> {
    const { output } = await command(['status', '--json', '--workspace', place.workspace], place.env);
    const { units } = JSON.parse(output) as { units: { name: string; starts: number }[] };
    return Object.fromEntries(units.map(({ name, starts: count }) => [name, count]));
  }

  before(async () => {
    mkdirSync(place.folder, { recursive: true });
    const program = (name: string) =>
      `import { said } from './said.mjs'; console.log('${name}', said, process.env.WATCHED_HUE); setInterval(() => {}, 1e6);`;
    write('said.mjs', `export const said = 'one';`);
    write('worker.mjs', program('worker'));
    write('server.mjs', `console.log('server'); setInterval(() => {}, 1e6);`);
    write('shell.sh', 'echo shell $1; exec sleep 1000');
    write('settings.mjs', `export const word = 'first';`);
    write('.env', 'WATCHED_HUE=red\n');
    write('topology.mjs', topology());
    run = new Command(['run', path('topology.mjs'), '--watch', '--workspace', place.workspace], place.env);
    await sees(/watched is operative/);
    await sees(/restarts what has changed on disk/);
  });
  after(async () => {
    run.signal('SIGINT');
    const { code } = await run.ended;
    await waitUntil('no process of the tree', () => processesWith(place.folder).length === 0);
    place.remove();
    assert.equal(code, 0);
  });

  const patterns: [how: string, save: (text: string) => void][] = [
    ['in its place', (text) => write('said.mjs', text)],
    [
      'beside it and renamed over it',
      (text) => {
        write('said.mjs.new', text);
        renameSync(path('said.mjs.new'), path('said.mjs'));
      },
    ],
    [
      'anew, after the former was renamed away',
      (text) => {
        renameSync(path('said.mjs'), path('said.mjs~'));
        write('said.mjs', text);
        unlinkSync(path('said.mjs~'));
      },
    ],
    [
      'anew, after it was deleted',
      (text) => {
        rmSync(path('said.mjs'));
        write('said.mjs', text);
      },
    ],
  ];
  for (const [how, save] of patterns)
    it(`restarts a unit whose import was saved ${how}, and those that require it`, async () => {
      const from = run.output.length;
      const before = await starts();
      const said = `saved-${Math.round(performance.now())}`;
      save(`export const said = '${said}';`);
      await sees(new RegExp(`worker \\| worker ${said} red`), from);
      await sees(/server +\| server/, from);
      const after = await starts();
      assert.deepEqual(after, { ...before, worker: before.worker! + 1, server: before.server! + 1 });
    });

  it('leaves a unit as it runs while its program has a mistake', async () => {
    const before = await starts();
    let from = run.output.length;
    write('said.mjs', 'export const said = ;');
    await sees(/worker runs on as it was: [\s\S]*said\.mjs:1/, from);
    from = run.output.length;
    write('said.mjs', `export const said = 'mended';`);
    await sees(/worker mended/, from);
    assert.equal((await starts()).worker, before.worker! + 1);
  });

  it('restarts nothing for a save without a change', async () => {
    const from = run.output.length;
    const before = await starts();
    write('server.mjs', `console.log('server'); setInterval(() => {}, 1e6);`);
    write('said.mjs', `export const said = 'changed';`);
    await sees(/worker changed/, from);
    await sees(/server +\| server/, from);
    assert.deepEqual(await starts(), { ...before, worker: before.worker! + 1, server: before.server! + 1 });
    assert.notMatch(run.output.slice(from), /server restarts/);
  });

  it('restarts a plain program whose file among its arguments has changed, alone', async () => {
    const from = run.output.length;
    const before = await starts();
    write('shell.sh', 'echo shell two $1; exec sleep 1000');
    await sees(/shell +\| shell two first/, from);
    assert.deepEqual(await starts(), { ...before, shell: before.shell! + 1 });
  });

  it('applies a changed topology, also by what it imports', async () => {
    let from = run.output.length;
    write(
      'topology.mjs',
      topology(`added: exec('sh', { args: ['-c', 'echo added; exec sleep 1000'], ...quick }),`),
    );
    await sees(/added +\| added/, from);
    from = run.output.length;
    // It is loaded in a process of its own each time, so that what it imports is as it is now.
    write('settings.mjs', `export const word = 'second';`);
    await sees(/shell +\| shell two second/, from);
  });

  it('keeps the tree as it is while the topology has a mistake', async () => {
    const before = await starts();
    let from = run.output.length;
    write('topology.mjs', topology('broken: exec(),'));
    await sees(/the topology stays as it was: /, from);
    assert.deepEqual(await starts(), before);
    from = run.output.length;
    write('topology.mjs', topology());
    await sees(/apply: remove added/, from);
  });

  it('gives changed variables to the units', async () => {
    const from = run.output.length;
    write('.env', 'WATCHED_HUE=blue\n');
    await sees(/worker \| worker changed blue/, from);
  });
});
