// `run`, `status`, `top` and what waits, as a person in a terminal sees them and as a program reads them.
import { fileURLToPath } from 'node:url';
import { assert } from 'chai';
import { hasScript, ProgramOnScreen } from '../support/screen.ts';
import { waitUntil } from '../support/wait-until.ts';
import { Command, command, fixture, processesWith, scratch } from './command.ts';

const main = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
const inTerminal = hasScript
  ? it
  : (claim: string, _: () => unknown) => it.skip(`${claim} (skipped: util-linux's script is not installed)`);

describe('a running tree', function () {
  this.timeout(180_000);
  const place = scratch();
  const open = new Set<ProgramOnScreen>();
  let run: Command | undefined;

  function show(args: string[], columns?: number, rows?: number): ProgramOnScreen {
    const program = new ProgramOnScreen(
      [process.execPath, main, ...args, '--workspace', place.workspace],
      place.env,
      columns,
      rows,
    );
    open.add(program);
    return program;
  }
  async function start(name: string, ready: RegExp): Promise<Command> {
    run = new Command(['run', fixture(name), '--workspace', place.workspace], place.env);
    await run.sees(ready);
    return run;
  }

  afterEach(async () => {
    run?.signal('SIGKILL');
    await run?.ended;
    run = undefined;
    for (const { process: child, ended } of open) {
      child.kill('SIGKILL');
      await ended;
    }
    open.clear();
    await waitUntil('no process of the tree', () => processesWith(place.folder).length === 0);
  });
  after(() => place.remove());

  inTerminal(
    'is shown below the lines of its units by run, without a row that wraps, and is gone at its end',
    async () => {
      const program = show(['run', fixture('noisy.topology.mjs')]);
      const text = await program.sees(/── noisy operative {2}2 of 2 up/);
      assert.match(text, /unit +state +pid +up/);
      assert.match(text, /painter +operative +\d+/);
      const from = await waitUntil(
        'more lines',
        () => (program.screen.raw.match(/wrote/g)?.length ?? 0) > 50,
      );
      assert.isTrue(from);
      const lines = await program.screen.lines();
      const head = lines.findIndex((line) => line.startsWith('── noisy'));
      assert.equal(lines.length - head, 4, 'head, names and two rows are the last that there is');
      assert.equal(lines.filter((line) => line.startsWith('── noisy')).length, 1);
      assert.isFalse((await program.screen.wrapped()).some((at) => at >= head));
      program.press('\x03');
      assert.equal(await program.ended, 0);
      const after = await program.screen.lines();
      assert.isFalse(after.some((line) => line.startsWith('── noisy')));
      assert.match(after.at(-1)!, /noisy ended: asked to stop/);
    },
  );

  inTerminal('has at most ten rows, and says how many units are not among them', async () => {
    const program = show(['run', fixture('crowd.topology.mjs')], 60, 40);
    await program.sees(/── crowd operative {2}15 of 15 up/);
    const lines = await program.screen.lines();
    const head = lines.findIndex((line) => line.startsWith('── crowd'));
    assert.equal(lines.length - head, 10);
    assert.equal(lines.at(-1), '... and 8 more');
  });

  inTerminal('is shown by top on a page of its own, which q leaves', async () => {
    await start('rally.topology.mjs', /rally is operative/);
    const program = show(['top']);
    const text = await program.sees(/channel +with[\s\S]*balls/);
    assert.match(text, /sorted by tree cpu memory restarts uptime name/);
    assert.isTrue(program.screen.onOtherPage);
    program.press('n');
    program.press('q');
    assert.equal(await program.ended, 0);
    assert.isFalse(program.screen.onOtherPage);
    assert.deepEqual(await program.screen.lines(), []);
  });

  inTerminal('is watched by status on a page of its own, too', async () => {
    await start('noisy.topology.mjs', /is operative/);
    const program = show(['status', '--watch']);
    await program.sees(/painter +operative/);
    program.press('\x03');
    assert.equal(await program.ended, 0);
  });

  inTerminal('is waited for with a word of what is waited for', async () => {
    await start('stubborn.topology.ts', /stubborn \| stubborn is up/);
    const program = show(['down']);
    await program.sees(/stopping: .*stubborn stopping/);
    run!.signal('SIGINT');
    await new Promise((resolve) => setTimeout(resolve, 300));
    run!.signal('SIGINT');
    await program.ended;
    assert.match((await program.screen.lines()).at(-1)!, /it ended: /);
  });

  it('tells all about each unit', async () => {
    await start('noisy.topology.mjs', /is operative/);
    const { output } = await command(['status', '--json', '--workspace', place.workspace], place.env);
    const { state, usage, units } = JSON.parse(output);
    assert.equal(state, 'operative');
    assert.isAbove(usage.memoryBytes, 1_000_000);
    const [painter] = units;
    assert.equal(painter.restarts, 0);
    assert.isAtLeast(painter.uptimeMs, 0);
    assert.deepEqual(painter.health, { good: true, failures: 0, why: null });
    assert.isAtLeast(painter.usage.processes, 2, 'the shell and what it runs');
    const { output: text } = await command(['status', '--workspace', place.workspace], place.env);
    assert.match(text, /^noisy operative {2}2 of 2 up/);
    assert.match(text, /painter +operative +\d+ +.* 0 +good +\d+\.\d% +\d/);
  });

  it('is told once a second, one JSON object per line, with what goes through its channels', async () => {
    await start('rally.topology.mjs', /rally is operative/);
    const top = new Command(
      ['top', '--json', '--interval', '200ms', '--workspace', place.workspace],
      place.env,
    );
    await waitUntil('three listings', () => top.output.split('\n').length > 3);
    top.signal('SIGINT');
    assert.equal((await top.ended).code, 0);
    const listings = top.output
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    const channels = listings.at(-1).units.flatMap((unit: { channels: object[] }) => unit.channels);
    const balls = channels.filter(({ channel }: { channel: string }) => channel === 'balls');
    assert.isNotEmpty(balls);
    for (const { sent, received, sentPerSecond } of balls) {
      assert.isAbove(sent + received, 0);
      assert.isNumber(sentPerSecond);
    }
  });

  it('ends a listing when its reader goes', async () => {
    await start('noisy.topology.mjs', /is operative/);
    const top = new Command(['top', '--interval', '100ms', '--workspace', place.workspace], place.env);
    await top.sees(/painter/);
    top.process.stdout!.destroy();
    assert.equal((await top.ended).code, 0);
  });
});
