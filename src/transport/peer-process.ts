// Peer process: the proof that the process at the other end is dead. The end of a socket is none: a live process can close
// it and still read what it has mapped.
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
