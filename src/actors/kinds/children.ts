// Children: what one kind has started, and what of it somebody still has to wait for.
import type { AnyActorLogic } from 'xstate';
import { IpcError, messageOf } from '../../errors.ts';
import { type Address, addressOf } from '../../names.ts';
import type { Host, Hosted } from '../hosting.ts';
import { Outcome } from './source.ts';

/** So many leaks are told by name. */
const leaksMax = 100;

/** A child, as its parent keeps it. */
export interface Child<Run> {
  readonly name: string;
  readonly address: Address;
  readonly hosted: Hosted;
  /** Undefined for what is no kind. */
  readonly run: Run | undefined;
  readonly outcome: Outcome<unknown>;
  /** Whether somebody has asked for its end, or a group answers for it. */
  joined: boolean;
}

export interface Birth<Run extends { readonly outcome: Outcome<unknown> }> {
  readonly host: Host;
  readonly parent: Address;
  readonly name: string | undefined;
  readonly input: unknown;
  /** Called with the child's actor before it starts. @returns its run, if it is a kind. */
  readonly bind: (actor: object) => Run | undefined;
  readonly onEnd: (child: Child<Run>) => void;
}

export class Children<Run extends { readonly outcome: Outcome<unknown> }> {
  readonly #running = new Map<Address, Child<Run>>();
  readonly #owed = new Map<object, string>();
  readonly #max: number;
  #number = 0;

  constructor(max: number) {
    this.#max = max;
  }

  get size(): number {
    return this.#running.size;
  }

  get addresses(): Address[] {
    return [...this.#running.keys()];
  }

  /** What nobody has waited for. */
  get leaks(): string[] {
    return [...this.#owed.values()];
  }

  [Symbol.iterator](): Iterator<Child<Run>> {
    return this.#running.values();
  }

  /** @throws {IpcError} ERR_KIND_BUSY. */
  start(
    logic: AnyActorLogic,
    { host, parent, name = nameOf(logic), input, bind, onEnd }: Birth<Run>,
  ): Child<Run> {
    if (this.size >= this.#max) throw IpcError.of('ERR_KIND_BUSY', `children of ${parent}`, this.#max);
    const address = addressOf(parent, `${name}#${++this.#number}`);
    const outcome = new Outcome<unknown>(`join ${name}`);
    let run: Run | undefined;
    const hosted = host.start(logic, {
      address,
      input,
      bind: (actor) => {
        run = bind(actor);
      },
      onEnd: (end) => {
        if (end.how === 'done') outcome.resolve(end.output);
        else if (end.how === 'stopped')
          outcome.reject(IpcError.of('ERR_KIND_ENDED', address, 'it was stopped'));
        else outcome.reject(IpcError.from(end.error, 'ERR_KIND_FAILED', address, messageOf(end.error)));
        this.#running.delete(address);
        onEnd(child);
      },
    });
    const child: Child<Run> = { name, address, hosted, run, outcome: run?.outcome ?? outcome, joined: false };
    this.#running.set(address, child);
    return child;
  }

  /** Somebody must wait for that, until `settled` is told. */
  owe(what: object, name: string): void {
    if (this.#owed.size < leaksMax) this.#owed.set(what, name);
  }

  settled(what: object): void {
    this.#owed.delete(what);
  }

  stopAll(): void {
    for (const { hosted } of this) hosted.stop();
  }
}

/** What the children of that logic are called. */
function nameOf(logic: AnyActorLogic): string {
  const { kindName, id } = logic as { kindName?: unknown; id?: unknown };
  if (typeof kindName === 'string') return kindName;
  return typeof id === 'string' ? id : 'child';
}
