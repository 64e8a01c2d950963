// Doctor: looks at the machine as the transport and the supervisor need it, and says what to change.
import { readFileSync, statfsSync } from 'node:fs';
import { availableParallelism, freemem } from 'node:os';
import { IpcError, messageOf } from '../errors.ts';
import { minderPath, native } from '../transport/native.ts';
import { ensureRunDirectory } from '../transport/run-directory.ts';
import { type Finding, good, poor, wrong } from './finding.ts';
import { defaultRunDirectory } from './place.ts';

const MiB = 2 ** 20;
/** A session takes four descriptors on each side. */
const filesGood = 4_096;
const processesGood = 1_024;
const mapsGood = 65_530;
const memoryGoodBytes = 512 * MiB;
/** Of the 108 bytes that the address of a socket may have, those that its own name takes. */
const socketNameBytes = 40;

/** Everything that is looked at, in order. */
export function examine(env: NodeJS.ProcessEnv): Finding[] {
  return [
    node(),
    addon(),
    ...kernel(),
    processors(),
    limit(
      'open files',
      'Max open files',
      filesGood,
      'raise it with "ulimit -n 65536", or LimitNOFILE= of the service',
    ),
    limit(
      'processes',
      'Max processes',
      processesGood,
      'raise it with "ulimit -u 4096", or TasksMax= of the service',
    ),
    mappings(),
    memory(),
    runDirectory(env),
    space(env),
  ];
}

function node(): Finding {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  const fits = major > 20 || (major === 20 && minor >= 19);
  const found = `v${process.versions.node}`;
  return fits ? good('node', found) : wrong('node', found, 'install Node.js 20.19 or later');
}

function addon(): Finding {
  try {
    native();
    minderPath();
    return good('addon', 'loads, with its minder');
  } catch (error) {
    return wrong(
      'addon',
      messageOf(error),
      'run "npm rebuild actor-ipc" with CMake and a C++20 compiler installed',
    );
  }
}

function kernel(): Finding[] {
  const release = readOr('/proc/sys/kernel/osrelease').trim();
  try {
    const missing = native().probe();
    if (missing.length === 0) return [good('kernel', `${release}, with all that is needed`)];
    return missing.map(({ feature, message }) =>
      wrong(
        'kernel',
        `${release} does not offer ${feature}: ${message}`,
        'use Linux 5.6 or later, and a seccomp profile that allows it',
      ),
    );
  } catch {
    // Without the addon nobody can tell; that it is missing has been said.
    return [];
  }
}

function processors(): Finding {
  const count = availableParallelism();
  return count > 1
    ? good('processors', String(count))
    : poor('processors', '1', 'give it two: on one, nobody can wait for a message without sleeping');
}

function limit(name: string, row: string, enough: number, advice: string): Finding {
  const line = readOr('/proc/self/limits')
    .split('\n')
    .find((text) => text.startsWith(row));
  const soft = line?.slice(row.length).trim().split(/\s+/)[0] ?? 'unknown';
  return soft === 'unlimited' || Number(soft) >= enough ? good(name, soft) : poor(name, soft, advice);
}

function mappings(): Finding {
  const max = Number(readOr('/proc/sys/vm/max_map_count'));
  return max >= mapsGood || Number.isNaN(max)
    ? good('mappings', String(max))
    : poor(
        'mappings',
        String(max),
        `set vm.max_map_count to ${mapsGood} or more: each session maps two segments`,
      );
}

function memory(): Finding {
  const bytes = Math.min(availableBytes(), groupBytes());
  const found = `${Math.round(bytes / MiB)} MiB available`;
  return bytes >= memoryGoodBytes
    ? good('memory', found)
    : poor('memory', found, 'a process of Node takes some 50 MiB; give the machine or the group more');
}

function availableBytes(): number {
  const [, kibibytes] = /^MemAvailable:\s+(\d+) kB$/m.exec(readOr('/proc/meminfo')) ?? [];
  return kibibytes === undefined ? freemem() : Number(kibibytes) * 1024;
}

/** What the control group leaves; without a limit, infinity. */
function groupBytes(): number {
  const path = /^0::(.*)$/m.exec(readOr('/proc/self/cgroup'))?.[1];
  if (path === undefined) return Number.POSITIVE_INFINITY;
  const max = Number(readOr(`/sys/fs/cgroup${path}/memory.max`) || 'max');
  const used = Number(readOr(`/sys/fs/cgroup${path}/memory.current`));
  return Number.isNaN(max) ? Number.POSITIVE_INFINITY : max - used;
}

function runDirectory(env: NodeJS.ProcessEnv): Finding {
  let path: string | undefined;
  try {
    path = defaultRunDirectory(env);
    ensureRunDirectory(path);
  } catch (error) {
    const why = error instanceof IpcError ? messageOf(error.cause ?? error) : messageOf(error);
    return wrong(
      'run directory',
      `${path ?? ''} ${why}`.trim(),
      'set ACTOR_IPC_RUN_DIR to a folder that only you can enter',
    );
  }
  // A tree has a folder of its own in it.
  if (Buffer.byteLength(path) + socketNameBytes > 108)
    return wrong(
      'run directory',
      `${path} is too long for a socket`,
      'set ACTOR_IPC_RUN_DIR to a shorter path',
    );
  return good('run directory', path);
}

function space(env: NodeJS.ProcessEnv): Finding {
  try {
    const path = defaultRunDirectory(env);
    const { bavail, bsize } = statfsSync(path);
    const free = bavail * bsize;
    const found = `${Math.round(free / MiB)} MiB free at ${path}`;
    return free > MiB ? good('space', found) : wrong('space', found, 'free some, or set ACTOR_IPC_RUN_DIR');
  } catch (error) {
    return wrong('space', messageOf(error), 'set ACTOR_IPC_RUN_DIR');
  }
}

function readOr(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
