// Session proposals: what completes the options of the commands under `session`: aliases, names and states of a workspace.
import { resolve } from 'node:path';
import { openSession } from '../runtime/session.ts';
import { planSession, type SessionPlan } from '../runtime/session-plan.ts';

const phases = ['ready', 'up', 'down', 'failed'];

/**
 * @param option that the word is the value of.
 * @param before the words before it.
 * @returns nothing for other options, and where there is no session.
 */
export function sessionProposals(option: string, before: readonly string[], word: string): string[] {
  if (!['--alias', '--parent', '--child', '--state'].includes(option)) return [];
  try {
    const workspace = openSession(resolve(optionIn(before, '--workspace', '-w') ?? '.'), {});
    const plan = planSession(workspace);
    if (option === '--alias') return wordsOf(plan);
    if (option === '--state')
      return [...phases, ...statesOf(workspace, plan, optionIn(before, '--alias', '-a'))];
    // One or several, joined by commas.
    const first = word.slice(0, word.lastIndexOf(',') + 1);
    const taken = new Set(first.split(',').map((each) => each.split(':')[0]));
    const free = wordsOf(plan).filter((each) => !taken.has(each));
    const proposed =
      option === '--child'
        ? free
        : free.flatMap((each) => [
            each,
            ...statesOf(workspace, plan, each).map((state) => `${each}:${state}`),
          ]);
    return proposed.map((each) => first + each);
  } catch {
    return [];
  }
}

/** What people call them: the alias, or the name of those that have none. */
function wordsOf({ files }: SessionPlan): string[] {
  return [...files].map(([name, { alias }]) => alias ?? name);
}

/** The named states of a process; of all, if none is named. */
function statesOf(
  { fingerprints }: ReturnType<typeof openSession>,
  { files }: SessionPlan,
  wanted: string | undefined,
): string[] {
  const names = [...files]
    .filter(([name, { alias }]) => wanted === undefined || wanted === name || wanted === alias)
    .map(([name]) => name);
  return [...new Set(names.flatMap((name) => [...fingerprints.filesOf(name).keys()]))];
}

/** The value that an option was given. */
export function optionIn(words: readonly string[], long: string, short: string): string | undefined {
  const at = words.findLastIndex((word) => word === long || word === short);
  return at < 0 ? words.find((word) => word.startsWith(`${long}=`))?.slice(long.length + 1) : words[at + 1];
}
