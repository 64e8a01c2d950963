// Process group: who is in it, as the kernel tells. The number of a group stays taken while anybody is in it.
import { readdirSync, readFileSync } from 'node:fs';

export function groupOf(pid: number): number | undefined {
  return statOf(pid)?.group;
}

/** Whether anybody but zombies, for whom somebody else must wait, is in that group. */
export function isGroupAlive(group: number): boolean {
  return processes().some((each) => each.group === group && each.state !== 'Z');
}

/** Whether that group is one of that session: whoever began the session began the group too. */
export function isGroupOfSession(group: number, session: number): boolean {
  return processes().some((each) => each.group === group && each.session === session);
}

/** Children of this process that have ended and whose status nobody has taken. */
export function zombies(): number[] {
  return processes().flatMap(({ pid, parent, state }) =>
    parent === process.pid && state === 'Z' ? [pid] : [],
  );
}

interface Stat {
  readonly pid: number;
  readonly parent: number;
  readonly state: string;
  readonly group: number;
  readonly session: number;
}

function processes(): Stat[] {
  return readdirSync('/proc').flatMap((name) => (/^\d+$/.test(name) ? (statOf(Number(name)) ?? []) : []));
}

/** Fields of /proc/PID/stat; the name before them may hold anything. */
function statOf(pid: number): Stat | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
    const [state, parent, group, session] = text.slice(text.lastIndexOf(')') + 2).split(' ');
    return { pid, state: state!, parent: Number(parent), group: Number(group), session: Number(session) };
  } catch {
    return undefined;
  }
}
