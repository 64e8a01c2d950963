// Process records: who runs as which unit, written down so that the next run finds what this one may leave.
import { readFileSync } from 'node:fs';
import { constants } from 'node:os';
import type { Log } from '../actors/hosting.ts';
import type { SpawnFacts } from '../actors/tree.ts';
import type { Identity } from '../machines/incarnation.ts';
import { native } from '../transport/native.ts';
import { ProcessTable } from '../workspace/process-table.ts';
import type { ProcessRecord, Workspace } from '../workspace/workspace.ts';
import { isAlive } from './process-identity.ts';

export class ProcessRecords {
  readonly #workspace: Workspace;
  readonly #log: Log;
  readonly #left = new Map<string, Identity>();

  constructor(workspace: Workspace, log: Log) {
    this.#workspace = workspace;
    this.#log = log;
  }

  /**
   * Kills what an earlier run has left because it and its minders were killed at the same time.
   * @param adopts whether that unit takes over what was meant to survive.
   */
  sweep(adopts: (unit: string) => boolean): void {
    const bootId = native().bootId();
    const processes = new ProcessTable();
    for (const record of this.#workspace.leftRecords()) {
      const { unit, pid, startTicks } = record;
      if (record.bootId === bootId && record.survive === true && adopts(unit)) {
        if (isAlive(record)) {
          this.#left.set(unit, { pid, startTicks });
          continue;
        }
      } else if (record.bootId === bootId) {
        if (killLeftover(record))
          this.#log.warn({ ...record }, `killed process ${pid}, left by an earlier run as ${unit}`);
        processes.refresh();
        const orphans = processes.below(pid, pid).filter((each) => isOfRun(each, record) && kill(each));
        if (orphans.length > 0)
          this.#log.warn(
            { ...record, orphans },
            `killed ${orphans.join(', ')}, which process ${pid} had started, left by an earlier run as ${unit}`,
          );
      }
      this.#workspace.removeRecord(unit);
    }
  }

  /** That unit is to take over that process. */
  expect(unit: string, { pid, startTicks }: Identity): void {
    this.#left.set(unit, { pid, startTicks });
  }

  /** The process that an earlier run has left for that unit. */
  leftFor(unit: string): Identity | null {
    const left = this.#left.get(unit);
    return left && isAlive(left) ? left : null;
  }

  write(unit: string, { pid, epoch, survive, standby }: SpawnFacts): void {
    try {
      const startTicks = native().startTicks(pid);
      const name = standby ? standbyName(unit, pid) : unit;
      this.#workspace.writeRecord({ unit: name, pid, startTicks, bootId: native().bootId(), epoch, survive });
      // One that stood by stands for the unit now.
      if (!standby) this.#workspace.removeRecord(standbyName(unit, pid), pid);
    } catch {
      // It has ended already, or the disk is full: then there is nothing, or nothing better, to remember.
    }
  }

  remove(unit: string, pid: number): void {
    this.#workspace.removeRecord(unit, pid);
    this.#workspace.removeRecord(standbyName(unit, pid), pid);
  }
}

function standbyName(unit: string, pid: number): string {
  return `${unit}.standby-${pid}`;
}

function unitOf(name: string): string {
  return name.replace(/\.standby-\d+$/, '');
}

/** Only if it is that very process: number, start ticks and boot are the recorded ones. */
function killLeftover({ pid, startTicks }: ProcessRecord): boolean {
  try {
    const left = new (native().Process)(pid, startTicks);
    try {
      process.kill(-pid, 'SIGKILL');
    } catch {
      // It leads no group any more.
    }
    const killed = left.signal(constants.signals.SIGKILL);
    left.close();
    return killed;
  } catch {
    return false;
  }
}

/**
 * Whether a process of the group was started by the unit in that very run: its environment says so. Without the leader the number
 * of the group alone proves nothing, since another process may have had it meanwhile.
 */
function isOfRun(pid: number, { unit, epoch, startTicks }: ProcessRecord): boolean {
  try {
    if (native().startTicks(pid) < startTicks) return false;
    const variables = new Set(readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0'));
    return variables.has(`ACTOR_IPC_UNIT=${unitOf(unit)}`) && variables.has(`ACTOR_IPC_EPOCH=${epoch}`);
  } catch {
    // It has ended, or is somebody else's.
    return false;
  }
}

function kill(pid: number): boolean {
  try {
    const left = new (native().Process)(pid, native().startTicks(pid));
    const killed = left.signal(constants.signals.SIGKILL);
    left.close();
    return killed;
  } catch {
    return false;
  }
}
