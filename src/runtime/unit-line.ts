// Unit line: what a unit has written, as it is shown.
import type { OutputStream } from '../actors/output.ts';

/** A line of a unit, named by its path below the root. */
export interface UnitLine {
  readonly atMs: number | null;
  readonly unit: string;
  readonly stream: OutputStream;
  readonly line: string;
}
