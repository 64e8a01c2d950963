// Exit codes of the command line. A signal's second request ends with 128 + its number.
import { IpcError } from '../errors.ts';
import type { TreeEnd } from '../runtime/tree.ts';

export const exitCode = {
  asked: 0,
  /** A unit was given up, or the boot failed. */
  failed: 1,
  /** Wrong arguments, a topology that is not right, or a machine on which nothing can run. */
  usage: 2,
  programMissing: 3,
  noTree: 4,
  timedOut: 5,
  refused: 6,
  intensity: 70,
  unkillable: 75,
} as const;

/** A shell's codes for a program that is missing, and for one that may not be run. */
const missing = new Set([126, 127]);

export function exitCodeOf({ why, exit, failed, unkillable }: TreeEnd): number {
  if (unkillable.length > 0) return exitCode.unkillable;
  if (why === 'boot') return missing.has(exit?.code ?? 0) ? exitCode.programMissing : exitCode.usage;
  if (why === 'intensity') return exitCode.intensity;
  return failed.length > 0 ? exitCode.failed : exitCode.asked;
}

/** What a command ends with that has failed by that error. */
export function exitCodeOfError(error: unknown): number {
  if (!(error instanceof IpcError)) return exitCode.usage;
  switch (error.code) {
    case 'ERR_NO_TREE':
    case 'ERR_SESSION_INACTIVE':
    case 'ERR_HOST_SILENT':
      return exitCode.noTree;
    case 'ERR_TIMEOUT':
      return exitCode.timedOut;
    case 'ERR_REFUSED':
    case 'ERR_WORKSPACE_BUSY':
      return exitCode.refused;
    case 'ERR_PROGRAM_MISSING':
      return exitCode.programMissing;
    case 'ERR_UNIT_FAILED':
      return exitCode.failed;
    case 'ERR_UNIT_UNKILLABLE':
      return exitCode.unkillable;
    default:
      return exitCode.usage;
  }
}
