// Top page: the units in the wanted order, and below them the channels that they use.
import type { TreeStatus, UnitStatus } from '../runtime/status.ts';
import { paint } from './color.ts';
import { type Column, gridLines } from './grid.ts';
import { describeBytes, silentHosts, treeHead, unitLines } from './unit-rows.ts';

export type Sorting = (typeof sortings)[number];
export const sortings = ['tree', 'cpu', 'memory', 'restarts', 'uptime', 'name'] as const;

/** Which key sorts by what. */
export const sortKeys: ReadonlyMap<string, Sorting> = new Map(
  sortings.map((sorting) => [sorting[0]!, sorting]),
);

const figures: Record<Exclude<Sorting, 'tree' | 'name'>, (unit: UnitStatus) => number> = {
  cpu: ({ usage }) => usage?.cpuPercent ?? -1,
  memory: ({ usage }) => usage?.memoryBytes ?? -1,
  restarts: ({ restarts }) => restarts,
  uptime: ({ uptimeMs }) => uptimeMs ?? -1,
};

const channelColumns: readonly Column[] = [
  { head: 'unit', cut: true },
  { head: 'channel', cut: true },
  { head: 'with' },
  { head: 'open', align: 'right', drop: 3 },
  { head: 'sent/s', align: 'right', min: 9, drop: 1 },
  { head: 'received/s', align: 'right', min: 10, drop: 1 },
  { head: 'unread', align: 'right', drop: 2 },
  { head: 'dropped', align: 'right', drop: 4 },
];

/** @param width of the terminal; undefined where there is none, and so nobody who could press a key. */
export function topLines(status: TreeStatus, sorting: Sorting, width?: number): string[] {
  const keys = sortings.map((each) => {
    const word = `${paint.bold(each[0]!)}${each.slice(1)}`;
    return each === sorting ? paint.inverse(word) : word;
  });
  const channels = status.units.flatMap(channelCells);
  return [
    treeHead(status),
    ...(width === undefined ? [] : [`sorted by ${keys.join(' ')}   ${paint.bold('q')} leaves`]),
    ...silentHosts(status),
    ...unitLines(status, sorted(status.units, sorting), width),
    ...(channels.length === 0 ? [] : ['', ...gridLines(channelColumns, channels, width)]),
  ];
}

function sorted(units: readonly UnitStatus[], sorting: Sorting): readonly UnitStatus[] {
  if (sorting === 'tree') return units;
  if (sorting === 'name') return [...units].sort((a, b) => a.name.localeCompare(b.name));
  const figure = figures[sorting];
  return [...units].sort((a, b) => figure(b) - figure(a));
}

function channelCells({ name, channels }: UnitStatus): string[][] {
  // One that has never carried anything says nothing.
  const used = channels.filter(({ sent, received, unreadBytes }) => sent + received + unreadBytes > 0);
  return used.map(({ channel, peer, open, sentPerSecond, receivedPerSecond, unreadBytes, dropped }) => [
    name,
    channel,
    peer,
    String(open),
    rate(sentPerSecond),
    rate(receivedPerSecond),
    describeBytes(unreadBytes),
    dropped === 0 ? '' : String(dropped),
  ]);
}

/** Of two looks; after the first one there is none. */
function rate(perSecond: number | null): string {
  return perSecond === null ? '-' : perSecond.toLocaleString('en-US');
}
