// The commands that give orders to the units of a running tree. Each waits for what it has asked for.
import { resolve } from 'node:path';
import { Command, InvalidArgumentError, Option } from 'commander';
import { stringify } from 'yaml';
import type { Outcome } from '../runtime/operator.ts';
import type { TreeEnd } from '../runtime/tree.ts';
import { parseCondition } from '../spec/condition.ts';
import { exitCodeOf } from './exit-code.ts';
import { stands, withProgress } from './progress.ts';
import { ask, durationMs, type TreeOptions, withTree, workspaceOf } from './tree-options.ts';

interface VerbOptions extends TreeOptions {
  readonly timeout?: number;
}

interface WaitOptions extends VerbOptions {
  readonly state?: string;
  readonly condition?: string;
}

interface AttachOptions extends VerbOptions {
  readonly pid?: number;
  readonly fingerprint?: string;
}

/** The supervisor itself says what it waited for in vain; one that does not answer is waited for no longer than this. */
const graceMs = 2_000;

function pidIn(text: string): number {
  if (!/^[1-9]\d*$/.test(text)) throw new InvalidArgumentError('it must be the number of a process');
  return Number(text);
}

const verbs: readonly [name: string, description: string][] = [
  ['start', 'start a unit, and wait until it is up'],
  ['stop', 'stop a unit, and wait until nothing of it is left'],
  ['restart', 'stop a unit and start it again, and wait until it is up'],
  ['reload', 'replace the process of a unit: a new one gets ready first, then the present one ends'],
  ['reset', 'forgive a unit that was given up; "start" starts it'],
];

export function unitCommands(): Command[] {
  const timed = (command: Command) =>
    withTree(command).option('-t, --timeout <duration>', 'give up waiting after that (code 5)', durationMs);
  return [
    ...verbs.map(([name, description]) =>
      timed(new Command(name))
        .description(description)
        .argument('<unit...>', 'names of units, as in "status"; one after the other')
        .action((units: string[], options: VerbOptions) => order(name, units, {}, options)),
    ),
    withTree(new Command('signal'))
      .description('send a signal to the process group of a unit')
      .argument('<unit>')
      .argument('<signal>', 'a name as HUP or SIGHUP, or a number')
      .action((unit: string, signal: string, options: VerbOptions) =>
        order('signal', [unit], { signal }, options),
      ),
    timed(new Command('wait'))
      .description('wait until a unit is in a state')
      .argument('<unit>')
      .option(
        '-s, --state <state>',
        'a named state, or ready, completed, down, up, failed and the other phases (default: ready)',
      )
      .addOption(
        new Option(
          '-c, --condition <expression>',
          "an expression over fp, state, health and uptimeMs: len(fp.listen) > 0, '0.0.0.0:9090' in fp.listen",
        ).conflicts('state'),
      )
      .action((unit: string, { state = 'ready', condition, ...options }: WaitOptions) => {
        // A mistake is told without asking anybody.
        if (condition !== undefined) parseCondition(condition);
        return order('wait', [unit], condition === undefined ? { state } : { condition }, options);
      }),
    timed(new Command('attach'))
      .description('let an exec unit that is down take over a process that runs already')
      .argument('<unit>')
      .option('-p, --pid <pid>', 'number of the process', pidIn)
      .addOption(
        new Option(
          '--fingerprint <file>',
          'the one process of this machine that looks like that saved fingerprint',
        ).conflicts('pid'),
      )
      .action((unit: string, { pid, fingerprint, ...options }: AttachOptions, command: Command) => {
        if (pid === undefined && fingerprint === undefined)
          command.error('error: name the process by --pid or --fingerprint');
        return order(
          'attach',
          [unit],
          fingerprint ? { fingerprint: resolve(fingerprint) } : { pid },
          options,
        );
      }),
    withTree(new Command('fingerprint'))
      .description('print what the process of a unit has open, to be saved as a fingerprint')
      .argument('<unit>')
      .action(async (unit: string, options: TreeOptions) => {
        const found = await ask(options, 'fingerprint', { facts: { unit } });
        process.stdout.write(options.json ? `${JSON.stringify(found, null, 2)}\n` : stringify(found));
      }),
    withTree(new Command('down'))
      .description('stop the whole tree in order, and wait until it is gone')
      .action(async (options: TreeOptions) => {
        const end = (await withProgress(
          { workspace: workspaceOf(options), what: 'stopping', concerns: stands },
          () => ask(options, 'down', { timeoutMs: 'infinity' }),
        )) as TreeEnd;
        process.stdout.write(
          options.json ? `${JSON.stringify(end, null, 2)}\n` : `it ended: ${end.reason}\n`,
        );
        process.exitCode = exitCodeOf(end);
      }),
  ];
}

async function order(
  name: string,
  units: readonly string[],
  facts: object,
  { timeout, ...options }: VerbOptions,
): Promise<void> {
  for (const unit of units) {
    const what = `${name} ${unit}`;
    const outcome = (await withProgress(
      { workspace: workspaceOf(options), what, concerns: (each) => each.name === unit },
      () =>
        ask(options, name, {
          facts: {
            ...facts,
            unit,
            ...(name === 'wait' && timeout !== undefined && { timeoutMs: Math.ceil(timeout) }),
          },
          timeoutMs: timeout === undefined ? 'infinity' : name === 'wait' ? timeout + graceMs : timeout,
          what,
        }),
    )) as Outcome;
    process.stdout.write(options.json ? `${JSON.stringify(outcome)}\n` : `${describe(outcome)}\n`);
  }
}

function describe({ unit, phase, state, pid, starts }: Outcome): string {
  const where = state === null || phase !== 'up' ? phase : state;
  return `${unit} is ${where}${pid === null ? '' : ` as process ${pid}`}${starts > 1 ? ` (start ${starts})` : ''}`;
}
