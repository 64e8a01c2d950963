// Apply: leads a running tree from its topology to another one. What is the same in both runs on; nothing happens before both
// are known to be right.
import type { Log } from '../actors/hosting.ts';
import type { SupervisorControl } from '../actors/tree.ts';
import { IpcError, messageOf } from '../errors.ts';
import { isForgettable } from '../machines/spec-change.ts';
import { type Address, addressOf } from '../names.ts';
import { isOfActors, type SupervisorSpec, type Topology } from '../spec/child.ts';
import { type Change, changesBetween, dropChild, takeOver } from '../spec/difference.ts';
import type { Operator, OrderOptions, UnitHandle } from './operator.ts';

export interface ApplyOptions extends OrderOptions {
  /** Only says what would be done. */
  readonly dryRun?: boolean;
  /** Whether a unit that comes into the tree is started. Default: each is. */
  readonly starts?: (unit: string) => boolean;
  /** Only begins what is to start, and waits for stops alone. */
  readonly hurries?: boolean;
}

/** A step, and why it failed if it did. */
export type AppliedChange = Change & { readonly error?: string };

export interface Applied {
  readonly tree: string;
  readonly dryRun: boolean;
  readonly changes: readonly AppliedChange[];
}

/** The tree, as far as it is needed here. */
export interface Changeable {
  topology(): Topology;
  readonly operator: Operator;
  supervisor(path: Address): SupervisorControl | undefined;
  unit(name: string): UnitHandle | undefined;
  log(): Log;
}

export class Applier {
  readonly #tree: Changeable;
  #applying = false;

  constructor(tree: Changeable) {
    this.#tree = tree;
  }

  /** @throws {IpcError} ERR_REFUSED; nothing has changed then. What fails later stands in the answer. */
  async apply(next: Topology, options: ApplyOptions): Promise<Applied> {
    const { dryRun = false } = options;
    const now = this.#tree.topology();
    const refused = (why: string) => IpcError.of('ERR_REFUSED', `apply ${next.file}`, why);
    if (next.name !== now.name) throw refused(`it describes ${next.name}, and ${now.name} runs here`);
    if (this.#applying) throw refused('another topology is being applied');
    const changes = changesBetween(now, next);
    if (dryRun) return { tree: now.name, dryRun, changes };
    this.#applying = true;
    try {
      return {
        tree: now.name,
        dryRun,
        changes: await this.#perform(now, next, changes, options),
      };
    } finally {
      this.#applying = false;
    }
  }

  async #perform(
    now: Topology,
    next: Topology,
    changes: readonly Change[],
    { signal, starts: wanted = () => true, hurries = false }: ApplyOptions,
  ): Promise<AppliedChange[]> {
    const { operator } = this.#tree;
    const options: OrderOptions = { ...(signal && { signal }) };
    const errors = new Map<Change, string>();
    const attempt = async (change: Change, step: () => Promise<unknown>) => {
      try {
        await step();
      } catch (error) {
        errors.set(change, messageOf(error));
      }
    };
    const these = (...kinds: Change['do'][]) => changes.filter(({ do: what }) => kinds.includes(what));
    const leaving = these('remove', 'replace');
    const replaced = new Set(these('replace').map(({ unit }) => unit));
    const standing = this.#standing(now, '');
    this.#log(changes);
    // First the rules, so that nobody is taken down by an edge that is no more.
    this.#take(now, next, '', replaced);
    for (const change of leaving)
      await attempt(change, async () => {
        // A supervisor that is down knows none of its children.
        if (this.#tree.unit(change.unit)) await operator.stop(change.unit, options);
        this.#forget(now, change.unit);
      });
    const stuck = new Set([...errors.keys()].map(({ unit }) => unit));
    if (replaced.size > 0) this.#take(now, next, '', stuck);
    const starts = [...these('add', 'restart', 'replace')].filter(
      (change) => !errors.has(change) && (change.do !== 'add' || wanted(change.unit)),
    );
    const started = Promise.all(starts.map((change) => attempt(change, () => this.#start(change, options))));
    if (!hurries) await started;
    // Who went down with one that was replaced.
    for (const name of standing)
      if (this.#tree.unit(name)?.view.phase === 'idle') {
        const up = operator.start(name, options).catch(() => {});
        if (!hurries) await up;
      }
    return changes.map((change) => {
      const error = errors.get(change);
      return error === undefined ? change : { ...change, error };
    });
  }

  #start({ do: what, unit }: Change, options: OrderOptions): Promise<unknown> {
    const { operator } = this.#tree;
    const phase = this.#tree.unit(unit)?.view.phase;
    // Below a supervisor that is down, or stopped by somebody, or done: it is as it should be.
    const rests = phase === 'idle' || phase === 'completed' || phase === 'removed';
    if (phase === undefined || (what === 'restart' && rests)) return Promise.resolve();
    return what === 'restart' ? operator.restart(unit, options) : operator.start(unit, options);
  }

  /** Gives each supervisor its new rules and children. @param kept names of those that stay as they are for now. */
  #take(now: SupervisorSpec, next: SupervisorSpec, name: string, kept: ReadonlySet<string>): void {
    const below = (id: string) => (name === '' ? id : `${name}/${id}`);
    const keep = new Set(Object.keys(next.children).filter((id) => kept.has(below(id))));
    const control = this.#controlOf(name);
    if (control) control.change(next, keep);
    else takeOver(now, next, keep);
    for (const [id, child] of Object.entries(next.children)) {
      const mine = now.children[id];
      const ofUnits = child.kind === 'supervisor' && !isOfActors(child);
      if (!keep.has(id) && child !== mine && ofUnits && mine?.kind === 'supervisor')
        this.#take(mine as SupervisorSpec, child as SupervisorSpec, below(id), kept);
    }
  }

  #forget(topology: SupervisorSpec, name: string): void {
    const at = name.lastIndexOf('/');
    const [above, id] = [name.slice(0, Math.max(at, 0)), name.slice(at + 1)];
    const control = this.#controlOf(above);
    if (control) control.forget(id);
    else dropChild(specAt(topology, above), id);
  }

  #controlOf(name: string): SupervisorControl | undefined {
    const { name: root } = this.#tree.topology();
    return this.#tree.supervisor(name === '' ? addressOf(root) : addressOf(root, name));
  }

  /** Names of all units that are not down. */
  #standing(spec: SupervisorSpec, path: string): string[] {
    return Object.entries(spec.children).flatMap(([id, child]) => {
      const name = path === '' ? id : `${path}/${id}`;
      const below = child.kind === 'supervisor' ? this.#standing(child as SupervisorSpec, name) : [];
      const view = this.#tree.unit(name)?.view;
      return view && !isForgettable(view) ? [name, ...below] : below;
    });
  }

  #log(changes: readonly Change[]): void {
    for (const { do: what, unit, keys } of changes)
      this.#tree
        .log()
        .info({ unit, apply: what, keys }, `apply: ${describeChange({ do: what, unit, keys })}`);
  }
}

/** A step in words. */
export function describeChange({ do: what, unit, keys }: Change): string {
  const name = unit === '' ? 'the root' : unit;
  return keys.length === 0 ? `${what} ${name}` : `${what} ${name} (${keys.join(', ')})`;
}

function specAt(topology: SupervisorSpec, name: string): SupervisorSpec {
  let spec = topology;
  for (const id of name === '' ? [] : name.split('/')) spec = spec.children[id] as SupervisorSpec;
  return spec;
}
