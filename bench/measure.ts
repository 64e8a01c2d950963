// Measure: all runs of one group in one place.
import type { Group } from './groups.ts';
import type { Figures, Job, Placement } from './job.ts';
import type { Options } from './options.ts';
import { OtherWork, otherWorkNotable } from './other-work.ts';
import { runPair } from './pair.ts';
import { sizeBytesOf } from './payload.ts';
import { showProgress } from './progress.ts';
import { type Mode, type RecordedRow, rowsOf } from './record.ts';

/** Where the two processes of a pair run, and how a title says it. */
export interface Place {
  readonly mode: Mode;
  readonly title: string;
  readonly placement: Placement;
}

export interface Measured {
  readonly rows: RecordedRow[];
  /** Mean share of the CPUs that other work had, from 0 to 1. */
  readonly otherWork: number;
}

/** Every run of every row, the rows in turn so that a slow minute of the machine meets them all. */
export async function measure(group: Group, place: Place, options: Options): Promise<Measured> {
  const rows: RecordedRow[] = [];
  const shares: number[] = [];
  const measureMs = options.measureMs * (group.patience ?? 1);
  for (let run = 1; run <= options.runs; run++) {
    for (const { name, job } of group.rows) {
      showProgress(`${group.title}, ${place.mode}: ${name}, run ${run} of ${options.runs}`);
      const timed = { ...job, warmUpMs: options.warmUpMs, measureMs };
      const { figures, otherWork } = await quietestPair(timed, place.placement, options.attempts);
      const sizeBytes = sizeBytesOf(job.payload);
      rows.push(...rowsOf({ group: group.name, name, sizeBytes, mode: place.mode, run }, figures));
      shares.push(otherWork);
    }
  }
  showProgress('');
  return { rows, otherWork: shares.reduce((sum, share) => sum + share, 0) / shares.length };
}

interface PairResult {
  readonly figures: Figures;
  readonly otherWork: number;
}

/** Repeats what other work has disturbed, with a fresh pair each time, and keeps the least disturbed. */
async function quietestPair(job: Job, placement: Placement, attempts: number): Promise<PairResult> {
  const otherWork = new OtherWork();
  const figures = await runPair(job, placement);
  const result = { figures, otherWork: otherWork.share() };
  if (attempts === 1 || result.otherWork < otherWorkNotable) return result;
  const next = await quietestPair(job, placement, attempts - 1);
  return next.otherWork < result.otherWork ? next : result;
}
