// Host status: the units of all hosts of a topology as one listing. Each host is asked for its own; of one that does not answer there
// is what was heard last, and that it is unknown by now.
import { z } from 'zod';
import type { UnitView } from '../machines/unit-view.ts';
import { describeEdge } from '../spec/child.ts';
import type { HostsTopology } from './host-relay.ts';
import { type HeardHost, type Hosts, wordsFor } from './hosts.ts';
import { describeExit, describeMs, type HostStatus, type TreeStatus, type UnitStatus } from './status.ts';

const count = z.number().int().min(0);
/** For a person's eyes: nothing in it may do anything with a terminal. */
const words = z
  .string()
  .max(4_096)
  .transform((text) => text.replaceAll(/\p{Cc}/gu, ' '));
const usage = z.object({ cpuPercent: z.number(), memoryBytes: z.number(), processes: count }).nullable();
const unitSchema = z.object({
  name: words,
  kind: z.enum(['node', 'exec', 'supervisor', 'actor']),
  phase: words,
  state: words.nullable(),
  pid: count.nullable(),
  starts: count,
  lastExit: words.nullable(),
  note: words.nullable(),
  restarts: count,
  uptimeMs: z.number().nullable(),
  health: z.object({ good: z.boolean(), failures: count, why: words.nullable() }).nullable(),
  usage,
  app: words.nullable(),
  dependsOn: z.record(words, words),
  actors: z
    .object({
      shown: z
        .array(z.object({ name: words, kind: z.enum(['actor', 'supervisor']), phase: words, starts: count }))
        .max(1_000),
      more: z.boolean(),
    })
    .optional(),
});
const statusSchema = z.object({
  name: words,
  file: words,
  pid: count,
  workspace: words,
  startedAtMs: z.number(),
  uptimeMs: z.number(),
  state: words,
  usage,
  units: z.array(unitSchema).max(20_000),
});

/** What another root tells of itself is input: nothing but what is checked here is shown. */
export function checkedStatus(value: unknown): TreeStatus | undefined {
  const parsed = statusSchema.safeParse(value);
  if (!parsed.success) return undefined;
  // Figures of channels are for those who look at that host.
  const units = parsed.data.units.map((unit) => ({ ...unit, channels: [] }));
  return { ...parsed.data, units, caches: [] } as TreeStatus;
}

/** A listing is not kept waiting for longer by one host. */
const answerTimeoutMs = 2_000;

/** @param usage whether what units use is asked for, too. */
export async function wholeStatus(
  own: TreeStatus,
  hosts: Hosts,
  topology: HostsTopology,
  usage: boolean,
): Promise<TreeStatus> {
  const heard = hosts.heard();
  const found = await Promise.all(
    heard.map(async (host) => {
      if (host.heard !== 'present') return undefined;
      const options = { timeoutMs: answerTimeoutMs };
      return hosts.ask(host.name, 'status', { usage }, options).catch(() => undefined);
    }),
  );
  const views = hosts.views();
  const others = heard.flatMap((host, index) => {
    const status = checkedStatus(found[index]);
    const unanswered = { ...host, heard: host.heard === 'present' ? 'silent' : host.heard } as HeardHost;
    return status
      ? status.units.map((unit) => ({ ...unit, host: host.name }))
      : views
          .filter(({ elsewhere }) => elsewhere!.host === host.name)
          .map((view) => unknownUnit(view, topology, unanswered));
  });
  const units = [...own.units.map((unit) => ({ ...unit, host: hosts.name })), ...others];
  return {
    ...own,
    hosts: [
      {
        name: hosts.name,
        heard: 'here',
        silenceMs: 0,
        pid: own.pid,
        startedAtMs: own.startedAtMs,
        state: own.state,
      },
      ...heard.map(hostStatus),
    ],
    units: inOrder(units, topology),
  };
}

function hostStatus({ name, heard, silenceMs, told }: HeardHost): HostStatus {
  const gone = heard === 'left' || heard === 'never';
  return {
    name,
    heard,
    silenceMs,
    pid: gone ? null : (told?.pid ?? null),
    startedAtMs: gone ? null : (told?.startedAtMs ?? null),
    state: gone || heard === 'silent' ? null : (told?.state ?? null),
  };
}

function unknownUnit(view: UnitView, { elsewhere }: HostsTopology, host: HeardHost): UnitStatus {
  const { id, phase, state, exit } = view;
  const { child } = elsewhere[id]!;
  const silence = host.silenceMs === null ? '' : ` for ${describeMs(host.silenceMs)}`;
  const was =
    host.heard === 'silent' && view.epoch > 0 ? `; it was ${phase === 'up' ? (state ?? phase) : phase}` : '';
  const how = host.heard === 'silent' ? `is silent${silence}` : wordsFor(host.heard);
  return {
    name: id,
    kind: child.kind,
    phase: host.heard === 'left' ? 'idle' : 'unknown',
    state: null,
    pid: null,
    starts: view.epoch,
    lastExit: exit ? describeExit(exit) : null,
    note: `host ${host.name} ${how}${was}`,
    restarts: Math.max(0, view.epoch - 1),
    uptimeMs: null,
    health: null,
    usage: null,
    channels: [],
    app: child.kind === 'node' ? child.app : null,
    dependsOn: Object.fromEntries(
      Object.entries(child.dependsOn).map(([parent, edge]) => [parent, describeEdge(edge)]),
    ),
    host: host.name,
  };
}

/** As they stand in the file, what is below a unit right after it. */
function inOrder(units: readonly UnitStatus[], { children, elsewhere, order }: HostsTopology): UnitStatus[] {
  const names = order ?? [...Object.keys(children), ...Object.keys(elsewhere)];
  const place = new Map(names.map((name, index) => [name, index]));
  const top = ({ name }: UnitStatus) => place.get(name.split('/')[0]!) ?? names.length;
  return units
    .map((unit) => ({ unit, at: top(unit) }))
    .sort((a, b) => a.at - b.at)
    .map(({ unit }) => unit);
}
