// Relay contact: for how long a node may have missed a delete. Each relay beats in the same line as it tells deletes, so whoever has heard a
// beat has heard all deletes of that relay before it. What counts is when a beat was sent, not when it was read: a process that was
// stopped reads old ones first.

/** Clocks of two machines may run so differently; what was learned of the way fades as fast. */
const driftPerMs = 0.0005;

interface Contact {
  /** The least that our clock was ahead of the relay's when a beat came: the quickest way. */
  offsetMs: number;
  offsetAtMs: number;
  heardMs: number;
  /** What it had deleted before is known. */
  synced: boolean;
}

export class RelayContact {
  readonly #contacts = new Map<string, Contact>();
  /** When all relays that were there had been heard last; -Infinity: never. */
  #wholeMs = Number.NEGATIVE_INFINITY;

  /** Runs of relays that are there now, of which the deletes before are not known. */
  unsynced(relays: readonly string[]): string[] {
    return relays.filter((relay) => this.#contacts.get(relay)?.synced !== true);
  }

  /** All that it had deleted up to then is known. */
  synced(relay: string, atMs: number): void {
    const contact = this.#contacts.get(relay);
    if (contact) {
      contact.synced = true;
      contact.heardMs = Math.max(contact.heardMs, atMs);
    } else
      this.#contacts.set(relay, {
        offsetMs: Number.POSITIVE_INFINITY,
        offsetAtMs: atMs,
        heardMs: atMs,
        synced: true,
      });
  }

  /** A beat that the relay has sent at that moment of its own clock. */
  heard(relay: string, sentMs: number, nowMs: number): void {
    const contact = this.#contacts.get(relay);
    if (!contact?.synced) return;
    const faded = contact.offsetMs + (nowMs - contact.offsetAtMs) * driftPerMs;
    contact.offsetMs = Math.min(faded, nowMs - sentMs);
    contact.offsetAtMs = nowMs;
    contact.heardMs = Math.max(contact.heardMs, Math.min(nowMs, sentMs + contact.offsetMs));
  }

  /** Something was missed: until all have told what they deleted, nothing new counts as heard. */
  missed(): void {
    for (const contact of this.#contacts.values()) contact.synced = false;
  }

  /** That run is over. */
  gone(relay: string): void {
    this.#contacts.delete(relay);
  }

  /** @param relays those that are there now; of none, the time since there were some counts. */
  silentMs(relays: readonly string[], nowMs: number): number {
    if (relays.length > 0) {
      const least = Math.min(
        ...relays.map((relay) => this.#contacts.get(relay)?.heardMs ?? Number.NEGATIVE_INFINITY),
      );
      this.#wholeMs = Math.max(this.#wholeMs, least);
    }
    return Math.max(0, nowMs - this.#wholeMs);
  }
}
