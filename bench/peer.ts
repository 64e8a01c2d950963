// Peer: what all processes of a pair have in common: how they get their work, say what came of it, and end.
import type { Figures, Job, Placement, Role } from './job.ts';

export interface Work {
  readonly role: Role;
  readonly job: Job;
  readonly placement: Placement;
  /** A folder of the pair's own, for its sockets. */
  readonly directory: string;
}

/** What the responder says once the driver may begin, and what the driver is told then. */
export const readyLine = 'ready';

export function workOf(argv: readonly string[]): Work {
  return JSON.parse(argv[2]!) as Work;
}

/** Ends this process with the one that started it, whose end closes our standard input. */
export function endWithStarter(): void {
  process.stdin.on('end', () => process.exit()).resume();
}

export function sayReady(): void {
  process.stdout.write(`${readyLine}\n`);
}

/** Resolves when the responder is ready. */
export function untilReady(): Promise<void> {
  return new Promise((resolve) => process.stdin.once('data', () => resolve()));
}

export function tell(figures: Figures): void {
  process.stdout.write(`${JSON.stringify(figures)}\n`);
}
