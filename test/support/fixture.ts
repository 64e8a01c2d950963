// Programs that tests start as processes of their own: `using one = startFixture('transport/litmus.ts', [...])`.
import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

export interface ProgramEnd {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Program extends Disposable {
  readonly child: ChildProcess;
  readonly end: Promise<ProgramEnd>;
}

export interface ProgramOptions {
  /** Descriptors that the program finds from 3 on; they stay the caller's. */
  readonly fds?: readonly number[];
  readonly env?: NodeJS.ProcessEnv;
}

/** Starts a program; it is killed when the returned object is disposed of. */
export function startProgram(
  command: string,
  args: readonly string[],
  { fds = [], env = {} }: ProgramOptions = {},
): Program {
  const child = spawn(command, args, {
    stdio: ['ignore', 'pipe', 'pipe', ...fds],
    env: { ...process.env, ...env },
  });
  const end = new Promise<ProgramEnd>((resolve, reject) => {
    let stdout = '';
    let stderr = '';
    child.stdout!.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
    });
    child.stderr!.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
    });
    child.once('error', reject);
    child.once('close', (code, signal) => resolve({ code, signal, stdout, stderr }));
  });
  // Whoever disposes of a program early need not look at its end.
  end.catch(() => undefined);
  return {
    child,
    end,
    [Symbol.dispose]() {
      child.kill('SIGKILL');
    },
  };
}

/** The command line of a program below test/fixtures/, in TypeScript or JavaScript. */
export function fixtureCommand(name: string, args: readonly string[] = []): [string, ...string[]] {
  const path = fileURLToPath(new URL(`../fixtures/${name}`, import.meta.url));
  return [process.execPath, '--import', 'tsx/esm', path, ...args];
}

export function startFixture(name: string, args: readonly string[] = [], options?: ProgramOptions): Program {
  const [command, ...rest] = fixtureCommand(name, args);
  return startProgram(command, rest, options);
}
