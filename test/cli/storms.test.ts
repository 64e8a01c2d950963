// Restart storms end: what crashes again and again comes to its limit and stays down, and all others stay as they were.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { assert } from 'chai';
import { waitUntil } from '../support/wait-until.ts';
import { Command, command, processesWith, scratch } from './command.ts';

interface Unit {
  readonly name: string;
  readonly phase: string;
  readonly pid: number | null;
  readonly starts: number;
  readonly note: string | null;
}

describe('a tree in which several units storm at once', function () {
  this.timeout(90_000);
  const place = scratch();
  const program = (script: string, more: string) =>
    `{ kind: exec, file: /bin/sh, args: ['-c', '${script}'], backoff: { minMs: 1, maxMs: 20 }${more} }`;
  const limited = ', giveUp: { restarts: 6, periodMs: 600000 }';
  let run: Command;

  before(() => {
    mkdirSync(place.folder, { recursive: true });
    const file = join(place.folder, 'storms.yaml');
    const steady = program('exec sleep 1000', '');
    writeFileSync(
      file,
      `name: storms
children:
  steady: ${steady}
  # Dies as soon as it is there.
  loop: ${program('exit 1', limited)}
  # Is there for a moment each time, so that whoever is bound to it comes and goes.
  flapping: ${program('sleep 0.05; exit 1', limited)}
  bound: ${program('exec sleep 1000', ', dependsOn: { flapping: { state: ready, mode: bind } }')}
  group:
    kind: supervisor
    strategy: one-for-all
    intensity: 4
    periodMs: 600000
    giveUp: { restarts: 1, periodMs: 600000 }
    children:
      calm: ${steady}
      wild: ${program('sleep 0.05; exit 1', '')}
  beside: ${steady}
`,
    );
    run = new Command(['run', file, '--workspace', place.workspace], place.env);
  });
  after(async () => {
    run.signal('SIGKILL');
    await run.ended;
    await waitUntil('no process of the tree', () => processesWith(place.folder).length === 0);
    place.remove();
  });

  async function units(): Promise<Map<string, Unit>> {
    const { output } = await command(['status', '--json', '--workspace', place.workspace], place.env);
    return new Map((JSON.parse(output).units as Unit[]).map((unit) => [unit.name, unit]));
  }

  it('gives up each at its own limit, with the reason, and leaves all others alone', async () => {
    for (const name of ['loop', 'flapping', 'group']) await run.sees(new RegExp(`${name}: .*given up`));
    const now = await units();
    for (const name of ['loop', 'flapping', 'group']) {
      assert.equal(now.get(name)!.phase, 'failed', name);
      assert.match(now.get(name)!.note!, /^more than \d restarts? within 600000 ms/, name);
    }
    // The first start, and six again.
    assert.equal(now.get('loop')!.starts, 7);
    assert.equal(now.get('flapping')!.starts, 7);
    for (const name of ['steady', 'beside']) {
      assert.equal(now.get(name)!.phase, 'up', name);
      assert.equal(now.get(name)!.starts, 1, name);
    }
    const bound = now.get('bound')!;
    assert.isNull(bound.pid, 'who is bound to what is down is down');
    assert.isAtMost(bound.starts, 7, 'and was started no more often than that');
  });

  it('stops in order after all that', async () => {
    run.signal('SIGINT');
    // That some had to be given up is told once more.
    assert.equal((await run.ended).code, 1);
    assert.match(run.output, /storms ended: asked to stop; failed: loop, flapping, bound, group\n/);
  });
});
