// A stage for session kinds: a host in simulated time, and the kinds that a test starts on it.
import type { AnyActorLogic, InputFrom } from 'xstate';
import type { ActorEnd } from '../../../src/actors/hosting.ts';
import { type Handle, handleOfRoot } from '../../../src/actors/kinds/handle.ts';
import type { KindView } from '../../../src/actors/kinds/kind-snapshot.ts';
import { Outcome } from '../../../src/actors/kinds/source.ts';
import { addressOf } from '../../../src/names.ts';
import { testHost } from '../machines/hosts.ts';

/** Lets everything that only waits for a turn come about. */
export async function turns(count = 3): Promise<void> {
  for (let turn = 0; turn < count; turn++) await new Promise<void>((resolve) => setImmediate(resolve));
}

/** What it was rejected with. Fails if it was not. */
export async function rejection(
  promise: Promise<unknown>,
): Promise<Error & { code?: string; cause?: unknown }> {
  const value = await promise.then(
    (settled) => ({ settled }),
    (error: Error) => error,
  );
  if (value instanceof Error) return value;
  throw new Error(`not rejected, but ${JSON.stringify(value)}`);
}

export function stage() {
  const { host, clock, logged } = testHost();
  const ends: ActorEnd<unknown>[] = [];
  const hosteds = new Map<string, { post(event: never): void; stop(): void }>();

  function start<L extends AnyActorLogic>(logic: L, input?: InputFrom<L>, name = 'main'): Handle<L> {
    let handle: Handle<L> | undefined;
    const hosted = host.start(logic, {
      address: addressOf(name),
      ...(input !== undefined && { input }),
      bind: (actor, hosted) => {
        handle = handleOfRoot(actor, hosted, clock, new Outcome('join'));
      },
      onEnd: (end) => ends.push(end),
    });
    hosteds.set(name, hosted);
    return handle!;
  }

  /** Sends as a machine does, which can't wait. */
  const post = (event: { type: string }, name = 'main') => hosteds.get(name)!.post(event as never);
  /** Ends it as its owner does who has nothing more to say. */
  const halt = (name = 'main') => hosteds.get(name)!.stop();

  /** What a snapshot of it tells now. */
  const view = (name = 'main') => host.snapshotOf(addressOf(name))?.context as KindView | undefined;
  return { host, clock, logged, ends, start, post, halt, view };
}
