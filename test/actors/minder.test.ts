// What ends the descendants of a supervised program when something is killed: each layer by itself.
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { assert } from 'chai';
import { Minder } from '../../src/actors/minder.ts';
import { minderPath, native } from '../../src/transport/native.ts';
import { processesWith } from '../cli/command.ts';
import { waitUntil } from '../support/wait-until.ts';

/** Leaves one process in its group, one in a session of its own, and one that was forked twice. */
const family =
  'sleep 1000 & setsid sleep 1001 & (setsid sh -c "sleep 1002 & exec sleep 1003" &) ; exec sleep 1004';

interface Family {
  readonly mark: string;
  readonly minder: ChildProcess;
  readonly supervisorEnd: number;
}

let serial = 0;

/** A minder with its program, whose supervisor is nobody but the socket. */
async function startFamily(...options: string[]): Promise<Family> {
  const mark = `ACTOR_IPC_TEST_FAMILY=${process.pid}-${++serial}`;
  const [supervisorEnd, theirs] = native().socketPair();
  const [name, value] = mark.split('=') as [string, string];
  const minder = spawn(minderPath(), ['3', 'test', ...options, '--', 'sh', '-c', family], {
    detached: true,
    stdio: ['ignore', 'ignore', 'ignore', theirs],
    env: { ...process.env, [name]: value },
  });
  native().closeFd(theirs);
  await waitUntil('the whole family', () => programs(mark, minder.pid!).length >= 5);
  return { mark, minder, supervisorEnd };
}

const programs = (mark: string, minder: number) => processesWith(mark).filter((pid) => pid !== minder);
const commandOf = (pid: number) =>
  readFileSync(`/proc/${pid}/cmdline`, 'latin1').replaceAll('\0', ' ').trim();
const gone = (mark: string) => waitUntil('all of them to be gone', () => processesWith(mark).length === 0);

function endAll(mark: string): void {
  for (const pid of processesWith(mark))
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // It has ended by itself.
    }
}

describe('a supervised program', function () {
  this.timeout(90_000);

  it('is ended with all that descends from it when its supervisor is gone: by the minder', async () => {
    const { mark, minder, supervisorEnd } = await startFamily();
    native().closeFd(supervisorEnd);
    await gone(mark);
    await waitUntil(
      'the end of the minder',
      () => !existsSync(`/proc/${minder.pid}`) || minder.exitCode !== null,
    );
  });

  it('is ended when its minder is killed: by the parent-death signal', async () => {
    const { mark, minder, supervisorEnd } = await startFamily();
    const leader = programs(mark, minder.pid!).find((pid) => commandOf(pid) === 'sleep 1004')!;
    minder.kill('SIGKILL');
    await waitUntil('the end of the program', () => !existsSync(`/proc/${leader}`));
    native().closeFd(supervisorEnd);
    endAll(mark);
    await gone(mark);
  });

  it('has its group ended when its minder is killed: by the supervisor', async () => {
    const mark = `ACTOR_IPC_TEST_FAMILY=${process.pid}-${++serial}`;
    const [name, value] = mark.split('=') as [string, string];
    const happened: string[] = [];
    const minder = new Minder(
      {
        unit: 'test',
        file: 'sh',
        args: ['-c', 'sleep 1000 & exec sleep 1004'],
        env: { ...process.env, [name]: value },
        cwd: '/',
      },
      {
        spawned: () => happened.push('spawned'),
        failed: () => happened.push('failed'),
        exited: (_, __, signal) => happened.push(`exited by ${signal}`),
        emptied: () => happened.push('emptied'),
      },
    );
    minder.stdout?.resume();
    minder.stderr?.resume();
    await waitUntil('all three', () => processesWith(mark).length === 3 && happened.length === 1);
    const own = processesWith(mark).find((pid) => commandOf(pid).startsWith(minderPath()))!;
    process.kill(own, 'SIGKILL');
    await gone(mark);
    await waitUntil('its report', () => happened.length === 3);
    assert.deepEqual(happened, ['spawned', 'exited by SIGKILL', 'emptied']);
  });

  it('goes on without its supervisor if it is to survive', async () => {
    const { mark, minder, supervisorEnd } = await startFamily('--survive');
    const before = processesWith(mark).length;
    native().closeFd(supervisorEnd);
    // It has seen the end of its socket once it has let go of it.
    await waitUntil('the minder to notice', () => !existsSync(`/proc/${minder.pid}/fd/3`));
    assert.lengthOf(processesWith(mark), before);
    endAll(mark);
    await gone(mark);
  });
});
