// Survey: the status of a tree with what its units use and what goes through their channels. It costs a look at every
// process, so it is taken only for those who ask.
import { addressOf } from '../names.ts';
import type { ChannelFiguresByUnit } from './channel-figures.ts';
import type { TreeStatus } from './status.ts';
import type { UsageMeter } from './usage.ts';

/** The root's, and those of all units that have one. */
export function pidsOf({ pid, units }: TreeStatus): number[] {
  return [pid, ...units.flatMap((unit) => unit.pid ?? [])];
}

export async function survey(
  status: TreeStatus,
  meter: UsageMeter,
  figures: ChannelFiguresByUnit,
): Promise<TreeStatus> {
  const [usages] = await Promise.all([meter.measure(pidsOf(status)), figures.collect()]);
  const usageOf = (pid: number | null) => (pid === null ? null : (usages.get(pid) ?? null));
  return {
    ...status,
    usage: usageOf(status.pid),
    units: status.units.map((unit) => ({
      ...unit,
      usage: usageOf(unit.pid),
      channels: figures.of(addressOf(status.name, unit.name)),
    })),
  };
}
