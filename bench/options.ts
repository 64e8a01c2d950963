// Options: the command line of the benchmark.
import { parseArgs } from 'node:util';
import { groups } from './groups.ts';
import type { Durations } from './job.ts';
import { modes } from './record.ts';

export interface Options extends Durations {
  readonly help: boolean;
  readonly long: boolean;
  /** Pairs of processes per row. */
  readonly runs: number;
  /** How often a pair is tried, as long as other work disturbs it. */
  readonly attempts: number;
  /** Which groups; matched with `<group> <mode>`. */
  readonly only: RegExp | undefined;
  readonly jsonFile: string | undefined;
}

/** For every day: long enough for V8 to have compiled what is measured, and to see one percentile in a thousand. */
const shortForm = { long: false, runs: 1, attempts: 1, warmUpMs: 60, measureMs: 120 };
/** For figures that are shown to others: the middle of three runs, each in a quiet moment if there is one. */
const longForm = { long: true, runs: 3, attempts: 3, warmUpMs: 300, measureMs: 1_000 };

export const helpText = `Usage: npm run bench -- [options]

Measures sessions of actor-ipc between two processes beside child_process.fork
and the limit of the machine. Takes some 100 seconds. This short form measures
unpinned only ${groups
  .filter(({ unpinnedToo }) => unpinnedToo)
  .map(({ name }) => name)
  .join(', ')}, and fork only in half of the groups;
--only measures all of what it names.

  --long          ${longForm.runs} runs and ${longForm.measureMs} ms per measure, not ${shortForm.runs} and ${shortForm.measureMs} ms; what other
                  work disturbs is repeated; takes a quarter of an hour and more
  --only PATTERN  only where the group's name and the mode match: 16B,
                  "object pinned", "^(16B|4KiB) unpinned"
                  groups: ${groups.map(({ name }) => name).join(' ')}
                  modes:  ${modes.join(' ')}
  --json FILE     write all figures to FILE; if it exists, print first how they
                  have changed
  --help          print this`;

/** @throws an Error that says what is wrong with the command line. */
export function optionsOf(argv: readonly string[]): Options {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      long: { type: 'boolean', default: false },
      only: { type: 'string' },
      json: { type: 'string' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  return {
    ...(values.long ? longForm : shortForm),
    help: values.help,
    only: values.only === undefined ? undefined : new RegExp(values.only, 'i'),
    jsonFile: values.json,
  };
}
