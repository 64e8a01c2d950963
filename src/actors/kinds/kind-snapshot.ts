// Kind snapshot: what others see of a kind.
import type { Snapshot } from 'xstate';
import type { IpcError } from '../../errors.ts';
import type { Address } from '../../names.ts';
import type { InboxStats } from './inbox.ts';

export type KindName = 'collector' | 'listener' | 'server' | 'service';

/** What a snapshot tells of a running kind, as it is at that moment. */
export interface KindView {
  readonly kind: KindName;
  readonly name: string;
  /** What it said last by `io.stage`. */
  readonly stage: string | null;
  /** What its function waits for; empty: it computes, or waits for something that is not of its `io`. */
  readonly awaiting: readonly string[];
  readonly inbox: InboxStats;
  /** Handles that could still send to it; 0 also for one that has only a parent. */
  readonly handles: number;
  readonly children: readonly Address[];
  readonly emitted: number;
  /** Children and groups that nobody waited for, told at its end. */
  readonly leaks: readonly string[];
}

/** The snapshot of a kind, as XState has it, with the stage that it is in. */
export type KindSnapshot<Output> = Snapshot<Output> & {
  /** `running`, `stopping`, `draining`, `done`, `failed` or `stopped`; while it runs with its stage: `running.prepare`. */
  readonly value: string;
  readonly context: KindView;
  readonly input: unknown;
};

/** How a kind has ended. */
export type KindEnd =
  | { readonly how: 'done'; readonly output: unknown }
  | { readonly how: 'failed'; readonly error: IpcError }
  | { readonly how: 'stopped'; readonly error: IpcError };

interface Seen {
  readonly value: string;
  readonly view: KindView;
  readonly input: unknown;
}

/**
 * The snapshot of a kind that runs: one object that looks at the kind whenever somebody looks at it, so that waiting costs no
 * transition.
 */
export function liveSnapshot(of: Seen): KindSnapshot<unknown> {
  return {
    status: 'active',
    output: undefined,
    error: undefined,
    input: of.input,
    get value() {
      return of.value;
    },
    get context() {
      return of.view;
    },
  };
}

export function endSnapshot(end: KindEnd, { value, view, input }: Seen): KindSnapshot<unknown> {
  const seen = { value, context: view, input };
  if (end.how === 'done') return { status: 'done', output: end.output, error: undefined, ...seen };
  if (end.how === 'failed') return { status: 'error', output: undefined, error: end.error, ...seen };
  return { status: 'stopped', output: undefined, error: undefined, ...seen };
}
