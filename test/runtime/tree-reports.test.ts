// What is reported of each kind of end: who it was, how it ended, what is made of it, and the last words of the dead.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { assert } from 'chai';
import type { Log } from '../../src/actors/hosting.ts';
import { openWorkspace } from '../../src/runtime/place.ts';
import { Tree } from '../../src/runtime/tree.ts';
import { defineTopology, type ExecOptions, exec } from '../../src/spec/topology.ts';
import { checkTopology } from '../../src/spec/topology-check.ts';
import { scratch } from '../cli/command.ts';
import { waitUntil } from '../support/wait-until.ts';

interface Report {
  readonly level: string;
  readonly unit: string;
  readonly epoch: number;
  readonly exit: { readonly class: string; readonly reason: string; readonly code: number | null };
  readonly verdict: string;
  readonly delayMs: number;
  readonly restartsLeft: number | null;
  readonly offender: Record<string, unknown>;
  readonly flight?: string[];
  readonly lines?: unknown;
}

const shell = (script: string, more: ExecOptions = {}) => exec('sh', { args: ['-c', script], ...more });
const once = { restart: 'temporary' } as const;

describe('the report of an end', function () {
  this.timeout(90_000);
  const place = scratch();
  const runDirectory = process.env.ACTOR_IPC_RUN_DIR;
  const reports: Report[] = [];
  let tree: Tree;
  let operative = false;

  const reportOf = (name: string) =>
    waitUntil(`the report of ${name}`, () => reports.find(({ unit }) => unit === `shop/${name}`));

  before(async () => {
    process.env.ACTOR_IPC_RUN_DIR = place.env.ACTOR_IPC_RUN_DIR;
    const topology = defineTopology({
      name: 'shop',
      intensity: 5,
      children: {
        stays: exec('sleep', { args: ['1000'] }),
        refuses: shell('echo last words; exit 3', once),
        crashes: shell('kill -SEGV $$', once),
        completes: shell('exit 0', once),
        late: shell('exec sleep 1000', { ...once, ready: { log: /never/ }, startTimeoutMs: 300 }),
        sick: shell('exec sleep 1000', {
          ...once,
          liveness: { exec: ['false'], periodMs: 50, failures: 1 },
        }),
        again: shell('until [ -e crash ]; do sleep 0.05; done; exit 4', {
          cwd: place.folder,
          backoff: { minMs: 600_000, maxMs: 600_000, jitter: 0 },
        }),
        asked: exec('sleep', { args: ['1000'] }),
        deaf: shell('trap "" TERM; echo deaf; while :; do sleep 1000 & wait; done', {
          ready: { log: /deaf/ },
          shutdown: 100,
        }),
      },
    });
    const note = (level: string) => (facts: object) => {
      if ('state' in facts && facts.state === 'operative') operative = true;
      if ('exit' in facts) reports.push({ level, ...facts } as Report);
    };
    const log: Log = { debug: note('debug'), info: note('info'), warn: note('warn'), error: note('error') };
    tree = new Tree(checkTopology(topology, join(place.folder, 'topology.mjs')), {
      workspace: openWorkspace(place.workspace),
      log,
      onLine: () => {},
    });
    // Until all have been ready, what can never start ends the tree.
    await waitUntil('the boot', () => operative);
    writeFileSync(join(place.folder, 'crash'), '');
  });
  after(async () => {
    tree.stop();
    await tree.ended;
    if (runDirectory === undefined) delete process.env.ACTOR_IPC_RUN_DIR;
    else process.env.ACTOR_IPC_RUN_DIR = runDirectory;
    place.remove();
  });

  const rows: [name: string, kind: string, reason: RegExp, verdict: string, level: string][] = [
    ['refuses', 'abnormal', /^ended with code 3$/, 'not restarted', 'warn'],
    ['crashes', 'abnormal', /^ended by SIGSEGV$/, 'not restarted', 'warn'],
    ['completes', 'normal', /^ended with code 0$/, 'not restarted', 'info'],
    ['late', 'abnormal', /^it was not ready in time, so it was stopped/, 'not restarted', 'warn'],
    ['sick', 'abnormal', /so it was stopped: ended by SIGTERM$/, 'not restarted', 'warn'],
    ['again', 'abnormal', /^ended with code 4$/, 'restart', 'warn'],
    ['asked', 'shutdown', /^ended by SIGTERM, as asked$/, 'stay down, as asked', 'info'],
    ['deaf', 'killed', /^did not stop in time, so it was killed$/, 'stay down, as asked', 'info'],
    ['missing', 'permanent-failure', /could not be started/, 'given up', 'warn'],
  ];
  for (const [name, kind, reason, verdict, level] of rows)
    it(`that is ${kind}, of ${name}, has its offender, reason, verdict, delay and what is left`, async () => {
      if (name === 'asked' || name === 'deaf') {
        await waitUntil(`${name} to be up`, () =>
          tree.status().units.some((unit) => unit.name === name && unit.phase === 'up'),
        );
        await tree.operator.stop(name);
      }
      if (name === 'missing')
        await tree.supervision()!.startChild('missing', exec('there-is-no-such-program'));
      const report = await reportOf(name);
      assert.equal(report.exit.class, kind);
      assert.match(report.exit.reason, reason);
      assert.deepInclude(report, { verdict, level, epoch: 1 });
      assert.equal(report.delayMs, name === 'again' ? 600_000 : 0);
      // Of all these ends one is a restart that counts.
      assert.isAtLeast(report.restartsLeft!, 4);
      assert.deepInclude(report.offender, { unit: `shop/${name}`, kind: 'exec', significant: false });
      assert.hasAllKeys(report.offender, [
        'unit',
        'pid',
        'kind',
        'restart',
        'shutdown',
        'significant',
        'file',
      ]);
      if (name !== 'missing') assert.isAbove(report.offender.pid as number, 0);
      // What somebody asked for, or what ended well, needs no last words.
      assert.equal('lines' in report, level === 'warn');
      assert.equal('flight' in report, level === 'warn');
    });

  it('has the last lines that the dead wrote', async () => {
    const { lines } = await reportOf('refuses');
    assert.include(JSON.stringify(lines), 'last words');
  });

  it('says how many restarts are left after one that counts', async () => {
    const report = await reportOf('again');
    assert.equal(report.restartsLeft, 4);
  });
});
