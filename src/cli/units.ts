// The commands that give orders to the units of a running tree. Each waits for what it has asked for.
import { Command } from 'commander';
import type { Outcome } from '../runtime/operator.ts';
import type { TreeEnd } from '../runtime/tree.ts';
import { exitCodeOf } from './exit-code.ts';
import { ask, durationMs, type TreeOptions, withTree } from './tree-options.ts';

interface VerbOptions extends TreeOptions {
  readonly timeout?: number;
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
        'a named state, or ready, completed, down, up, failed and the other phases',
        'ready',
      )
      .action((unit: string, { state, ...options }: VerbOptions & { state: string }) =>
        order('wait', [unit], { state }, options),
      ),
    timed(new Command('attach'))
      .description('let an exec unit that is down take over a process that runs already')
      .argument('<unit>')
      .requiredOption('-p, --pid <pid>', 'number of the process', Number)
      .action((unit: string, { pid, ...options }: VerbOptions & { pid: number }) =>
        order('attach', [unit], { pid }, options),
      ),
    withTree(new Command('down'))
      .description('stop the whole tree in order, and wait until it is gone')
      .action(async (options: TreeOptions) => {
        const end = (await ask(options, 'down', { timeoutMs: 'infinity' })) as TreeEnd;
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
    const outcome = (await ask(options, name, {
      facts: { ...facts, unit },
      timeoutMs: timeout ?? 'infinity',
      what: `${name} ${unit}`,
    })) as Outcome;
    process.stdout.write(options.json ? `${JSON.stringify(outcome)}\n` : `${describe(outcome)}\n`);
  }
}

function describe({ unit, phase, state, pid, starts }: Outcome): string {
  const where = state === null || phase !== 'up' ? phase : state;
  return `${unit} is ${where}${pid === null ? '' : ` as process ${pid}`}${starts > 1 ? ` (start ${starts})` : ''}`;
}
