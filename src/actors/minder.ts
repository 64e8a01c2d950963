// Minder: starts a program under cpp/minder and speaks with the minder, which stays beside it, reports its end and that of
// everything it started, and carries out signals.
import { type ChildProcess, spawn } from 'node:child_process';
import { constants } from 'node:os';
import type { Readable } from 'node:stream';
import { minderPath, type NativeProcess, type NativeSocket, native } from '../transport/native.ts';
import { isGroupOfSession } from './process-group.ts';

/** The packets of cpp/minder/minder.c: four and two 32-bit words in native byte order. */
const report = { spawned: 1, failed: 2, exited: 3, emptied: 4 } as const;
const order = { signalGroup: 1, killAll: 2 } as const;

export interface Launch {
  /** Shown in the minder's command line. */
  readonly unit: string;
  readonly file: string;
  readonly args: readonly string[];
  readonly env: NodeJS.ProcessEnv;
  readonly cwd: string;
  /** A descriptor that the program gets as number 4; it stays the caller's. */
  readonly controlFd?: number;
  /** The number of a descriptor whose end we read: what the program writes there says that it is ready. */
  readonly notifyFd?: number | undefined;
  /** Files that the output goes to. It is ours to read if there are none; with them, the program outlives us. */
  readonly outputFds?: readonly [out: number, err: number] | undefined;
}

export interface MinderObserver {
  spawned(pid: number): void;
  /** The program could not be started. `errno` is the system's number for why. */
  failed(errno: number): void;
  exited(pid: number, code: number | null, signal: string | null): void;
  /** Nothing that the program started is left. Always the last call, also after `failed`. */
  emptied(): void;
}

/** The number under which a program finds its control socket. */
export const controlFdInChild = 4;
/** Where the minder has its own; programs may be given any number below it. */
const minderFd = 10;

export class Minder {
  /** What the program writes; null if that goes to files. */
  readonly stdout: Readable | null;
  readonly stderr: Readable | null;
  readonly notify: Readable | null;
  readonly #process: ChildProcess;
  readonly #socket: NativeSocket;
  readonly #observer: MinderObserver;
  #leader: { pid: number; handle: NativeProcess | undefined } | undefined;
  #leaderEnded = false;
  #over = false;

  constructor(launch: Launch, observer: MinderObserver) {
    const { unit, file, args, env, cwd, controlFd, notifyFd, outputFds } = launch;
    this.#observer = observer;
    const [ours, theirs] = native().socketPair();
    this.#socket = new (native().Socket)(ours);
    // A session of its own, so that the Ctrl-C of a terminal reaches the supervisor alone, which stops all in order.
    const stdio: (number | 'ignore' | 'pipe')[] = Array.from({ length: minderFd }, () => 'ignore');
    stdio[1] = outputFds?.[0] ?? 'pipe';
    stdio[2] = outputFds?.[1] ?? 'pipe';
    if (controlFd !== undefined) stdio[controlFdInChild] = controlFd;
    if (notifyFd !== undefined) stdio[notifyFd] = 'pipe';
    stdio[minderFd] = theirs;
    const stays = outputFds ? ['--survive'] : [];
    this.#process = spawn(minderPath(), [String(minderFd), unit, ...stays, '--', file, ...args], {
      cwd,
      env,
      detached: true,
      stdio,
    });
    native().closeFd(theirs);
    this.stdout = this.#process.stdout;
    this.stderr = this.#process.stderr;
    this.notify = notifyFd === undefined ? null : (this.#process.stdio[notifyFd] as Readable);
    // The folder or the minder itself is missing: there is no process then, and the socket ends by itself.
    this.#process.on('error', (error: NodeJS.ErrnoException) =>
      this.#fail(-(error.errno ?? -constants.errno.EIO)),
    );
    this.#socket.listen(
      (bytes) => this.#onReport(bytes),
      () => this.#onLost(),
      () => {},
    );
  }

  /** The minder's own process number: whatever loses its parent below it becomes its child. */
  get pid(): number | undefined {
    return this.#process.pid;
  }

  /** Whether the program runs, as the kernel says now. */
  get runs(): boolean {
    return !this.#over && !this.#leaderEnded && this.#leader?.handle?.ended === false;
  }

  /** Lets this process end while the program goes on. */
  release(): void {
    this.#process.unref();
    this.#over = true;
    this.#socket.close();
    this.#leader?.handle?.close();
  }

  /** Sends a signal to the program's process group. */
  signal(number: number): void {
    this.#order(order.signalGroup, number);
  }

  /** SIGKILL to everything that descends from the program, wherever it went. */
  killAll(): void {
    this.#order(order.killAll, 0);
  }

  #order(what: number, value: number): void {
    if (this.#over) return;
    try {
      this.#socket.send(Buffer.from(new Int32Array([what, value]).buffer));
    } catch {
      // The minder is gone; the end of the socket says so, and what follows from it is done there.
    }
  }

  #onReport(bytes: Buffer): void {
    if (bytes.length !== 16) return;
    const [what, pid, value] = new Int32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + 16));
    if (what === report.spawned) {
      this.#leader = { pid: pid!, handle: openProcess(pid!) };
      this.#observer.spawned(pid!);
    } else if (what === report.failed) this.#fail(value!);
    else if (what === report.exited) this.#exited(pid!, value!);
    else if (what === report.emptied) this.#finish();
  }

  #exited(pid: number, value: number): void {
    this.#leaderEnded = true;
    if (value < 0) this.#observer.exited(pid, null, signalName(-value));
    else this.#observer.exited(pid, value, null);
  }

  #fail(errno: number): void {
    if (this.#over) return;
    this.#observer.failed(errno);
    this.#finish();
  }

  /**
   * The minder ended without saying that nothing is left: it was killed. Its program died with it, by the parent-death
   * signal; the group is killed here as far as it is certain to be ours.
   */
  #onLost(): void {
    if (this.#over) return;
    const leader = this.#leader;
    if (!leader) {
      this.#fail(constants.errno.ECHILD);
      return;
    }
    // The minder began the session, so a group of it is no stranger's, even if its leader is gone.
    if (leader.handle?.ended === false || isGroupOfSession(leader.pid, this.#process.pid ?? 0))
      try {
        process.kill(-leader.pid, 'SIGKILL');
      } catch {
        // The group is empty already.
      }
    if (leader.handle?.ended === false) leader.handle.signal(constants.signals.SIGKILL);
    if (!this.#leaderEnded) this.#exited(leader.pid, -constants.signals.SIGKILL);
    this.#finish();
  }

  #finish(): void {
    if (this.#over) return;
    this.#over = true;
    this.#socket.close();
    this.#leader?.handle?.close();
    this.#observer.emptied();
  }
}

/** A handle on the program that can never mean another process; undefined if it has ended already. */
function openProcess(pid: number): NativeProcess | undefined {
  try {
    return new (native().Process)(pid, 0);
  } catch {
    return undefined;
  }
}

const signalNames = new Map(
  Object.entries(constants.signals).map(([name, number]) => [number as number, name]),
);

export function signalName(number: number): string {
  return signalNames.get(number) ?? `signal ${number}`;
}
