// Relay lease: the holder's side. It stops being the holder, for itself, before the hub may give the lease to somebody else:
// its time counts from when it asked, the hub's from when it was asked.
import { IpcError, messageOf } from '../errors.ts';
import type { Lease } from '../spec/relay.ts';

interface Keeper {
  renew(): Promise<unknown>;
  release(): Promise<void>;
  ended(): void;
}

export class RelayLease implements Lease {
  readonly name: string;
  readonly token: number;
  readonly signal: AbortSignal;
  readonly #ttlMs: number;
  readonly #keeper: Keeper;
  readonly #end = new AbortController();
  #renewal: NodeJS.Timeout | undefined;
  #fence: NodeJS.Timeout | undefined;

  constructor(name: string, token: number, ttlMs: number, askedAtMs: number, keeper: Keeper) {
    this.name = name;
    this.token = token;
    this.signal = this.#end.signal;
    this.#ttlMs = ttlMs;
    this.#keeper = keeper;
    this.#hold(askedAtMs);
  }

  async release(): Promise<void> {
    if (this.signal.aborted) return;
    this.#stop(IpcError.of('ERR_LEASE_LOST', this.name, 'it was given back'));
    await this.#keeper.release();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.release();
  }

  lose(why: string): void {
    if (this.signal.aborted) return;
    this.#stop(IpcError.of('ERR_LEASE_LOST', this.name, why));
    this.#keeper.ended();
  }

  #hold(sinceMs: number): void {
    clearTimeout(this.#fence);
    // A third of it is left for a timer that comes late.
    const leftMs = sinceMs + (this.#ttlMs * 2) / 3 - performance.now();
    if (leftMs <= 0) return this.lose('its renewal took too long');
    this.#fence = setTimeout(() => this.lose('it could not be renewed'), leftMs);
    this.#fence.unref();
    this.#renewal = setTimeout(() => void this.#renew(), this.#ttlMs / 5);
    this.#renewal.unref();
  }

  async #renew(): Promise<void> {
    const askedAtMs = performance.now();
    try {
      await this.#keeper.renew();
      if (!this.signal.aborted) this.#hold(askedAtMs);
    } catch (error) {
      if (this.signal.aborted) return;
      const refused = error instanceof IpcError && /^ERR_LEASE/.test(error.code);
      if (refused) return this.lose(messageOf(error));
      // The hub may be back in time.
      this.#renewal = setTimeout(() => void this.#renew(), this.#ttlMs / 15);
      this.#renewal.unref();
    }
  }

  #stop(why: IpcError): void {
    clearTimeout(this.#renewal);
    clearTimeout(this.#fence);
    this.#end.abort(why);
  }
}
