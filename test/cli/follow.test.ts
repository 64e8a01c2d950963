// `logs -f` while files are moved aside, units come and their names are mistyped: every line, once.
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { assert } from 'chai';
import { waitUntil } from '../support/wait-until.ts';
import { Command, command, processesWith, scratch } from './command.ts';

const topologyEntry = new URL('../../dist/spec/topology.js', import.meta.url).href;

describe('logs that are followed', function () {
  this.timeout(180_000);
  const place = scratch();
  const file = join(place.folder, 'topology.mjs');
  let run: Command;

  const write = (more = '') =>
    writeFileSync(
      file,
      `import { defineTopology, exec } from '${topologyEntry}';
       const sh = (script, options) => exec('sh', { args: ['-c', script], shutdown: 500, ...options });
       export default defineTopology({ name: 'followed', children: {
         counter: sh('i=0; while :; do i=$((i+1)); echo n $i; sleep 0.01; done', { log: { maxBytes: 4096, files: 3 } }), ${more} } });`,
    );
  const follow = (...args: string[]) =>
    new Command(['logs', '-f', ...args, '--workspace', place.workspace], place.env);
  const moved = () =>
    readdirSync(join(place.workspace, 'out')).filter((name) => name.startsWith('followed.counter.out.'))
      .length;
  const numbersIn = (output: string) =>
    output
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line) as { unit: string; line: string })
      .filter(({ unit }) => unit === 'counter')
      .map(({ line }) => Number(line.slice(2)));

  before(async () => {
    mkdirSync(place.folder, { recursive: true });
    write();
    run = new Command(['run', file, '--workspace', place.workspace], place.env);
    await run.sees(/followed is operative/);
    await waitUntil('files that were moved aside', () => moved() >= 2, 40_000);
  });
  after(async () => {
    run.signal('SIGINT');
    await run.ended;
    await waitUntil('no process of the tree', () => processesWith(place.folder).length === 0);
    place.remove();
  });

  it('have each line once, from the files into what is written, while those are moved aside', async () => {
    const following = follow('--json');
    await waitUntil('four more files of lines', () => numbersIn(following.output).length > 500, 40_000);
    following.signal('SIGINT');
    await following.ended;
    const numbers = numbersIn(following.output);
    const [first] = numbers;
    assert.deepEqual(
      numbers,
      Array.from(numbers, (_, at) => first! + at),
    );
  });

  it('begin with as many lines as are wanted', async () => {
    const following = follow('--json', '--lines', '5');
    await waitUntil('some lines', () => numbersIn(following.output).length > 20);
    following.signal('SIGINT');
    await following.ended;
    const [first, ...rest] = numbersIn(following.output);
    const all = await command(['logs', '--json', '--workspace', place.workspace], place.env);
    assert.include(numbersIn(all.output), first);
    assert.deepEqual(
      rest,
      Array.from(rest, (_, at) => first! + 1 + at),
    );
    const { output } = await command(
      ['logs', '--json', '--lines', '5', '--workspace', place.workspace],
      place.env,
    );
    assert.lengthOf(numbersIn(output), 5);
  });

  it('go on with units that are added later, also with one that is waited for by its name', async () => {
    const all = follow();
    const one = follow('late');
    await all.sees(/counter \| n \d+/);
    await one.sees(/there is no unit late yet/);
    write(`late: sh('echo here I am; exec sleep 1000'),`);
    const { code, output } = await command(['apply', file, '--workspace', place.workspace], place.env);
    assert.equal(code, 0, output);
    await all.sees(/late +\| here I am/);
    await one.sees(/late +\| here I am/);
    assert.notMatch(one.output, /counter/);
    for (const following of [all, one]) {
      following.signal('SIGINT');
      await following.ended;
    }
  });

  it('say which name was meant', async () => {
    const following = follow('conter');
    await following.sees(/there is no unit conter yet; did you mean counter\?/);
    following.signal('SIGINT');
    await following.ended;
  });
});
