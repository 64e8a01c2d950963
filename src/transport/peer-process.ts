// Peer process: the proof that the process at the other end is dead. The end of a socket is none: a live process can close
// it and still read what it has mapped.
import { readFileSync } from 'node:fs';
import { native, nativeCode } from './native.ts';

/** A process for ever: its number alone could be another's later. */
export interface PeerProcess {
  readonly pid: number;
  readonly startTicks: number;
}

/**
 * Calls back once the process is dead, at once if it is already. Keeps nothing running.
 * @returns a function that ends the watch.
 * @throws the addon's error if the kernel gives no descriptor.
 */
export function whenEnded({ pid, startTicks }: PeerProcess, onEnd: () => void): () => void {
  let process: ReturnType<typeof watch> | undefined;
  try {
    process = watch(pid, startTicks);
  } catch (error) {
    if (nativeCode(error) !== 'GONE') throw error;
    onEnd();
    return () => {};
  }
  const watched = process;
  watched.listen(() => {
    watched.close();
    onEnd();
  });
  return () => watched.close();
}

function watch(pid: number, startTicks: number) {
  return new (native().Process)(pid, startTicks);
}

/** What a process does as far as the kernel tells, in words that go on after "it". */
export function activityOf(pid: number): string {
  let facts: string;
  try {
    facts = readFileSync(`/proc/${pid}/stat`, 'utf8');
  } catch {
    return 'has ended';
  }
  // Behind the name in brackets, which may hold anything.
  const state = facts.slice(facts.lastIndexOf(')') + 2)[0] ?? '';
  return activities[state] ?? 'waits for something else';
}

const activities: Record<string, string> = {
  R: 'is busy with something else',
  T: 'is stopped by a signal',
  t: 'is stopped by a debugger',
  Z: 'has ended',
  X: 'has ended',
};
