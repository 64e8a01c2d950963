// Context watch: shows the contexts of a few actors to those who look at them, at most five times a second and only when they
// have changed. Nobody looks: nothing is read.
import { type AnyMachineSnapshot, getNextTransitions } from 'xstate';
import type { Address } from '../names.ts';
import type { Exposure } from './exposure.ts';
import { type ContextRecord, momentMs, type NextEvent } from './feed.ts';
import { stateOf } from './inspection.ts';

const lookMs = 200;
/** More are not looked at at once. */
const actorsMax = 16;
const nextMax = 200;

/** The snapshot of an actor; undefined if there is none at that address. */
type Find = (address: Address) => object | undefined;

export class ContextWatch {
  readonly #find: Find;
  readonly #exposure: Exposure;
  readonly #tell: (record: ContextRecord) => void;
  /** What was told of each last. */
  readonly #shown = new Map<Address, object | null>();
  #timer: NodeJS.Timeout | undefined;

  constructor(find: Find, exposure: Exposure, tell: (record: ContextRecord) => void) {
    this.#find = find;
    this.#exposure = exposure;
    this.#tell = tell;
  }

  /** Looks at these and at no others. @param anew one of them that is shown even if it has not changed. */
  look(addresses: readonly Address[], anew?: Address): void {
    const wanted = new Set(addresses.slice(0, actorsMax));
    for (const address of this.#shown.keys())
      if (!wanted.has(address) || address === anew) this.#shown.delete(address);
    this.#wanted = wanted;
    if (wanted.size === 0) {
      clearInterval(this.#timer);
      this.#timer = undefined;
      return;
    }
    this.#showChanged();
    this.#timer ??= setInterval(() => this.#showChanged(), lookMs).unref();
  }

  #wanted: ReadonlySet<Address> = new Set();

  #showChanged(): void {
    for (const actor of this.#wanted) {
      const snapshot = this.#find(actor) ?? null;
      if (this.#shown.get(actor) === snapshot) continue;
      this.#shown.set(actor, snapshot);
      this.#tell(this.#record(actor, snapshot));
    }
  }

  #record(actor: Address, snapshot: object | null): ContextRecord {
    const { value, status } = stateOf(snapshot ?? undefined);
    return {
      k: 'context',
      at: momentMs(),
      actor,
      gone: snapshot === null,
      value,
      status: snapshot === null ? 'stopped' : status,
      context: this.#exposure.encode((snapshot as { context?: unknown } | null)?.context ?? null),
      next: snapshot === null ? [] : nextEvents(snapshot),
    };
  }
}

/** What a machine could do now; nothing for what is no machine. */
function nextEvents(snapshot: object): NextEvent[] {
  if (!('machine' in snapshot) || !('_nodes' in snapshot)) return [];
  try {
    return getNextTransitions(snapshot as AnyMachineSnapshot)
      .slice(0, nextMax)
      .map(({ eventType, source, target, guard }) => ({
        event: eventType,
        from: source.id,
        to: (target ?? []).map(({ id }) => id),
        guard: guard === undefined ? null : guardName(guard),
        sendable: eventType !== '' && !eventType.startsWith('xstate.') && !eventType.includes('*'),
      }));
  } catch {
    // A chart that XState itself can't look into.
    return [];
  }
}

function guardName(guard: unknown): string {
  if (typeof guard === 'string') return guard;
  if (typeof guard === 'function') return guard.name || '(inline)';
  const { type } = guard as { type?: unknown };
  return typeof type === 'string' ? type : '(inline)';
}
