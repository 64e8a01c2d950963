// `run` as a service: under a service manager that waits for its word, and as the first process of a container.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { assert } from 'chai';
import { waitUntil } from '../support/wait-until.ts';
import { Command, fixture, processesWith, scratch } from './command.ts';

const main = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));

/** Prints each datagram that comes to a socket. Node has none of that kind. */
const manager = `
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1].replace('@', '\\0'))
print('bound', flush=True)
while True: print(s.recv(100).decode(), flush=True)
`;
const hasPython = spawnSync('python3', ['--version']).status === 0;
const canUnshare = spawnSync('unshare', ['--pid', '--fork', '--mount-proc', 'true']).status === 0;

describe('actor-ipc run as a service', function () {
  this.timeout(180_000);
  const place = scratch();
  const children = new Set<ChildProcess>();

  function start(
    program: string,
    args: string[],
    env: NodeJS.ProcessEnv = {},
  ): { child: ChildProcess; output(): string } {
    const child = spawn(program, args, {
      env: { ...process.env, ...place.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    children.add(child);
    let output = '';
    for (const stream of [child.stdout!, child.stderr!])
      stream.on('data', (text: Buffer) => {
        output += text.toString();
      });
    return { child, output: () => output };
  }

  after(async () => {
    for (const child of children) child.kill('SIGKILL');
    await waitUntil('no process of the tree', () => processesWith(place.folder).length === 0);
    place.remove();
  });

  for (const path of [join(place.folder, 'notify'), `@actor-ipc-test-${process.pid}`])
    it(`tells the manager at ${path[0] === '@' ? 'a name' : 'a file'} when all is ready, and when it stops${hasPython ? '' : ' (skipped: no python3 to listen)'}`, async function () {
      if (!hasPython) return this.skip();
      const listener = start('python3', ['-c', manager, path]);
      await waitUntil('the manager', () => /bound/.test(listener.output()));
      const run = new Command(['run', fixture('survivor.topology.ts'), '--workspace', place.workspace], {
        ...place.env,
        NOTIFY_SOCKET: path,
      });
      await waitUntil('READY', () => /READY=1/.test(listener.output()));
      run.signal('SIGTERM');
      assert.equal((await run.ended).code, 0);
      await waitUntil('STOPPING', () => /STOPPING=1/.test(listener.output()));
      listener.child.kill('SIGKILL');
    });

  it(`reaps orphans as the first process${canUnshare ? '' : ' (skipped: no pid namespaces here)'}`, async function () {
    if (!canUnshare) return this.skip();
    const args = ['run', fixture('survivor.topology.ts'), '--workspace', place.workspace];
    const run = start('unshare', [
      '--pid',
      '--fork',
      '--kill-child',
      '--mount-proc',
      process.execPath,
      main,
      ...args,
    ]);
    await waitUntil('the tree', () => /survivor is operative/.test(run.output()));
    const [root] = childrenOf(run.child.pid!);
    // A process whose parents have gone is given to the first one of its namespace.
    spawnSync('nsenter', ['-t', String(root), '-p', '-m', 'sh', '-c', '(sleep 0.2 &)']);
    await waitUntil('an orphan', () => childrenOf(root!).some((pid) => statusOf(pid).startsWith('sleep')));
    await waitUntil('it to be reaped', () =>
      childrenOf(root!).every((pid) => !statusOf(pid).startsWith('sleep')),
    );
    process.kill(root!, 'SIGTERM');
    await waitUntil('its end', () => run.child.exitCode !== null);
  });
});

function childrenOf(pid: number): number[] {
  const path = `/proc/${pid}/task/${pid}/children`;
  return existsSync(path) ? readFileSync(path, 'utf8').trim().split(' ').filter(Boolean).map(Number) : [];
}

/** Name and state. */
function statusOf(pid: number): string {
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    return `${/^Name:\s*(.*)$/m.exec(status)![1]} ${/^State:\s*(.)/m.exec(status)![1]}`;
  } catch {
    return '';
  }
}
