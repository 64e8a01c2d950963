// Session looks: the latest look at each process of a session, kept once it stays the same.
import { setTimeout as pause } from 'node:timers/promises';
import type { Log } from '../actors/hosting.ts';
import { messageOf } from '../errors.ts';
import type { Fingerprint } from '../spec/fingerprint.ts';
import type { StateFingerprints } from '../workspace/state-fingerprints.ts';

/** A program opens what it needs in its first seconds: so often it is looked at until two looks are the same. */
const settlingLooksMax = 30;
const settlingMs = 1_000;

interface Looked {
  /** How it looks now. @throws {IpcError} if it does not run, or may not be looked at. */
  look(name: string): Fingerprint;
  readonly log: Log;
}

export class SessionLooks {
  readonly #fingerprints: StateFingerprints;
  readonly #looked: Looked;
  readonly #settling = new Set<string>();
  readonly #over = new AbortController();

  constructor(fingerprints: StateFingerprints, looked: Looked) {
    this.#fingerprints = fingerprints;
    this.#looked = looked;
  }

  /** It has come up. */
  async keep(name: string): Promise<void> {
    if (this.#settling.has(name)) return;
    this.#settling.add(name);
    try {
      for (let last = '', left = settlingLooksMax; left > 0; left--) {
        const fingerprint = this.#looked.look(name);
        const text = JSON.stringify(fingerprint);
        if (text === last) break;
        this.#fingerprints.save(name, fingerprint);
        last = text;
        await pause(settlingMs, undefined, { signal: this.#over.signal });
      }
    } catch (error) {
      // It has ended, as the session may have; a disk that is full costs the look, not the run.
      this.#looked.log.debug({ unit: name }, `${name}: ${messageOf(error)}`);
    } finally {
      this.#settling.delete(name);
    }
  }

  end(): void {
    this.#over.abort();
  }
}
