// The command line as a user runs it: what was built, in a process of its own, with its output kept.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { waitUntil } from '../support/wait-until.ts';

const main = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
// What a continuous integration says of colors is no matter of what the tests read.
const { FORCE_COLOR: _, ...plain } = { ...process.env, NO_COLOR: '1' } as NodeJS.ProcessEnv;

/** Characters of the output, from its end, that a failure shows. */
const shownMax = 4000;

export interface CommandResult {
  readonly code: number | null;
  readonly signal: string | null;
  readonly output: string;
}

export class Command {
  readonly process: ChildProcess;
  readonly ended: Promise<CommandResult>;
  output = '';

  constructor(args: string[], env: NodeJS.ProcessEnv = {}) {
    this.process = spawn(process.execPath, [main, ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...plain, ...env },
    });
    const keep = (chunk: Buffer) => {
      this.output += chunk.toString();
    };
    this.process.stdout!.on('data', keep);
    this.process.stderr!.on('data', keep);
    this.ended = once(this.process, 'close').then(([code, signal]) => ({
      code,
      signal,
      output: this.output,
    }));
  }

  get pid(): number {
    return this.process.pid!;
  }

  /** Waits until the output from `from` on matches. @returns the match. */
  async sees(pattern: RegExp, from = 0): Promise<RegExpExecArray> {
    let found: RegExpExecArray | null = null;
    await waitUntil(`output that matches ${pattern}`, () => {
      found = pattern.exec(this.output.slice(from));
      if (!found && this.process.exitCode !== null)
        throw new Error(`it ended without ${pattern}:\n${this.output.slice(-shownMax)}`);
      return found !== null;
    }).catch((error: Error) => {
      throw new Error(`${error.message}\n${this.output.slice(-shownMax)}`);
    });
    return found!;
  }

  signal(name: NodeJS.Signals): void {
    this.process.kill(name);
  }
}

/** Runs a command to its end. */
export function command(args: string[], env?: NodeJS.ProcessEnv): Promise<CommandResult> {
  return new Command(args, env).ended;
}

/** A folder for one test: a run directory and a workspace in it. */
export function scratch(): { folder: string; workspace: string; env: NodeJS.ProcessEnv; remove(): void } {
  const folder = mkdtempSync(join(tmpdir(), 'actor-ipc-cli-'));
  return {
    folder,
    workspace: join(folder, 'workspace'),
    env: { ACTOR_IPC_RUN_DIR: join(folder, 'run') },
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}

/** Numbers of all living processes whose environment has that text; zombies have none. */
export function processesWith(text: string): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      try {
        return pid !== process.pid && readFileSync(`/proc/${pid}/environ`, 'latin1').includes(text);
      } catch {
        return false;
      }
    });
}

export function fixture(name: string): string {
  return fileURLToPath(new URL(`../fixtures/cli/${name}`, import.meta.url));
}

export const telemetry = fileURLToPath(new URL('../../examples/telemetry/topology.ts', import.meta.url));
