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

/** Does the unit's work already, while the unit is still on its way to its next start. */
interface Promoted {
  readonly process: UnitProcess;
  readonly heard: KeptNews;
  readonly epoch: number;
}

const deaf: ProcessObserver = {
  spawned() {},
  ready() {},
  state() {},
  refused() {},
  unhealthy() {},
  warm() {},
  exited() {},
  emptied() {},
};

/** What a process tells before anybody has it in hand: of each kind the last. */
class KeptNews implements ProcessObserver {
  readonly #news = new Map<keyof ProcessObserver, (observer: ProcessObserver) => void>();

  spawned(): void {}
  warm(): void {}

  ready(): void {
    this.#news.set('ready', (observer) => observer.ready());
  }

  state(state: string): void {
    this.#news.set('state', (observer) => observer.state(state));
  }

  refused(why: string, permanent: boolean): void {
    this.#news.set('refused', (observer) => observer.refused(why, permanent));
  }

  unhealthy(why: string): void {
    this.#news.set('unhealthy', (observer) => observer.unhealthy(why));
  }

  exited(code: number | null, signal: string | null): void {
    this.#news.set('exited', (observer) => observer.exited(code, signal));
  }

  emptied(): void {
    this.#news.set('emptied', (observer) => observer.emptied());
  }

  /** In the order in which they came first. */
  tell(observer: ProcessObserver): void {
    for (const news of this.#news.values()) news(observer);
  }
}

export class StandbyPool {
  readonly #tree: Tree;
  readonly #unit: Address;
  #child: NodeChild | ExecChild;
  readonly #onChange: (warm: number) => void;
  readonly #cold = new Set<UnitProcess>();
  readonly #warm: UnitProcess[] = [];
  #promoted: Promoted | undefined;
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

  /**
   * Has one begin with the unit's work, before the unit itself has come to its end: nothing that is decided about that can be
   * but a restart. `take` gives it out.
   */
  promote(epoch: number): void {
    if (this.#promoted) return;
    const process = this.#next();
    if (!process) return;
    const heard = new KeptNews();
    this.#promoted = { process, heard, epoch };
    process.activate(epoch, heard);
    this.#tellWarm();
  }

  /** One that does the unit's work as that epoch, from now on the caller's. */
  take(epoch: number, observer: ProcessObserver): UnitProcess | undefined {
    const promoted = this.#promoted;
    this.#promoted = undefined;
    if (promoted?.epoch === epoch) {
      this.#tellWarm();
      promoted.process.observe(observer);
      promoted.process.present();
      promoted.heard.tell(observer);
      return promoted.process;
    }
    if (promoted) this.#dismiss(promoted);
    const process = this.#next();
    if (!process) return undefined;
    this.#tellWarm();
    process.activate(epoch, observer);
    process.present();
    return process;
  }

  #next(): UnitProcess | undefined {
    for (let next = this.#warm.shift(); next; next = this.#warm.shift()) {
      if (!next.runs) continue;
      this.#waiting.delete(next);
      this.#failures = 0;
      return next;
    }
    return undefined;
  }

  /** One that has begun already is as good as one that waits. */
  #tellWarm(): void {
    this.#onChange(this.#warm.length + (this.#promoted ? 1 : 0));
  }

  /** Ends all that wait here: they have done nothing that could be lost. */
  drain(): void {
    this.#wanted = false;
    this.#tree.host.clock.clearTimeout(this.#retry);
    this.#retry = undefined;
    const promoted = this.#promoted;
    this.#promoted = undefined;
    if (promoted) this.#dismiss(promoted);
    if (this.#warm.length > 0 || promoted) {
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

  /** The unit goes on without it. Its end is waited for like that of the others. */
  #dismiss({ process, heard }: Promoted): void {
    this.#waiting.add(process);
    const emptied = () => this.#emptied(process);
    const observer: ProcessObserver = { ...deaf, emptied };
    process.observe(observer);
    heard.tell(observer);
    process.kill();
  }

  #emptied(process: UnitProcess): void {
    this.#waiting.delete(process);
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
      ...deaf,
      refused: (why) => gone(why),
      warm: () => {
        if (!standby || !this.#cold.delete(standby)) return;
        this.#warm.push(standby);
        this.#tellWarm();
      },
      exited: (code, signal) => gone(`it ended with ${signal ?? `code ${code}`}`),
      emptied: () => standby && this.#emptied(standby),
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
    if (at >= 0) this.#tellWarm();
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
