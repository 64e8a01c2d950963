// Relay meetings: a node of a sharded tier and each run of a relay that comes tell each other what they have deleted, once.
import type { NatsMember } from '../transport/nats-member.ts';
import type { KeyHasher } from '../transport/placement-hash.ts';
import type { SessionTable } from '../transport/session-table.ts';
import { syncTombstones } from './tombstone-sync.ts';

/** How long another relay has to tell its deletes. */
const meetTimeoutMs = 2_000;

export interface MeetingsOptions {
  readonly relay: NatsMember;
  readonly table: SessionTable;
  readonly hasher: KeyHasher;
  /** Ends what is under way. */
  readonly signal: AbortSignal;
  /** It is not ready yet, or dead; the next call tries again. */
  onFailed(node: string, error: unknown): void;
}

export class RelayMeetings {
  readonly #options: MeetingsOptions;
  /** Runs of relays that have told and heard. */
  readonly #met = new Set<string>();

  constructor(options: MeetingsOptions) {
    this.#options = options;
  }

  /** Meets those who have come since. Never throws. */
  async meet(): Promise<void> {
    const { relay, table, hasher, signal, onFailed } = this.#options;
    const there = relay.serving('session.tell', 'relay').filter(({ id }) => id !== relay.id);
    for (const id of this.#met) if (!there.some((each) => each.id === id)) this.#met.delete(id);
    for (const { id, node: to } of there) {
      if (this.#met.has(id)) continue;
      try {
        await syncTombstones(
          { request: (service, body, wait) => relay.request(service, body, { ...wait, to }) },
          table.tombstones,
          hasher,
          ({ key, tombstone }) => void table.forget(key, tombstone),
          AbortSignal.any([signal, AbortSignal.timeout(meetTimeoutMs)]),
        );
        this.#met.add(id);
      } catch (error) {
        onFailed(to, error);
      }
    }
  }
}
