// Process supervision: what a program can ask of a supervisor of processes at run time, with the answers of OTP's.
import { dirname } from 'node:path';
import type { SupervisorControl } from '../actors/tree.ts';
import { IpcError } from '../errors.ts';
import { isForgettable } from '../machines/spec-change.ts';
import type { UnitView } from '../machines/unit-view.ts';
import type { ChildSpec } from '../spec/child.ts';
import { checkChild, checkPoolChild } from '../spec/child-check.ts';
import type {
  CallAnswer,
  CallError,
  ChildCounts,
  ChildEntry,
  ChildRef,
  ChildSpecView,
  Refused,
  StartAnswer,
  Supervision,
} from '../spec/supervision.ts';
import type { ChildInput } from '../spec/topology-schema.ts';
import type { Operator, UnitHandle } from './operator.ts';

/** The tree, as far as it is needed here. */
export interface SupervisedPlace {
  readonly operator: Operator;
  /** The topology file: paths of children are relative to it. */
  readonly file: string;
  /** Undefined while the supervisor does not run. */
  control(): SupervisorControl | undefined;
  unit(name: string): UnitHandle | undefined;
  supervision(name: string): Supervision<ChildInput> | undefined;
  /** Resolves once the supervisor knows what it was told. */
  settled(): Promise<void>;
}

type Which = string | ChildRef;

export class ProcessSupervision implements Supervision<ChildInput> {
  readonly address: string;
  /** Its path below the root; empty for the root. */
  readonly #name: string;
  readonly #place: SupervisedPlace;
  /** The last number that was given to a child of a pool. */
  #serial = 0;

  constructor(name: string, address: string, place: SupervisedPlace) {
    this.#name = name;
    this.address = address;
    this.#place = place;
  }

  async startChild(first?: unknown, child?: ChildInput): Promise<StartAnswer> {
    const { spec } = this.#control;
    if (spec.pool) {
      const id = `${++this.#serial}`;
      return this.#begin(id, checkPoolChild(spec.pool, first, `${this.address}/${id}`));
    }
    const { id, checked } = checkChild(spec, first, child, dirname(this.#place.file));
    const view = this.#viewOf(id);
    if (view && view.phase !== 'removed') {
      if (isForgettable(view)) return refuse('already-present');
      return { ...refuse('already-started'), ref: this.#refOf(id) };
    }
    if (view) this.#control.forget(id);
    return this.#begin(id, checked);
  }

  async terminateChild(which: Which): Promise<CallAnswer> {
    const found = this.#find(which);
    if ('error' in found) return found;
    const { id, view } = found;
    if (!isForgettable(view)) await this.#place.operator.stop(this.#nameOf(id));
    if (this.#control.spec.pool || view.policy.restart === 'temporary') await this.#forget(id);
    return { ok: true };
  }

  async restartChild(which: Which): Promise<StartAnswer> {
    const down = this.#findDown(which);
    if ('error' in down) return down;
    return this.#await(down.id);
  }

  async deleteChild(which: Which): Promise<CallAnswer> {
    const down = this.#findDown(which);
    if ('error' in down) return down;
    await this.#forget(down.id);
    return { ok: true };
  }

  async whichChildren(): Promise<ChildEntry[]> {
    return this.#ids()
      .reverse()
      .map((id) => this.#entryOf(id));
  }

  async whichChild(which: Which): Promise<{ readonly ok: true; readonly child: ChildEntry } | Refused> {
    const found = this.#find(which);
    return 'error' in found ? found : { ok: true, child: this.#entryOf(found.id) };
  }

  async countChildren(): Promise<ChildCounts> {
    const { spec } = this.#control;
    const ids = this.#ids();
    const kinds = ids.map((id) => typeOf(spec.children[id]!));
    return {
      specs: spec.pool ? 1 : ids.length,
      active: ids.filter((id) => !isForgettable(this.#viewOf(id))).length,
      supervisors: kinds.filter((type) => type === 'supervisor').length,
      workers: kinds.filter((type) => type === 'worker').length,
    };
  }

  async getChildSpec(which: Which): Promise<{ readonly ok: true; readonly spec: ChildSpecView } | Refused> {
    const found = this.#find(which);
    if ('error' in found) return found;
    const child = this.#control.spec.children[found.id]!;
    const { kind, restart, significant, shutdown } = child;
    const id = this.#idOf(found.id);
    return { ok: true, spec: { id, kind, type: typeOf(child), restart, significant, shutdown } };
  }

  get #control(): SupervisorControl {
    const control = this.#place.control();
    if (!control || control.ending) throw IpcError.of('ERR_STOPPING', this.address);
    return control;
  }

  async #begin(id: string, child: ChildSpec): Promise<StartAnswer> {
    this.#control.add(id, child);
    await this.#place.settled();
    const answer = await this.#await(id);
    if (!answer.ok) await this.#forget(id);
    return answer;
  }

  /** Until it is up, or has ended for the first time: then it is stopped for good. */
  async #await(id: string): Promise<StartAnswer> {
    const { operator } = this.#place;
    const name = this.#nameOf(id);
    try {
      await operator.begin(name);
      return { ok: true, ref: this.#refOf(id) };
    } catch (error) {
      if (!(error instanceof IpcError) || error.code !== 'ERR_UNIT_FAILED') throw error;
      const why = this.#viewOf(id)?.exit?.reason ?? error.message;
      if (this.#viewOf(id) && !isForgettable(this.#viewOf(id))) await operator.stop(name);
      return refuse({ failed: why });
    }
  }

  async #forget(id: string): Promise<void> {
    this.#control.forget(id);
    await this.#place.settled();
  }

  #ids(): string[] {
    return Object.keys(this.#control.spec.children).filter((id) => {
      const view = this.#viewOf(id);
      return view && view.phase !== 'removed';
    });
  }

  #find(which: Which): { id: string; view: UnitView } | Refused {
    if (typeof which === 'string' && this.#control.spec.pool) return refuse('dynamic');
    const id = typeof which === 'string' ? which : which.address.slice(this.address.length + 1);
    if (typeof which !== 'string' && which.address !== `${this.address}/${id}`) return refuse('not-found');
    const view = this.#viewOf(id);
    return view && view.phase !== 'removed' ? { id, view } : refuse('not-found');
  }

  #findDown(which: Which): { id: string } | Refused {
    if (this.#control.spec.pool) return refuse('dynamic');
    const found = this.#find(which);
    if ('error' in found) return found;
    if (isForgettable(found.view)) return found;
    const { phase } = found.view;
    return refuse(
      phase === 'backoff' || phase === 'blocked' || phase === 'exited' ? 'restarting' : 'running',
    );
  }

  #viewOf(id: string): UnitView | undefined {
    return this.#place.unit(this.#nameOf(id))?.view;
  }

  #nameOf(id: string): string {
    return this.#name === '' ? id : `${this.#name}/${id}`;
  }

  /** Under a pool only refs are known. */
  #idOf(id: string): string | null {
    return this.#place.control()?.spec.pool ? null : id;
  }

  #entryOf(id: string): ChildEntry {
    const view = this.#viewOf(id)!;
    const ref = isForgettable(view) ? null : this.#refOf(id);
    return { id: this.#idOf(id), ref, phase: phaseOf(view), type: typeOf(this.#control.spec.children[id]!) };
  }

  #refOf(id: string): ChildRef {
    const view = () => this.#viewOf(id);
    const place = this.#place;
    const name = this.#nameOf(id);
    return {
      id: this.#idOf(id),
      address: `${this.address}/${id}`,
      get phase() {
        return phaseOf(view());
      },
      get epoch() {
        return view()?.epoch ?? 0;
      },
      // A process is spoken to by a session.
      send: () => false,
      getSnapshot: () => {
        const now = view();
        return now && { phase: now.phase, state: now.state, pid: now.pid };
      },
      get supervisor() {
        return place.supervision(name) ?? null;
      },
    };
  }
}

const phases: Readonly<Record<string, string>> = {
  up: 'up',
  spawning: 'starting',
  starting: 'starting',
  stopping: 'stopping',
  draining: 'stopping',
  backoff: 'restarting',
  blocked: 'restarting',
  exited: 'restarting',
};

function phaseOf(view: UnitView | undefined): string {
  if (!view || view.phase === 'removed') return 'removed';
  return phases[view.phase] ?? 'down';
}

function typeOf({ kind }: ChildSpec): 'worker' | 'supervisor' {
  return kind === 'supervisor' ? 'supervisor' : 'worker';
}

function refuse(error: CallError): Refused {
  return { ok: false, error };
}
