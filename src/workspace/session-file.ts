// Session file: `etc/session.yaml`, what holds for the workspace as a whole: who depends on whom, and what handles a scheme.
import { z } from 'zod';
import { IpcError } from '../errors.ts';
import { readYaml, updateYaml } from './yaml-file.ts';

const schema = z.looseObject({
  /** For each child, its parents as `alias` or `alias:state`. */
  dependences: z.record(z.string(), z.array(z.string())).default({}),
  /**
   * What runs for a uri of that scheme: a Node program, relative to the workspace, and its app if it takes part in a universe.
   * The uri's query is its input.
   */
  schemes: z.record(z.string(), z.strictObject({ node: z.string(), app: z.string().optional() })).default({}),
});

/** What `init` writes. */
export const sessionFileText = `# What holds for this session as a whole. Edit it as you like: comments and keys of your own stay.

# What runs for the uris of a scheme, beside exec://. A Node program, relative to this folder; the uri's query is its input:
#   schemes: { ib: { node: ./trader.ts } }
schemes: {}

# Who waits for whom, as "session dependence add" writes it:
#   dependences: { master.trader: ['master.tws:operative'] }
dependences: {}
`;

export type SessionFile = Readonly<z.output<typeof schema>>;

/** A parent of a dependence: a process, and the state that it must be in if one is named. */
export interface Parent {
  readonly alias: string;
  readonly state: string | undefined;
}

/** `alias:state` or `alias`. */
export function parseParent(text: string): Parent {
  const at = text.indexOf(':');
  return at < 0 ? { alias: text, state: undefined } : { alias: text.slice(0, at), state: text.slice(at + 1) };
}

/** @throws {IpcError} ERR_WORKSPACE_FILE. */
export function readSessionFile(path: string): SessionFile {
  const { success, data, error } = schema.safeParse(readYaml(path) ?? {});
  if (success) return data;
  const [{ path: keys, message }] = error.issues as [z.core.$ZodIssue];
  throw IpcError.of('ERR_WORKSPACE_FILE', path, `${keys.join('.')}: ${message}`);
}

/** @returns false if it was there already. @throws {IpcError} ERR_WORKSPACE_FILE. */
export function addDependence(path: string, parent: string, child: string): boolean {
  const { dependences } = readSessionFile(path);
  const parents = dependences[child] ?? [];
  if (parents.includes(parent)) return false;
  return updateYaml(path, { dependences: { ...dependences, [child]: [...parents, parent] } });
}

/**
 * Removes one dependence; a parent without a state means each of that process's states.
 * @returns how many were removed.
 * @throws {IpcError} ERR_WORKSPACE_FILE.
 */
export function removeDependence(path: string, parent: string, child: string): number {
  const { dependences } = readSessionFile(path);
  const parents = dependences[child] ?? [];
  const { alias, state } = parseParent(parent);
  const left = parents.filter(
    (known) => known !== parent && (state !== undefined || parseParent(known).alias !== alias),
  );
  if (left.length === parents.length) return 0;
  const { [child]: _, ...others } = dependences;
  updateYaml(path, { dependences: left.length > 0 ? { ...others, [child]: left } : others });
  return parents.length - left.length;
}
