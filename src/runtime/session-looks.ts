// Session looks: how the processes of a session look. The latest look at each is kept once it stays the same; whoever waits for
// a condition is told when it holds.
import { setTimeout as pause } from 'node:timers/promises';
import type { Log } from '../actors/hosting.ts';
import type { Observation } from '../actors/observation.ts';
import { IpcError, messageOf } from '../errors.ts';
import type { UnitReport } from '../machines/unit-report.ts';
import type { Condition } from '../spec/condition.ts';
import type { Fingerprint } from '../spec/fingerprint.ts';
import { takeFingerprint } from '../workspace/fingerprint.ts';
import type { SessionWorkspace } from '../workspace/session-workspace.ts';

/** A program opens what it needs in its first seconds: so often it is looked at until two looks are the same. */
const settlingLooksMax = 30;
const settlingMs = 1_000;

interface Looked {
  observation(name: string): Observation | undefined;
  readonly log: Log;
}

export class SessionLooks {
  readonly #workspace: SessionWorkspace;
  readonly #looked: Looked;
  /** Those who wait look again when the process that they wait for is another one. */
  readonly #renewals = new Map<string, Set<() => void>>();
  readonly #settling = new Set<string>();
  readonly #over = new AbortController();

  constructor(workspace: SessionWorkspace, looked: Looked) {
    this.#workspace = workspace;
    this.#looked = looked;
  }

  /** @throws {IpcError} ERR_REFUSED if it does not run, ERR_SYSTEM if it may not be looked at. */
  now(name: string): Fingerprint {
    const place = this.#looked.observation(name)?.place;
    if (!place) throw IpcError.of('ERR_REFUSED', `look at ${name}`, 'it does not run');
    return takeFingerprint(place.pid, place);
  }

  /** Until the condition holds. Rejects with the reason of the signal; ERR_CONDITION_INVALID if it can't be told. */
  until(name: string, condition: Condition, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      let unfollow: (() => void) | undefined;
      const ended = AbortSignal.any([signal, this.#over.signal]);
      const settle = (settled: () => void) => {
        unfollow?.();
        renewals.delete(renew);
        ended.removeEventListener('abort', abort);
        settled();
      };
      const abort = () => settle(() => reject(ended.reason as Error));
      const onAnswer = (holds: boolean, why?: string) => {
        if (holds) settle(resolve);
        else if (why !== undefined) this.#looked.log.debug({ unit: name, why }, `${name}: ${why}`);
      };
      const renew = () => {
        unfollow?.();
        unfollow = this.#looked.observation(name)?.follow(condition, onAnswer);
      };
      const renewals = this.#renewals.get(name) ?? new Set();
      this.#renewals.set(name, renewals);
      renewals.add(renew);
      if (ended.aborted) return abort();
      ended.addEventListener('abort', abort, { once: true });
      renew();
    });
  }

  changed(name: string, report: UnitReport): void {
    if (report.type !== 'unit.changed') return;
    if (report.phase === 'starting' || report.phase === 'up')
      for (const renew of [...(this.#renewals.get(name) ?? [])]) renew();
    if (report.phase === 'up') void this.#settle(name);
  }

  end(): void {
    this.#over.abort(IpcError.of('ERR_REFUSED', 'wait', 'the session is being deactivated'));
  }

  async #settle(name: string): Promise<void> {
    if (this.#settling.has(name)) return;
    this.#settling.add(name);
    try {
      for (let last = '', left = settlingLooksMax; left > 0; left--) {
        const fingerprint = this.now(name);
        const text = JSON.stringify(fingerprint);
        if (text !== last) this.#workspace.fingerprints.save(name, fingerprint);
        else break;
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
}
