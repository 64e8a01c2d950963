// Actor report: what a supervisor of actors tells whoever watches, and how the end of a run is classed.
import type { ActorPolicy } from '../spec/child.ts';
import type { ActorChild, End } from './actor-child.ts';
import type { Exit, ExitClass, SupervisorOutput } from './exit.ts';

/** In which of OTP's error contexts something happened. */
export type Context = 'start-error' | 'child-terminated' | 'shutdown-error';

export type ActorReport =
  | {
      readonly type: 'child.started';
      readonly child: ActorChild;
      readonly cause: 'boot' | 'restart' | 'call';
    }
  | {
      readonly type: 'child.exited';
      readonly child: ActorChild;
      /** Null: as it should be; nobody has to be told but those who want to know everything. */
      readonly context: Context | null;
      readonly id: string | null;
      readonly epoch: number;
      readonly exit: Exit;
      readonly verdict: string;
      readonly delayMs: number;
      /** How many restarts the intensity still allows; null: no limit. */
      readonly restartsLeft: number | null;
    }
  | { readonly type: 'limit.reached'; readonly id: string | null; readonly reason: string }
  | { readonly type: 'supervisor.changed'; readonly state: 'operative' | 'degraded' | 'stopping' };

/** How a run ended, from what is known of it. */
export function exitOf(child: ActorChild<ActorPolicy>, end: End, atMs: number): Exit {
  const requested = child.phase === 'stopping' ? 'stop' : 'none';
  const uptimeMs = atMs - child.sinceMs;
  return {
    class: classOf(child, end),
    reason: reasonOf(child, end),
    code: null,
    signal: null,
    requested,
    uptimeMs,
    atMs,
  };
}

function classOf({ killed, phase }: ActorChild, end: End): ExitClass {
  if (killed && end.how !== 'done' && end.how !== 'crashed')
    return phase === 'starting' ? 'abnormal' : 'killed';
  // A machine answers our request by coming to its end.
  if (phase === 'stopping' && end.how === 'done') return 'shutdown';
  return classOfEnd(end);
}

/** What an end is of which nothing else is known. */
export function classOfEnd(end: End): ExitClass {
  if (end.how === 'crashed') return 'abnormal';
  if (end.how === 'stopped') return 'shutdown';
  if (end.how === 'gave-up') return classOfSupervisor(end.output);
  return isShutdown(end.output) ? 'shutdown' : 'normal';
}

/** As in OTP: a supervisor that gives up ends as `shutdown`, whatever made it give up. One that never booted did not start. */
function classOfSupervisor({ why }: SupervisorOutput): ExitClass {
  return why === 'boot' ? 'abnormal' : 'shutdown';
}

/** A machine that ends with `{ shutdown: ... }` says that it ended in order, on somebody's account. */
function isShutdown(output: unknown): boolean {
  return typeof output === 'object' && output !== null && Object.hasOwn(output, 'shutdown');
}

function reasonOf({ killed, phase }: ActorChild, end: End): string {
  if (end.how === 'crashed') return end.why;
  if (killed === 'late' && phase === 'starting') return 'it did not start in time, so it was stopped';
  if (killed === 'late') return 'did not stop in time, so it was killed';
  if (killed) return 'was killed, as asked';
  const how = reasonOfEnd(end);
  return phase === 'stopping' && end.how !== 'gave-up' ? `${how}, as asked` : how;
}

export function reasonOfEnd(end: End): string {
  if (end.how === 'crashed') return end.why;
  if (end.how === 'gave-up') return end.output.reason;
  if (end.how === 'stopped') return 'was stopped';
  return isShutdown(end.output) ? 'ended in order' : 'ended';
}
