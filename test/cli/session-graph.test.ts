// What a session tells of itself without a supervisor: who waits for whom, and the words that complete its commands.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { assert } from 'chai';
import { addDependence } from '../../src/workspace/session-file.ts';
import { startProgram } from '../support/fixture.ts';
import { command } from './command.ts';
import { SessionPlace } from './session-place.ts';

/** So that no other process of this machine looks like it. */
const seconds = `1${String(process.pid).padStart(8, '0')}`;

describe('a session that is not active', function () {
  this.timeout(180_000);
  const place = new SessionPlace();
  const graph = (...args: string[]) => place.succeeds('graph', ...args);
  let operative = '';
  after(() => place.remove());

  before(async () => {
    await place.succeeds('init');
    for (const [at, alias] of ['master.tws', 'trader', 'rates', 'log'].entries())
      await place.succeeds(
        'start',
        '--uri',
        place.uri(`${seconds}${at}`, '/bin/sleep'),
        '--alias',
        alias,
        '--shutdown',
        '1',
      );
    await place.succeeds('attach', '--alias', 'master.tws', '--state', 'operative');
    const { name } = await place.row('master.tws');
    operative = join(place.folder, 'fp', `${name}.operative.fp`);
    await place.succeeds('dependence', 'add', '--parent', 'master.tws:operative', '--child', 'trader,rates');
    await place.succeeds('dependence', 'add', '--parent', 'trader', '--child', 'log');
    await place.succeeds('deactivate');
  });

  describe('graph', () => {
    it('draws all processes, with dashed edges from parent to child', async () => {
      assert.equal(
        await graph(),
        `digraph "session" {
  edge [style="dashed"];
  log [label="log"];
  master_tws [label="master.tws:operative"];
  rates [label="rates"];
  trader [label="trader"];
  trader -> log;
  master_tws -> rates;
  master_tws -> trader;
}
`,
      );
    });

    it('draws in the other languages, too', async () => {
      assert.match(await graph('--format', 'mermaid'), /^flowchart TD\n.*master_tws -\.-> trader/s);
      assert.match(await graph('--format', 'svg'), /<svg.*master\.tws:operative/s);
      const { nodes, edges } = JSON.parse(await graph('--format', 'json'));
      assert.deepEqual([nodes.length, edges.length], [4, 3]);
      assert.match(await place.fails(2, 'graph', '--format', 'png'), /dot, mermaid, json, svg/);
    });

    it('draws a circle, which keeps its processes from being started', async () => {
      const path = join(place.folder, 'etc', 'session.yaml');
      const text = readFileSync(path, 'utf8');
      addDependence(path, 'log', 'master.tws');
      const drawn = await graph();
      writeFileSync(path, text);
      for (const edge of ['log -> master_tws', 'master_tws -> trader', 'trader -> log'])
        assert.include(drawn, edge);
    });
  });

  describe('completion', () => {
    const proposed = async (...words: string[]) => {
      const all = ['actor-ipc', 'session', ...words];
      const { output } = await command(['complete', String(all.length - 1), ...all], place.env);
      return output
        .split('\n')
        .filter((line) => line !== '')
        .sort();
    };
    const here = ['--workspace', place.folder];

    it('proposes aliases', async () => {
      assert.deepEqual(await proposed('stop', ...here, '--alias', ''), [
        'log',
        'master.tws',
        'rates',
        'trader',
      ]);
      assert.deepEqual(await proposed('wait', ...here, '-a', 'tr'), ['trader']);
    });

    it('proposes parents with their states, and children, also behind a comma', async () => {
      assert.deepEqual(await proposed('dependence', 'add', ...here, '--parent', 'mas'), [
        'master.tws',
        'master.tws:operative',
      ]);
      assert.deepEqual(await proposed('dependence', 'add', ...here, '--child', 'trader,'), [
        'trader,log',
        'trader,master.tws',
        'trader,rates',
      ]);
    });

    it('proposes states of the process that is named', async () => {
      assert.include(await proposed('wait', ...here, '--alias', 'master.tws', '--state', ''), 'operative');
      assert.deepEqual(await proposed('wait', ...here, '--alias', 'log', '--state', 'o'), []);
    });

    it('proposes nothing where there is no session', async () => {
      assert.deepEqual(await proposed('stop', '--workspace', '/nowhere', '--alias', ''), []);
    });
  });

  describe('attach --fingerprint', () => {
    it('takes in the one process that looks like it', async () => {
      assert.match(
        await place.fails(6, 'attach', '--fingerprint', operative, '--alias', 'master.tws'),
        /no process looks like/,
      );
      using stranger = startProgram('/bin/sleep', [`${seconds}0`]);
      const output = await place.succeeds('attach', '--fingerprint', operative, '--alias', 'master.tws');
      assert.match(output, new RegExp(`${stranger.child.pid}`));
      assert.equal((await place.row('master.tws')).pid, stranger.child.pid);
    });

    it('refuses what is no fingerprint, and a process named twice', async () => {
      assert.match(
        await place.fails(2, 'attach', '--fingerprint', '/nowhere.fp', '--alias', 'x'),
        /nowhere\.fp/,
      );
      await place.fails(2, 'attach', '--fingerprint', operative, '--pid', '1', '--alias', 'x');
    });
  });
});

describe('a session with secrets', function () {
  this.timeout(180_000);
  const place = new SessionPlace();
  after(() => place.remove());

  it('keeps them in the one file that is for them: no other file, the database among them, and no listing has them', async () => {
    const secret = `marked${seconds}`;
    await place.succeeds('init');
    const said = await place.succeeds(
      'start',
      '--uri',
      place.uri(`user=me&password=${secret}`),
      '--alias',
      'web',
      '--shutdown',
      '1',
    );
    const { name } = await place.row('web');
    await place.succeeds('attach', '--alias', 'web', '--state', 'operative');
    const shown = [
      said,
      await place.succeeds('show', '--json'),
      await place.succeeds('graph', '--format', 'json'),
    ];
    await place.succeeds('deactivate');
    assert.include(place.everything(), 'password=***');
    assert.include(place.read('etc', `${name}.secret.yaml`), secret);
    for (const text of [place.everything(), ...shown]) assert.notInclude(text, secret);
  });
});
