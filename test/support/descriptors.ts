// What a process has open, as the kernel lists it.
import { readdirSync, readlinkSync } from 'node:fs';

/**
 * What each open descriptor of this process leads to, by number. What an earlier test has left to the collector may close at any
 * time, so a test claims that no more are open than before, not as many.
 */
export function openDescriptors(): Map<number, string> {
  const open = new Map<number, string>();
  for (const name of readdirSync('/proc/self/fd')) {
    try {
      open.set(Number(name), readlinkSync(`/proc/self/fd/${name}`));
    } catch {
      // The one with which the folder was read.
    }
  }
  return open;
}

/** Whether a descriptor is open in this process. */
export function isOpen(fd: number): boolean {
  return openDescriptors().has(fd);
}
