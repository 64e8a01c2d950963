// Hub leases: who may do something alone. In a relay of links there is one hub, so a lease is a fact that it keeps; who gets one
// can be laid down by the configuration. A hub that was restarted has forgotten all leases, but no token: each asker tells the
// greatest that it has seen.
import { IpcError } from '../errors.ts';
import type { RelayHandler } from '../spec/relay.ts';
import { type Frame, mapOf, textOf, wholeOf } from './frame.ts';

interface Held {
  readonly node: string;
  readonly token: number;
  untilMs: number;
}

const leasesMax = 10_000;
const ttlMaxMs = 24 * 3_600_000;

export class HubLeases {
  readonly #now: () => number;
  readonly #owners: Readonly<Record<string, string>>;
  readonly #held = new Map<string, Held>();
  /** The last token of each lease that was ever given out here. */
  readonly #last = new Map<string, number>();
  #token = 0;

  constructor(now: () => number, owners: Readonly<Record<string, string>>) {
    this.#now = now;
    this.#owners = owners;
  }

  services(): [string, RelayHandler][] {
    return [
      ['$lease.take', (body, { from }) => this.#take(asked(body), from)],
      ['$lease.give', (body, { from }) => this.#give(asked(body), from)],
    ];
  }

  /** @throws {IpcError} ERR_LEASE_LOST if a later holder is known. */
  check(lease: { name: string; token: number }): void {
    const last = this.#last.get(lease.name) ?? 0;
    if (lease.token < last)
      throw IpcError.of('ERR_LEASE_LOST', lease.name, `token ${lease.token} is older than ${last}`);
    // A hub that was restarted learns it from the holder.
    this.#last.set(lease.name, lease.token);
    this.#token = Math.max(this.#token, lease.token);
  }

  #take(frame: Frame, node: string): { token: number } {
    const name = textOf(frame, 'name', 255);
    const ttlMs = Math.max(1, wholeOf(frame, 'ttlMs', ttlMaxMs));
    const token = wholeOf(frame, 'token');
    this.#token = Math.max(this.#token, wholeOf(frame, 'above', 2 ** 52));
    const owner = Object.hasOwn(this.#owners, name) ? this.#owners[name] : undefined;
    if (owner !== undefined && owner !== node)
      throw IpcError.of('ERR_LEASE_HELD', name, `the configuration gives it to ${owner}`);
    const nowMs = this.#now();
    const found = this.#held.get(name);
    const held = found && found.untilMs > nowMs ? found : undefined;
    if (token > 0) return this.#renew(name, held, node, token, nowMs + ttlMs);
    // The same node asks for another one: its former holder is a part of the same program, or its last run.
    if (held) throw IpcError.of('ERR_LEASE_HELD', name, `${held.node} holds it`);
    if (!found && this.#held.size >= leasesMax) this.#sweep(nowMs);
    if (!found && this.#held.size >= leasesMax)
      throw IpcError.of('ERR_RELAY_FULL', `lease ${name}`, `${leasesMax} are held`);
    const next = ++this.#token;
    this.#held.set(name, { node, token: next, untilMs: nowMs + ttlMs });
    this.#last.set(name, next);
    return { token: next };
  }

  #renew(
    name: string,
    held: Held | undefined,
    node: string,
    token: number,
    untilMs: number,
  ): { token: number } {
    if (held && (held.token !== token || held.node !== node))
      throw IpcError.of('ERR_LEASE_LOST', name, `${held.node} holds it now`);
    const last = this.#last.get(name) ?? 0;
    if (!held && token < last) throw IpcError.of('ERR_LEASE_LOST', name, 'somebody else has had it since');
    this.#held.set(name, { node, token, untilMs });
    this.#last.set(name, Math.max(last, token));
    this.#token = Math.max(this.#token, token);
    return { token };
  }

  #give(frame: Frame, node: string): null {
    const name = textOf(frame, 'name', 255);
    const held = this.#held.get(name);
    if (held && held.node === node && held.token === wholeOf(frame, 'token')) this.#held.delete(name);
    return null;
  }

  #sweep(nowMs: number): void {
    for (const [name, { untilMs }] of this.#held) if (untilMs <= nowMs) this.#held.delete(name);
  }
}

function asked(body: unknown): Frame {
  return mapOf({ t: 'lease', body }, 'body') as Frame;
}
