// Tone: what a state means to whoever looks over the tree, said by one of five colours and never by colour alone.
import type { DeadIncarnation, UnitView } from '../../../src/inspector/protocol.ts';
import type { ActorEntry } from '../feed/model.ts';

export type Tone = 'good' | 'busy' | 'bad' | 'idle' | 'done';

const ofPhase: Readonly<Record<string, Tone>> = {
  up: 'good',
  operative: 'good',
  alive: 'good',
  ready: 'good',
  running: 'good',
  starting: 'busy',
  waiting: 'busy',
  blocked: 'busy',
  backoff: 'busy',
  stopping: 'busy',
  killing: 'busy',
  reloading: 'busy',
  degraded: 'busy',
  failed: 'bad',
  unkillable: 'bad',
  crashed: 'bad',
  idle: 'idle',
  skipped: 'idle',
  removed: 'idle',
  stopped: 'idle',
  completed: 'done',
  done: 'done',
};

const badExit: ReadonlySet<DeadIncarnation['exit']['class']> = new Set([
  'abnormal',
  'killed',
  'permanent-failure',
]);

export function toneOfPhase(phase: string): Tone {
  return ofPhase[phase] ?? 'idle';
}

/** A unit that waits for its next start because the last one failed is red, as long as it is not up again. */
export function toneOfUnit(unit: UnitView): Tone {
  const tone = toneOfPhase(unit.phase);
  const [last] = unit.dead;
  const died = last !== undefined && badExit.has(last.exit.class) && last.incarnation >= unit.incarnation;
  return died && (tone === 'busy' || tone === 'idle') && unit.phase !== 'stopping' ? 'bad' : tone;
}

/** Its named state while it is up, else where its life is. */
export function unitWords({ phase, state }: UnitView): string {
  return phase === 'up' ? (state ?? phase) : phase;
}

export function toneOfExit(exit: DeadIncarnation['exit']): Tone {
  return badExit.has(exit.class) ? 'bad' : 'done';
}

export function toneOfActor(actor: ActorEntry, alive: boolean): Tone {
  if (actor.crash || actor.status === 'error' || actor.ended === 'crashed') return 'bad';
  if (!alive) return 'idle';
  if (actor.status === 'done') return 'done';
  return actor.waitsFor === null ? 'good' : 'busy';
}
