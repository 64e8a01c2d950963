// Tree options: how a command names the running tree that it is about.
import { existsSync } from 'node:fs';
import { type Command, InvalidArgumentError } from 'commander';
import { type AskOptions, askTree } from '../runtime/control-client.ts';
import { findTopology } from '../runtime/loader.ts';
import { workspaceFolder } from '../runtime/place.ts';

export interface TreeOptions {
  readonly file?: string;
  readonly workspace?: string;
  readonly json?: boolean;
}

/** The options by which a tree is found, and `--json`. */
export function withTree(command: Command): Command {
  return command
    .option('-f, --file <file>', 'topology file of the tree (default: topology.ts, .mts, .js or .mjs here)')
    .option('-w, --workspace <folder>', 'the workspace of the tree, if it is not beside the file')
    .option('--json', 'print the result as JSON');
}

/** The workspace that is meant. @throws {IpcError} ERR_TOPOLOGY_INVALID if neither a topology nor a workspace is here. */
export function workspaceOf({ file, workspace }: TreeOptions): string {
  return workspace ?? workspaceFolder(findTopology(file, process.cwd()), undefined);
}

export function ask(options: TreeOptions, question: string, more: AskOptions = {}): Promise<unknown> {
  return askTree(workspaceOf(options), question, more);
}

/** Whether a tree may run there at all. */
export function isWorkspace(folder: string): boolean {
  return existsSync(folder);
}

/** An option's value. */
export function wholeNumber(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new InvalidArgumentError('it is a whole number from 0 to 999999999.');
  return Number(text);
}

const units = new Map([
  ['ms', 1],
  ['s', 1_000],
  ['m', 60_000],
  ['h', 3_600_000],
  ['d', 86_400_000],
]);

/** `500ms`, `10s`, `5m`, `2h`, `1d`; a number alone is seconds. */
export function durationMs(text: string): number {
  const [, digits, unit = 's'] = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)?$/.exec(text) ?? [];
  const ms = Number(digits) * units.get(unit)!;
  if (Number.isNaN(ms) || ms > 2 ** 31 - 1)
    throw new InvalidArgumentError('it must be a duration as 500ms, 10s, 5m or 2h');
  return ms;
}
