// Host record: what the root of a host publishes of itself and its units. What another root has written is input: it is read once,
// checked, and nothing but what was checked is used.
import { z } from 'zod';
import type { ToldRoot, ToldUnit } from '../machines/remote-host.ts';
import type { UnitView } from '../machines/unit-view.ts';
import { isName } from '../names.ts';

/** A key of the table; its name is that of the host. */
export type HostRecord =
  | { readonly told: ToldRoot; readonly units: readonly ToldUnit[] }
  /** It has ended in order. */
  | { readonly left: true };

export const hostsBucket = 'hosts';
/** A value of the relay's tables takes 64 KiB, for 64 units of which each says as much as it can. */
const wordsMax = 160;

const count = z.number().int().min(0);
const words = z.string().max(wordsMax);
const phases = [
  ...(['idle', 'blocked', 'spawning', 'starting', 'up', 'stopping', 'draining', 'unkillable'] as const),
  ...(['exited', 'backoff', 'completed', 'failed', 'skipped', 'removed'] as const),
] as const;
const exit = z.object({
  class: z.enum(['normal', 'shutdown', 'abnormal', 'killed', 'permanent-failure']),
  reason: words,
  code: z.number().int().nullable(),
  signal: z.string().max(32).nullable(),
  requested: z.enum(['none', 'stop', 'restart']),
  uptimeMs: z.number(),
  atMs: z.number(),
});
const unit = z.object({
  id: z.string().refine(isName),
  phase: z.enum(phases),
  epoch: count,
  pid: count.nullable(),
  state: z.string().max(256).nullable(),
  note: words.nullable(),
  exit: exit.nullable(),
});
const told = z.object({
  root: z.string().min(1).max(64),
  pid: count,
  startedAtMs: z.number(),
  state: z.enum(['starting', 'booting', 'operative', 'degraded', 'restarting', 'stopping']),
});
const record = z.union([
  z.object({ told, units: z.array(unit).max(1_000) }),
  z.object({ left: z.literal(true) }),
]);

/** The record, or undefined for what is none. */
export function checkedHostRecord(value: unknown): HostRecord | undefined {
  const parsed = record.safeParse(value);
  return parsed.success ? parsed.data : undefined;
}

export function toldUnit({ id, phase, epoch, pid, state, note, exit: last }: UnitView): ToldUnit {
  const { unkillable: _, ...exit } = last ?? {};
  return {
    ...{ id, phase, epoch, pid, state },
    note: note === null ? null : shortened(note),
    exit: last && ({ ...exit, reason: shortened(last.reason) } as ToldUnit['exit']),
  };
}

function shortened(text: string): string {
  return text.length <= wordsMax ? text : `${text.slice(0, wordsMax - 3)}...`;
}
