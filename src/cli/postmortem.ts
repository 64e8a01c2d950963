// `postmortem`: what all processes did around the last death of a unit. Needs no running tree.
import { Command, InvalidArgumentError } from 'commander';
import { type Postmortem, readPostmortem } from '../inspector/postmortem.ts';
import { describeExit } from '../runtime/status.ts';
import { paint } from './color.ts';
import { type TreeOptions, withTree, workspaceOf } from './tree-options.ts';

export function postmortemCommand(): Command {
  const command = new Command('postmortem')
    .description('print what all processes did around the death of a unit, by time')
    .argument('<unit>', 'path of the unit below the root')
    .option('-n, --number <number>', 'an earlier one: 2 is the one before the last', numberOf, 1);
  return withTree(command).action((unit: string, options: TreeOptions & { readonly number: number }) => {
    const postmortem = readPostmortem(workspaceOf(options), unit, options.number);
    const text = options.json ? `${JSON.stringify(postmortem, null, 2)}\n` : describe(postmortem);
    process.stdout.write(text);
  });
}

function numberOf(text: string): number {
  const number = Number(text);
  if (!Number.isInteger(number) || number < 1) throw new InvalidArgumentError('it must be 1 or more');
  return number;
}

function describe(postmortem: Postmortem): string {
  const { unit, incarnation, pid, exit, verdict, state, endedAtMs, entries } = postmortem;
  const width = Math.max(4, ...entries.map(({ unit: of }) => nameOf(of).length));
  const process = pid === null ? '' : `, process ${pid}`;
  const head = [
    `${paint.bold(unit)} (start ${incarnation}${process}): ${describeExit(exit)}; ${verdict}`,
    `at ${new Date(endedAtMs).toISOString()}${state === null ? '' : `, last in state ${state}`}`,
    '',
  ];
  let dead = false;
  const lines = entries.flatMap(({ atMs, unit: of, what, text }) => {
    const line = `${sinceDeath(atMs - endedAtMs)}  ${nameOf(of).padEnd(width)}  ${colorOf(what)(text)}`;
    if (dead || atMs <= endedAtMs) return [line];
    dead = true;
    return [paint.red(`${' '.repeat(12)}-- the end of ${unit}`), line];
  });
  return `${[...head, ...lines].join('\n')}\n`;
}

function nameOf(unit: string): string {
  return unit === '' ? 'root' : unit;
}

/** Milliseconds before (-) and after the end. */
function sinceDeath(ms: number): string {
  return `${ms > 0 ? '+' : ''}${ms.toFixed(1)} ms`.padStart(12);
}

function colorOf(what: Postmortem['entries'][number]['what']): (text: string) => string {
  if (what === 'line') return (text) => text;
  return what === 'log' ? paint.yellow : paint.green;
}
