// CPUs: on which two of them a pair is pinned.
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

/** Two CPUs that this process may use, of different cores if there are such; or why there are none. */
export function cpusToPin(): readonly [driver: number, responder: number] | { readonly reason: string } {
  if (spawnSync('taskset', ['--version']).status !== 0) return { reason: 'there is no taskset' };
  const allowed = listOf(/^Cpus_allowed_list:\s*(\S+)/m.exec(readFileSync('/proc/self/status', 'utf8'))![1]!);
  const [first, second] = allowed;
  if (first === undefined || second === undefined) return { reason: 'there is one CPU' };
  const siblings = siblingsOf(first);
  return [first, allowed.find((cpu) => !siblings.includes(cpu)) ?? second];
}

/** The command that runs `command` on that CPU alone. */
export function pinned(cpu: number | undefined, command: readonly string[]): string[] {
  return cpu === undefined ? [...command] : ['taskset', '-c', String(cpu), ...command];
}

/** The CPUs that share a core with that one, itself among them. */
function siblingsOf(cpu: number): number[] {
  try {
    const path = `/sys/devices/system/cpu/cpu${cpu}/topology/thread_siblings_list`;
    return listOf(readFileSync(path, 'utf8').trim());
  } catch {
    return [cpu];
  }
}

/** The kernel's form of a list: 0-3,8. */
function listOf(text: string): number[] {
  return text.split(',').flatMap((range) => {
    const [first, last = first] = range.split('-').map(Number);
    return Array.from({ length: last! - first! + 1 }, (_, i) => first! + i);
  });
}
