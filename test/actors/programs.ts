// Several runtimes in one process, as if each were a program of its own, with one run directory and what they log.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Log } from '../../src/actors/hosting.ts';
import { Runtime } from '../../src/runtime/program.ts';

export class Programs {
  readonly folder = mkdtempSync(join(tmpdir(), 'actor-ipc-programs-'));
  readonly messages: { level: string; message: string; facts: object }[] = [];
  readonly #runtimes: Runtime[] = [];

  runtime(): Runtime {
    const note = (level: string) => (facts: object, message: string) =>
      void this.messages.push({ level, message, facts });
    const log: Log = { debug: note('debug'), info: note('info'), warn: note('warn'), error: note('error') };
    const runtime = new Runtime({ runDirectory: this.folder, log });
    this.#runtimes.push(runtime);
    return runtime;
  }

  /** Stops all of them, the newest first. */
  async close(): Promise<void> {
    for (const runtime of this.#runtimes.reverse()) await runtime.stop();
    rmSync(this.folder, { recursive: true, force: true });
  }
}
