// Peer process: a process of a pair as the one who started it sees it.
import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { cppTarget } from '../test/support/cpp-target.ts';
import { pinned } from './cpus.ts';
import { cacheRecords, type Transport } from './job.ts';
import { ringBytesOf } from './payload.ts';
import { readyLine, type Work } from './peer.ts';

const programs: Record<Exclude<Transport, 'cpp' | 'cpp-copy' | 'cache-cpp'>, string> = {
  crowd: 'crowd-peer.ts',
  session: 'session-peer.ts',
  'session-await': 'session-peer.ts',
  'session-borrow': 'session-peer.ts',
  'session-into': 'session-peer.ts',
  'session-events': 'session-peer.ts',
  loan: 'session-peer.ts',
  'loan-view': 'session-peer.ts',
  lent: 'session-peer.ts',
  broadcast: 'broadcast-peer.ts',
  'fork-json': 'fork-peer.ts',
  'fork-advanced': 'fork-peer.ts',
  atomics: 'atomics-peer.ts',
  doorbell: 'doorbell-peer.ts',
  pipe: 'pipe-peer.ts',
  encoder: 'alone-peer.ts',
  xstate: 'alone-peer.ts',
  turn: 'watched-peer.ts',
  'turn-hosted': 'watched-peer.ts',
  'turn-watched': 'watched-peer.ts',
  'turn-recorded': 'watched-peer.ts',
  actors: 'actors-peer.ts',
  'actors-alone': 'actors-peer.ts',
  units: 'units-peer.ts',
  cache: 'cache-peer.ts',
  'cache-both': 'cache-peer.ts',
  'cache-lru': 'cache-peer.ts',
  'process-standby': 'takeover-peer.ts',
  'process-cold': 'takeover-peer.ts',
  'session-standby': 'takeover-peer.ts',
  'session-cold': 'takeover-peer.ts',
};

/** What a process that has done its work may take to end in order. */
const endTimeoutMs = 5_000;
/** Of what a process says on standard error, the end tells most. */
const complaintCharactersMax = 4_000;

const running = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

export class PeerProcess {
  /** The first line that the process prints. Rejects if it ends before. */
  readonly line: Promise<string>;
  /** Rejects if the process ends before it was released; never resolves. */
  readonly crashed: Promise<never>;
  readonly #child: ChildProcess;
  readonly #exited: Promise<void>;
  readonly #role: string;
  #ending = false;

  constructor(work: Work) {
    const { role, placement, directory } = work;
    const cpu = role === 'driver' ? placement.driverCpu : placement.responderCpu;
    const [file, ...rest] = pinned(cpu, commandOf(work));
    const child = spawn(file!, rest, {
      env: { ...process.env, ACTOR_IPC_RUN_DIR: directory },
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    running.add(child);
    this.#child = child;
    this.#role = role;
    let complaint = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      complaint = (complaint + text).slice(-complaintCharactersMax);
    });
    // A process that has ended no longer reads; its exit tells more.
    child.stdin.on('error', () => {});
    this.#exited = new Promise((resolve) => {
      const gone = () => {
        running.delete(child);
        resolve();
      };
      child.once('error', gone).once('close', gone);
    });
    this.crashed = new Promise((_, reject) => {
      child.once('error', reject);
      child.once('close', (code, signal) => {
        if (!this.#ending)
          reject(new Error(`the ${role} ended (${signal ?? `exit code ${code}`})\n${complaint}`.trim()));
      });
    });
    this.line = Promise.race([firstLine(child), this.crashed]);
    // Whoever waits for one of them may no longer do so when it fails.
    this.crashed.catch(() => {});
    this.line.catch(() => {});
  }

  begin(): void {
    this.#child.stdin!.write(`${readyLine}\n`);
  }

  /** From now on the process may end when it likes. */
  release(): void {
    this.#ending = true;
  }

  /** Waits for the end of a process that ends by itself. */
  async ended(): Promise<void> {
    this.release();
    const timer = setTimeout(() => this.kill(), endTimeoutMs);
    await this.#exited;
    clearTimeout(timer);
    if (this.#child.signalCode === 'SIGKILL') throw new Error(`the ${this.#role} did not end by itself`);
  }

  /** Ends the process now. */
  async kill(): Promise<void> {
    this.release();
    this.#child.kill('SIGKILL');
    await this.#exited;
  }
}

function commandOf(work: Work): string[] {
  const { transport } = work.job;
  if (transport === 'cpp' || transport === 'cpp-copy') return limitCommand(work);
  if (transport === 'cache-cpp') return cacheLimitCommand(work);
  const program = fileURLToPath(new URL(programs[transport], import.meta.url));
  // Only who counts actors asks what they take.
  const flags = transport.startsWith('actors') ? ['--expose-gc'] : [];
  return [process.execPath, ...flags, ...process.execArgv, program, JSON.stringify(work)];
}

let limitProgram: string | undefined;

/** cpp/bench/limit.cc says what it takes. */
function limitCommand({ role, job, directory }: Work): string[] {
  limitProgram ??= cppTarget('actor_ipc_limit', 'actor_ipc_limit', 'cpp/bench');
  const { transport, payload, pauseUs, warmUpMs, measureMs } = job;
  const numbers = [payload, ringBytesOf(payload), pauseUs, warmUpMs, measureMs];
  return [
    limitProgram,
    role,
    join(directory, 'limit.sock'),
    pauseUs === 0 ? 'spin' : 'sleep',
    ...numbers.map(String),
    ...(transport === 'cpp-copy' ? ['copy'] : job.measures),
  ];
}

let cacheLimitProgram: string | undefined;

/** cpp/bench/cache_limit.cc says what it takes. */
function cacheLimitCommand({ role, job }: Work): string[] {
  cacheLimitProgram ??= cppTarget('actor_ipc_cache_limit', 'actor_ipc_cache_limit', 'cpp/bench');
  const { operation = 'get', payload, warmUpMs, measureMs } = job;
  const numbers = [cacheRecords, payload, warmUpMs, measureMs];
  return [cacheLimitProgram, role, operation, ...numbers.map(String)];
}

function firstLine(child: ChildProcess): Promise<string> {
  return new Promise((resolve) => {
    let text = '';
    child.stdout!.setEncoding('utf8').on('data', (part: string) => {
      text += part;
      const end = text.indexOf('\n');
      if (end >= 0) resolve(text.slice(0, end));
    });
  });
}
