// The output of a tree that nobody reads: the supervisor goes on, and what was not shown is counted.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { assert } from 'chai';
import { Backlog, backlogLengthMax } from '../../src/cli/backlog.ts';
import { hasScript, ProgramOnScreen } from '../support/screen.ts';
import { waitUntil } from '../support/wait-until.ts';
import { command, processesWith, scratch } from './command.ts';

const main = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
const enough = 4 * backlogLengthMax;
/** Numbered lines, until there are more than anybody between can hold. */
const counts = `
  let line = 0;
  const padding = '.'.repeat(190);
  const timer = setInterval(() => {
    for (let i = 0; i < 20; i++) process.stdout.write(\`line \${++line} \${padding}\\n\`);
    if (line * 200 > ${enough}) { clearInterval(timer); process.stdout.write('line last\\n'); setInterval(() => {}, 1e6); }
  }, 10);`;

describe('the output of run that nobody reads', function () {
  this.timeout(180_000);
  const place = scratch();
  const topology = join(place.folder, 'topology.json');
  const args = [main, 'run', topology, '--workspace', place.workspace];
  const ends: (() => Promise<unknown>)[] = [];

  before(() => {
    writeFileSync(join(place.folder, 'counts.cjs'), counts);
    writeFileSync(
      topology,
      JSON.stringify({
        name: 'loud',
        children: { counts: { kind: 'exec', file: process.execPath, args: ['counts.cjs'] } },
      }),
    );
  });
  afterEach(async () => {
    for (const end of ends.splice(0)) await end();
    await waitUntil('no process of the tree', () => processesWith(place.folder).length === 0);
  });
  after(() => place.remove());

  /** Its stdout is a pipe, of which Node itself takes a little and then no more. */
  function startUnread(...more: string[]) {
    const child = spawn(process.execPath, [...args, ...more], {
      stdio: ['ignore', 'pipe', 'ignore'],
      env: { ...process.env, ...place.env, NO_COLOR: '1', FORCE_COLOR: undefined },
    });
    const ended = once(child, 'close');
    ends.push(() => {
      child.kill('SIGKILL');
      child.stdout.resume();
      return ended;
    });
    return { child, exited: once(child, 'exit') };
  }
  const logged = (): string => {
    const path = join(place.workspace, 'out', 'loud.counts.out');
    return existsSync(path) ? readFileSync(path, 'utf8') : '';
  };
  /** The supervisor is the one who writes that file. */
  async function hasLoggedAll(from: number): Promise<string> {
    await waitUntil('the last line in the file', () => logged().slice(from).includes('line last'));
    return logged().slice(from);
  }
  async function answers(): Promise<void> {
    const { code, output } = await command(['status', '--workspace', place.workspace], place.env);
    assert.equal(code, 0, output);
  }
  const numbersIn = (text: string) => [...text.matchAll(/line (\d+) /g)].map(([, number]) => Number(number));

  for (const [what, more, gap] of [
    ['lines', [], /^\((\d+) lines are not shown: they came faster than they were read; .*\)$/m],
    ['JSON', ['--json'], /^\{"time":"[^"]+","missed":(\d+)\}$/m],
  ] as const)
    it(`as ${what}: files stay whole, and the gap is counted where it is`, async () => {
      const before = logged().length;
      const { child } = startUnread(...more);
      const file = await hasLoggedAll(before);
      const written = numbersIn(file);
      assert.deepEqual(
        written,
        written.map((_, at) => at + 1),
      );
      await answers();
      let seen = '';
      child.stdout.on('data', (bytes: Buffer) => {
        seen += bytes.toString();
      });
      await waitUntil('the last line', () => seen.includes('line last'));
      const [gapLine, missed] = gap.exec(seen)!;
      const shown = numbersIn(seen);
      // Records of the supervisor may be among those that are missing.
      const lost = written.length - shown.length;
      assert.isAtLeast(Number(missed), lost);
      assert.isAtMost(Number(missed), lost + 5);
      const at = shown.findIndex((number, index) => number !== index + 1);
      assert.isBelow(seen.indexOf(`line ${shown[at - 1]} `), seen.indexOf(gapLine));
      assert.isAbove(seen.indexOf(`line ${shown[at]} `), seen.indexOf(gapLine));
      assert.isBelow(seen.length, 3 * backlogLengthMax);
    });

  it('holds up no end: all is stopped in order, with its code', async () => {
    const { child, exited } = startUnread();
    await hasLoggedAll(statSync(join(place.workspace, 'out', 'loud.counts.out')).size);
    child.kill('SIGTERM');
    assert.deepEqual(await exited, [0, null]);
  });

  it(`in a terminal that takes nothing${hasScript ? '' : " (skipped: util-linux's script is not installed)"}`, async function () {
    if (!hasScript) return this.skip();
    const before = logged().length;
    const program = new ProgramOnScreen([process.execPath, ...args], place.env, 120, 20);
    ends.push(() => {
      program.process.kill('SIGCONT');
      program.process.kill('SIGKILL');
      return program.ended;
    });
    await program.sees(/── loud operative/);
    // Whoever draws the terminal stands still, as with Ctrl-S.
    program.process.kill('SIGSTOP');
    await hasLoggedAll(before);
    await answers();
    program.process.kill('SIGCONT');
    await program.sees(/lines are not shown/);
    await program.sees(/line last\s+── loud operative/);
    program.press('\x03');
    assert.equal(await program.ended, 0);
  });
});

describe('a backlog', () => {
  it('gives back what was put in, in order and in portions of about that length', () => {
    const backlog = new Backlog(() => 'gap\n');
    for (let line = 0; line < 10; line++) backlog.add(`${line}\n`);
    assert.equal(backlog.take(4), '0\n1\n');
    assert.equal(backlog.take(1), '2\n');
    assert.equal(backlog.take(), '3\n4\n5\n6\n7\n8\n9\n');
    assert.equal(backlog.take(), '');
    assert.equal(backlog.length, 0);
  });

  it('loses the oldest and tells how many lines, and never the newest', () => {
    const backlog = new Backlog((lines) => `${lines} lost\n`);
    const lines = Array.from({ length: 1_000 }, (_, at) => `${at} ${'x'.repeat(1_000)}\n`);
    for (const line of lines) backlog.add(line);
    assert.isAtMost(backlog.length, backlogLengthMax);
    const text = backlog.take();
    const [, lost] = /^(\d+) lost\n/.exec(text)!;
    assert.equal(text.slice(text.indexOf('\n') + 1), lines.slice(Number(lost)).join(''));
    backlog.add(`${'y'.repeat(2 * backlogLengthMax)}\n`);
    assert.lengthOf(backlog.take(), 2 * backlogLengthMax + 1);
    assert.equal(backlog.length, 0);
  });
});
