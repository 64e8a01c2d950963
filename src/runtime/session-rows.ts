// Session rows: the processes of a workspace as people see them, with and without a supervisor.
import type { SessionWorkspace } from '../workspace/session-workspace.ts';
import { isAlive } from './process-identity.ts';
import type { SessionPlan } from './session-plan.ts';
import type { UnitStatus } from './status.ts';

export interface SessionRow {
  readonly name: string;
  readonly alias: string | null;
  /** With `***` for each secret. */
  readonly uri: string;
  /** Where its life is: `up`, `blocked`, `backoff`, `failed`; without a supervisor `up` or `idle`. */
  readonly phase: string;
  /** The named state while it is up. */
  readonly state: string | null;
  readonly pid: number | null;
  readonly starts: number;
  readonly restart: boolean;
  readonly shutdown: boolean;
  /** As they were added: `alias` or `alias:state`. */
  readonly dependsOn: readonly string[];
  /** Named states that it is recognised in. */
  readonly states: readonly string[];
  readonly lastExit: string | null;
  /** What it waits for, why it was given up, or what is wrong with its file. */
  readonly note: string | null;
}

export interface SessionListing {
  readonly workspace: string;
  /** Null: the session is not active. */
  readonly supervisor: { readonly pid: number; readonly uptimeMs: number } | null;
  readonly rows: readonly SessionRow[];
}

/** @param units of the running tree; none: what the files alone say. */
export function sessionRows(
  workspace: SessionWorkspace,
  { files, mistakes, parents }: SessionPlan,
  units?: readonly UnitStatus[],
): SessionRow[] {
  const byName = new Map(units?.map((unit) => [unit.name, unit]));
  const shown = (name: string) => files.get(name)?.alias ?? name;
  return [...new Set([...files.keys(), ...mistakes.keys()])].map((name) => {
    const file = files.get(name);
    const unit = byName.get(name);
    const mistake = mistakes.get(name);
    const left = units ? undefined : workspace.recordOf(name);
    const alive = left !== undefined && isAlive(left);
    return {
      name,
      alias: file?.alias ?? null,
      uri: file?.uri ?? '',
      phase: unit?.phase ?? (mistake !== undefined ? 'mistaken' : alive ? 'up' : 'idle'),
      state: unit?.state ?? null,
      pid: unit?.pid ?? (alive ? left.pid : null),
      starts: unit?.starts ?? 0,
      restart: file?.restart ?? false,
      shutdown: file?.shutdown ?? false,
      dependsOn: (parents.get(name) ?? []).map(({ name: parent, state }) =>
        state === undefined ? shown(parent) : `${shown(parent)}:${state}`,
      ),
      states: [...workspace.fingerprints.filesOf(name).keys()],
      lastExit: unit?.lastExit ?? null,
      note: mistake ?? (unit?.note === null || unit === undefined ? null : withAliases(unit.note, files)),
    };
  });
}

/** The tree speaks of names. */
function withAliases(note: string, files: SessionPlan['files']): string {
  return note.replaceAll(/[A-Za-z][A-Za-z0-9_-]*/g, (word) => files.get(word)?.alias ?? word);
}
