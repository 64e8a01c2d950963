// Root: the supervisor of a tree that a peer starts and watches, seen by what it prints.
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const main = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url));

/** For units that are killed on purpose, again and again. */
export const atOnce = {
  backoff: { minMs: 0, maxMs: 0 },
  giveUp: { restarts: 1_000_000, periodMs: 1 },
  shutdown: 1_000,
};

export class Root {
  readonly #process: ChildProcess;
  readonly #runDirectory: string;
  readonly #lines: { line: string; atNs: bigint }[] = [];
  #onLine: () => void = () => {};

  constructor(directory: string, name: string, children: object) {
    const folder = join(directory, name);
    mkdirSync(folder, { recursive: true });
    const file = join(folder, 'topology.mjs');
    writeFileSync(file, `export default ${JSON.stringify({ name, children })};\n`);
    this.#runDirectory = join(folder, 'r');
    const args = [main, 'run', file, '--workspace', join(folder, 'w'), '--json'];
    this.#process = spawn(process.execPath, args, {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, ACTOR_IPC_RUN_DIR: this.#runDirectory },
    });
    // Also if we fail; its minders end the rest.
    process.on('exit', () => this.#process.kill('SIGKILL'));
    createInterface({ input: this.#process.stdout! }).on('line', (line) => {
      this.#lines.push({ line, atNs: process.hrtime.bigint() });
      this.#onLine();
    });
  }

  get pid(): number {
    return this.#process.pid!;
  }

  /** The number of lines so far. */
  get seen(): number {
    return this.#lines.length;
  }

  /** When a line that matches came, of those from `from` on. */
  async sees(pattern: RegExp, from = 0): Promise<{ match: RegExpExecArray; atNs: bigint; index: number }> {
    for (let index = from; ; index++) {
      while (index >= this.#lines.length)
        await new Promise<void>((resolve) => {
          this.#onLine = resolve;
        });
      const { line, atNs } = this.#lines[index]!;
      const match = pattern.exec(line);
      if (match) return { match, atNs, index };
    }
  }

  /** Minders and programs, by what their environment says. */
  descendants(): number[] {
    return readdirSync('/proc')
      .map(Number)
      .filter(
        (pid) => pid > 0 && pid !== this.pid && environmentOf(pid).includes(`=${this.#runDirectory}\0`),
      );
  }

  async stop(): Promise<void> {
    const ended = new Promise((resolve) => this.#process.once('exit', resolve));
    this.#process.kill('SIGTERM');
    await ended;
  }
}

/** Empty if it has ended. */
function environmentOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/environ`, 'latin1');
  } catch {
    return '';
  }
}
