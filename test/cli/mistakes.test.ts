// Topologies with one mistake each, and who finds it: `simulate` before anything runs, `chaos` by running it.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { assert } from 'chai';
import { command, scratch } from './command.ts';

describe('a topology with a mistake', function () {
  this.timeout(90_000);
  const place = scratch();
  after(() => place.remove());

  function topologyOf(name: string, children: string): string {
    mkdirSync(place.folder, { recursive: true });
    const file = join(place.folder, `${name}.yaml`);
    writeFileSync(file, `name: ${name}\nchildren:\n${children}`);
    return file;
  }
  const program = (script: string, more = '') =>
    `{ kind: exec, file: /bin/sh, args: ['-c', ${JSON.stringify(script)}]${more} }`;
  const sleeps = 'sleep 1000 & wait';
  const endless = ', backoff: { minMs: 0, maxMs: 0 }, giveUp: { restarts: 1000000, periodMs: 1000 }';

  async function simulated(file: string, crashes = 60): Promise<{ kind: string; what: string }[]> {
    const { code, output } = await command(
      ['simulate', file, '--crashes', String(crashes), '--json'],
      place.env,
    );
    assert.equal(code, 1, output);
    return (JSON.parse(output) as { findings: { kind: string; what: string }[] }).findings;
  }
  function finds(findings: { kind: string; what: string }[], kind: string, what: RegExp): void {
    const found = findings.filter((each) => each.kind === kind);
    assert.isTrue(
      found.some((each) => what.test(each.what)),
      JSON.stringify(findings, null, 2),
    );
  }
  const chaos = (file: string, ...more: string[]) =>
    command(['chaos', file, '--for', '1s', '--patience', '20s', '--seed', '3', ...more], place.env);

  // They wait most of the time, so all at once.
  const pid = join(place.folder, 'db.pid');
  const running: Record<string, ReturnType<typeof chaos>> = {};
  before(() => {
    const crashing = program('sleep 0.1; exit 1', endless);
    running.storming = chaos(topologyOf('storming', `  a: ${crashing}\n  b: ${program(sleeps)}\n`));
    running.closed = chaos(
      topologyOf(
        'closed',
        `  db: ${program(sleeps, ', states: { hot: { log: never-said } }')}
  web: ${program(sleeps, ', dependsOn: { db: hot }')}
`,
      ),
      ...['--patience', '2s'],
    );
    const deaf = program("trap '' TERM; while true; do sleep 1; done", ', shutdown: infinity');
    running.deaf = chaos(topologyOf('deafer', `  a: ${deaf}\n`), '--patience', '12s');
    running.order = chaos(
      topologyOf(
        'order',
        `  db: ${program(`echo $$ > ${pid}; exec sleep 1000`)}
  web: ${program(`trap 'kill $(cat ${pid}); sleep 1; exit 0' TERM; ${sleeps}`, ', dependsOn: { db: ready }')}
`,
      ),
    );
  });

  it('restarts for ever: simulate', async () => {
    const file = topologyOf('storm', `  a: ${program(sleeps, endless)}\n`);
    finds(await simulated(file), 'restart-storm', /^a is restarted for ever if it keeps crashing/);
  });

  it('restarts for ever: chaos', async () => {
    const { code, output } = await running.storming!;
    assert.equal(code, 1, output);
    assert.match(output, /a has started \d+ times in \d\.\d s, and nothing was done to it/);
    assert.notMatch(output, /b has started/);
  });

  it('has a gate that never opens: simulate', async () => {
    const file = topologyOf(
      'gate',
      `  prepare: ${program('true', ', restart: transient')}
  loader: ${program('true', ', restart: transient, dependsOn: { prepare: completed }')}
  web: ${program(sleeps, ', dependsOn: { prepare: { state: operative, mode: bind } }')}
`,
    );
    finds(await simulated(file), 'dead-gate', /^web: prepare is completed and will not be operative/);
  });

  it('has a gate that never opens: chaos', async () => {
    const { code, output } = await running.closed!;
    assert.equal(code, 6, output);
    assert.match(output, /the tree is not up/);
  });

  it('waits for ever for one that does not stop: simulate', async () => {
    const file = topologyOf('deaf', `  a: ${program(sleeps, ', shutdown: infinity')}\n`);
    // It must happen to be the last thing that befalls it.
    finds(await simulated(file, 400), 'stop', /does not come to its end/);
  });

  it('waits for ever for one that does not stop: chaos', async () => {
    const { code, output } = await running.deaf!;
    assert.equal(code, 1, output);
    assert.match(output, /the tree is still there 12 s after it was to stop/);
  });

  it('has a program that ends what it depends on before it ends itself: chaos', async () => {
    const { code, output } = await running.order!;
    assert.equal(code, 1, output);
    assert.match(output, /db has ended before web, which depends on it/);
  });
});
