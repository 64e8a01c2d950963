// Actor calls: what can be asked of a supervisor of actors at run time, with OTP's answers. Each is asked in its turn.
import { messageOf } from '../errors.ts';
import type { ActorPolicy } from '../spec/child.ts';
import type {
  CallAnswer,
  CallError,
  ChildCounts,
  ChildEntry,
  ChildRef,
  ChildSpecView,
  Refused,
  StartAnswer,
} from '../spec/supervision.ts';
import type { ActorChild, Start } from './actor-child.ts';
import type { ActorSupervisor } from './actor-supervisor.ts';

interface Port<S extends ActorPolicy> {
  /** Of a dynamic supervisor. */
  readonly template: S | null;
  refOf(child: ActorChild<S>): ChildRef;
  /** Checks a new child. @throws what is wrong with it. */
  check(id: unknown, input: unknown): S;
}

type Answer<T> = (given: T) => void;

export class ActorCalls<S extends ActorPolicy> {
  readonly #supervisor: ActorSupervisor<S>;
  readonly #port: Port<S>;
  #lastNumber = 0;

  constructor(supervisor: ActorSupervisor<S>, port: Port<S>) {
    this.#supervisor = supervisor;
    this.#port = port;
  }

  start(parameters: readonly unknown[], answer: Answer<StartAnswer>): void {
    const { template } = this.#port;
    if (template) {
      const child = this.#supervisor.roster.add(++this.#lastNumber, template, parameters[0]);
      return this.#begin(child, true, answer);
    }
    const [id, input] = parameters;
    const known = typeof id === 'string' ? this.#supervisor.roster.children.get(id) : undefined;
    if (known?.lives) return answer({ ...refuse('already-started'), ref: this.#port.refOf(known) });
    if (known) return answer(refuse('already-present'));
    let spec: S;
    try {
      spec = this.#port.check(id, input);
    } catch (error) {
      return answer(refuse({ failed: messageOf(error) }));
    }
    this.#begin(this.#supervisor.roster.add(id as string, spec, undefined), true, answer);
  }

  terminate(which: string | ChildRef, answer: Answer<CallAnswer>): void {
    const child = this.#find(which);
    if (typeof child === 'object' && 'spec' in child)
      return this.#supervisor.takeDown(child, () => answer({ ok: true }));
    // A child that is gone is down, whoever's it was; one that lives elsewhere is not ours to stop.
    const gone = typeof which === 'object' && which.phase === 'removed';
    answer(gone ? { ok: true } : refuse(child));
  }

  restart(which: string | ChildRef, answer: Answer<StartAnswer>): void {
    const child = this.#findDown(which);
    if (typeof child === 'object' && 'spec' in child) this.#begin(child, false, answer);
    else answer(refuse(child));
  }

  delete(which: string | ChildRef, answer: Answer<CallAnswer>): void {
    const child = this.#findDown(which);
    if (!(typeof child === 'object' && 'spec' in child)) return answer(refuse(child));
    this.#supervisor.roster.remove(child);
    answer({ ok: true });
  }

  which(): ChildEntry[] {
    return [...this.#supervisor.roster.children.values()].reverse().map((child) => this.#entryOf(child));
  }

  whichOne(which: string | ChildRef): { ok: true; child: ChildEntry } | Refused {
    const child = this.#find(which);
    if (typeof child === 'object' && 'spec' in child) return { ok: true, child: this.#entryOf(child) };
    return refuse(child);
  }

  count(): ChildCounts {
    const { children, active, supervisors } = this.#supervisor.roster;
    const specs = this.#port.template ? 1 : children.size;
    return { specs, active, supervisors, workers: children.size - supervisors };
  }

  spec(which: string | ChildRef): { ok: true; spec: ChildSpecView } | Refused {
    const child = this.#find(which);
    if (!(typeof child === 'object' && 'spec' in child)) return refuse(child);
    const { kind, restart, shutdown, significant } = child.spec;
    return {
      ok: true,
      spec: { id: child.id, kind, type: typeOf(child.spec), restart, shutdown, significant },
    };
  }

  /** @param fresh whether it is forgotten again if it does not start. */
  #begin(child: ActorChild<S>, fresh: boolean, answer: Answer<StartAnswer>): void {
    this.#supervisor.beginFor(child, (start) => {
      if (start.how === 'failed') {
        if (fresh && child.phase !== 'removed') this.#supervisor.roster.remove(child);
        return answer(refuse({ failed: start.why }));
      }
      if (start.how === 'ignored') {
        // As in OTP: there is nothing to be known of a child that can't be started again.
        const forgotten = this.#port.template !== null || child.spec.restart === 'temporary';
        if (forgotten) this.#supervisor.roster.remove(child);
        return answer({ ok: true, ref: null });
      }
      answer({ ok: true, ref: this.#port.refOf(child), ...infoOf(start) });
    });
  }

  #find(which: string | ChildRef): ActorChild<S> | CallError {
    const { children } = this.#supervisor.roster;
    if (this.#port.template) {
      if (typeof which === 'string') return 'dynamic';
      const child = children.get(numberOf(which));
      return child && child.ref === which ? child : 'not-found';
    }
    const child = children.get(typeof which === 'string' ? which : (which.id ?? ''));
    if (!child) return 'not-found';
    return typeof which === 'string' || child.ref === which ? child : 'not-found';
  }

  /** A child that can be started or forgotten. */
  #findDown(which: string | ChildRef): ActorChild<S> | CallError {
    if (this.#port.template) return 'dynamic';
    const child = this.#find(which);
    if (typeof child !== 'object' || !('spec' in child)) return child;
    if (child.phase === 'restarting') return 'restarting';
    return child.lives ? 'running' : child;
  }

  #entryOf(child: ActorChild<S>): ChildEntry {
    const ref = child.lives ? this.#port.refOf(child) : null;
    return { id: child.id, ref, phase: child.phase, type: typeOf(child.spec) };
  }
}

/** The number of a dynamic child, which its address ends with. */
function numberOf({ address }: ChildRef): number {
  return Number(address.slice(address.lastIndexOf('#') + 1));
}

function infoOf(start: Start): { info?: unknown } {
  return 'info' in start && start.info !== undefined ? { info: start.info } : {};
}

function typeOf({ kind }: ActorPolicy): 'worker' | 'supervisor' {
  return kind === 'supervisor' ? 'supervisor' : 'worker';
}

function refuse(error: CallError): Refused {
  return { ok: false, error };
}
