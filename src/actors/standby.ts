// Standby: warm incarnations of a unit, with the runtime and the user's modules loaded, that wait for the present one's end.
// Nothing of them can be seen from outside until one is activated.
import { type Address, addressOf } from '../names.ts';
import type { ExecChild, NodeChild } from '../spec/child.ts';
import type { Tree } from './tree.ts';
import { type ProcessObserver, UnitProcess } from './unit-process.ts';

/** The process that has just begun with its work needs root and cores for itself first. */
const fillDelayMs = 500;
/** One that ends before it was of use is replaced after a while, each time a longer one. */
const retryMinMs = 1_000;
const retryMaxMs = 60_000;

export class StandbyPool {
  readonly #tree: Tree;
  readonly #unit: Address;
  #child: NodeChild | ExecChild;
  readonly #onChange: (warm: number) => void;
  readonly #cold = new Set<UnitProcess>();
  readonly #warm: UnitProcess[] = [];
  /** All that have not come to their end here. */
  readonly #waiting = new Set<UnitProcess>();
  #serial = 0;
  #failures = 0;
  #retry: unknown;
  #wanted = false;
  #onEmpty: (() => void) | undefined;

  /** @param onChange gets how many are warm now. */
  constructor(tree: Tree, unit: Address, child: NodeChild | ExecChild, onChange: (warm: number) => void) {
    this.#tree = tree;
    this.#unit = unit;
    this.#child = child;
    this.#onChange = onChange;
  }

  /** Starts as many as should stand by, in a while. */
  fill(child: NodeChild | ExecChild): void {
    this.#child = child;
    this.#wanted = true;
    this.#fillIn(fillDelayMs);
  }

  /** One that is warm, from now on the caller's. */
  take(): UnitProcess | undefined {
    for (let next = this.#warm.shift(); next; next = this.#warm.shift()) {
      if (!next.runs) continue;
      this.#waiting.delete(next);
      this.#failures = 0;
      this.#onChange(this.#warm.length);
      return next;
    }
    return undefined;
  }

  /** Ends all that wait here: they have done nothing that could be lost. */
  drain(): void {
    this.#wanted = false;
    this.#tree.host.clock.clearTimeout(this.#retry);
    this.#retry = undefined;
    if (this.#warm.length > 0) {
      this.#warm.length = 0;
      this.#onChange(0);
    }
    this.#cold.clear();
    for (const waiting of this.#waiting) waiting.kill();
  }

  /** Calls back once nothing of them is left. */
  emptied(onEmpty: () => void): void {
    this.#onEmpty = onEmpty;
    this.#lookIfEmpty();
  }

  #start(): void {
    const { host } = this.#tree;
    const serial = ++this.#serial;
    const run = { tree: this.#tree, unit: this.#unit, epoch: serial, shutdownMs: 0 };
    let standby: UnitProcess | undefined;
    const gone = (why: string) => {
      if (standby) this.#lost(standby, why);
    };
    const observer: ProcessObserver = {
      spawned() {},
      ready() {},
      state() {},
      unhealthy() {},
      refused: (why) => gone(why),
      warm: () => {
        if (!standby || !this.#cold.delete(standby)) return;
        this.#warm.push(standby);
        this.#onChange(this.#warm.length);
      },
      exited: (code, signal) => gone(`it ended with ${signal ?? `code ${code}`}`),
      emptied: () => {
        if (standby) this.#waiting.delete(standby);
        this.#lookIfEmpty();
      },
    };
    try {
      standby = new UnitProcess(run, this.#child, observer, true);
    } catch (error) {
      host.log.warn({ unit: this.#unit, error }, `${this.#unit}: no standby could be started`);
      this.#retryLater();
      return;
    }
    this.#cold.add(standby);
    this.#waiting.add(standby);
  }

  #lost(standby: UnitProcess, why: string): void {
    const at = this.#warm.indexOf(standby);
    if (at >= 0) this.#warm.splice(at, 1);
    const waited = this.#cold.delete(standby) || at >= 0;
    if (!waited) return;
    standby.kill();
    if (at >= 0) this.#onChange(this.#warm.length);
    this.#tree.watch.log(this.#unit, 'warn', { why }, `a standby is lost: ${why}`);
    this.#retryLater();
  }

  #retryLater(): void {
    if (!this.#wanted || this.#retry !== undefined) return;
    this.#fillIn(Math.min(retryMaxMs, retryMinMs * 2 ** this.#failures++));
  }

  #fillIn(ms: number): void {
    if (this.#retry !== undefined) return;
    this.#retry = this.#tree.host.clock.setTimeout(() => {
      this.#retry = undefined;
      while (
        this.#wanted &&
        this.#retry === undefined &&
        this.#cold.size + this.#warm.length < this.#child.standby
      )
        this.#start();
    }, ms);
  }

  #lookIfEmpty(): void {
    if (this.#waiting.size > 0) return;
    const onEmpty = this.#onEmpty;
    this.#onEmpty = undefined;
    onEmpty?.();
  }
}

/** The pools of the units that have one. */
export function standbyPools(
  tree: Tree,
  path: Address,
  children: Readonly<Record<string, { readonly kind: string }>>,
  onChange: (id: string) => (warm: number) => void,
): Map<string, StandbyPool> {
  const pools = new Map<string, StandbyPool>();
  for (const [id, child] of Object.entries(children))
    if (child.kind === 'node')
      pools.set(id, new StandbyPool(tree, addressOf(path, id), child as NodeChild, onChange(id)));
  return pools;
}

/** Calls back once nothing that stands by is left. */
export function drainAll(pools: ReadonlyMap<string, StandbyPool>, onEmpty: () => void): void {
  let left = pools.size;
  if (left === 0) return onEmpty();
  for (const pool of pools.values()) {
    pool.drain();
    pool.emptied(() => {
      if (--left === 0) onEmpty();
    });
  }
}
