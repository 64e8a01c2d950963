// `completion`: scripts for shells. Each asks the hidden command `complete` with the words so far, so that what it proposes
// is always what this release knows.
import { Argument, Command, type Option } from 'commander';
import { askTree } from '../runtime/control-client.ts';
import { findTopology } from '../runtime/loader.ts';
import { workspaceFolder } from '../runtime/place.ts';
import type { TreeStatus } from '../runtime/status.ts';
import { optionIn, sessionProposals } from './session-proposals.ts';

const scripts = {
  bash: `_actor_ipc() {
  local IFS=$'\\n'
  COMPREPLY=($(actor-ipc complete "$COMP_CWORD" "\${COMP_WORDS[@]}" 2>/dev/null))
  [ \${#COMPREPLY[@]} -eq 0 ] && compopt -o default
}
complete -F _actor_ipc actor-ipc
`,
  zsh: `#compdef actor-ipc
_actor_ipc() {
  local -a found
  found=("\${(@f)$(actor-ipc complete $((CURRENT - 1)) "\${words[@]}" 2>/dev/null)}")
  if [[ -n "$found[1]" ]]; then compadd -a found; else _files; fi
}
compdef _actor_ipc actor-ipc
`,
  fish: `function __actor_ipc
  set -l words (commandline -opc) (commandline -ct)
  actor-ipc complete (math (count $words) - 1) $words 2>/dev/null
end
complete -c actor-ipc -f -a '(__actor_ipc)'
complete -c actor-ipc -n 'test (count (__actor_ipc)) -eq 0' -F
`,
} as const;

type Shell = keyof typeof scripts;

export function completionCommand(): Command {
  return new Command('completion')
    .description('print a script that completes commands in a shell')
    .addArgument(new Argument('<shell>', 'which shell').choices(Object.keys(scripts)))
    .addHelpText(
      'after',
      '\nbash: source <(actor-ipc completion bash)\nfish: actor-ipc completion fish | source',
    )
    .action((shell: Shell) => void process.stdout.write(scripts[shell]));
}

/** What the scripts call: prints what could stand at place `index` of the words. */
export function completeCommand(program: Command): Command {
  return new Command('complete')
    .argument('<index>')
    .argument('[words...]')
    .allowUnknownOption()
    .passThroughOptions()
    .action(async (index: string, words: string[]) => {
      const place = Number(index);
      const found = await proposals(program, words.slice(1, place), words[place] ?? '');
      process.stdout.write(found.map((word) => `${word}\n`).join(''));
    });
}

/** @param before the complete words after the program's name. */
async function proposals(program: Command, before: readonly string[], word: string): Promise<string[]> {
  let command = program;
  for (const name of before) {
    const next = command.commands.find(
      (candidate) => candidate.name() === name || candidate.aliases().includes(name),
    );
    if (next) command = next;
  }
  const starts = (candidate: string) => candidate.startsWith(word);
  const asking = command.options.find(
    (option) => takesValue(option) && isOption(option, before.at(-1) ?? ''),
  );
  if (asking) {
    const ofSession = before[0] === 'session' ? sessionProposals(asking.long ?? '', before, word) : [];
    return [...(asking.argChoices ?? []), ...ofSession].filter(starts);
  }
  if (word.startsWith('-'))
    return command
      .createHelp()
      .visibleOptions(command)
      .filter((option) => !before.some((given) => isOption(option, given)))
      .map(({ long, short }) => long ?? short!)
      .filter(starts);
  const names = command
    .createHelp()
    .visibleCommands(command)
    .map((child) => child.name());
  if (names.length > 0) return names.filter(starts);
  const choices = command.registeredArguments.flatMap(({ argChoices }) => argChoices ?? []);
  const wantsUnit = command.registeredArguments.some((argument) => argument.name() === 'unit');
  return [...choices, ...(wantsUnit ? await units(optionIn(before, '--workspace', '-w')) : [])].filter(
    starts,
  );
}

function takesValue({ required, optional }: Option): boolean {
  return required || optional;
}

function isOption({ long, short }: Option, word: string): boolean {
  return word === long || word === short;
}

/** The units of the tree that runs here, or in that workspace; none, if there is none. */
async function units(workspace: string | undefined): Promise<string[]> {
  try {
    const folder = workspace ?? workspaceFolder(findTopology(undefined, process.cwd()), undefined);
    return ((await askTree(folder, 'status')) as TreeStatus).units.map(({ name }) => name);
  } catch {
    return [];
  }
}
