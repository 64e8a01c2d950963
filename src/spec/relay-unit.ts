// Relay unit: a process of a topology that is a node of the relay tier, and the caches that the root of the tree holds for it, so that
// a node that was killed finds what it had when it is started again.
import { basename, dirname, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { CacheSpec } from './cache.ts';
import type { NodeChild, SupervisorSpec } from './child.ts';
import { isOfActors } from './child.ts';
import { checkRelayConfig } from './relay-config.ts';
import { type GatewaySpec, type RelayNodeSpec, tableCaches } from './relay-node.ts';

/** The program that runs a node, in the same language as this file. */
export const relayProgram = fileURLToPath(
  new URL(`../runtime/relay-program${import.meta.url.slice(-3)}`, import.meta.url),
);

/** What that program is told: a checked specification, or what stands in a configuration file. */
export interface RelayUnitInput {
  readonly spec?: RelayNodeSpec | GatewaySpec;
  readonly config?: unknown;
  readonly notes?: readonly string[];
}

/** The app that such a unit serves, as far as its configuration says. */
export function appOf(spec: RelayNodeSpec | GatewaySpec): string | undefined {
  return spec.role === 'gateway' ? Object.keys(spec.away)[0] : undefined;
}

/**
 * The caches of all nodes of a tree that keep a table.
 * @param mistakes what is wrong with them, a line each.
 */
export function cachesOfRelayUnits(spec: SupervisorSpec, mistakes: string[]): Record<string, CacheSpec> {
  const caches: Record<string, CacheSpec> = {};
  const owners = new Map<string, string>();
  for (const [at, unit] of unitsOf(spec, 'children')) {
    const node = nodeOf(unit);
    if (!node || node.role === 'sibling' || node.role === 'gateway') continue;
    const other = owners.get(node.node);
    if (other !== undefined)
      mistakes.push(
        `${at}: the relay node is called ${node.node}, as ${other} is; give one of them a "name"`,
      );
    owners.set(node.node, at);
    for (const { name, shape } of Object.values(tableCaches(node.node, node.table))) caches[name] = shape;
  }
  return caches;
}

function* unitsOf({ children }: SupervisorSpec, path: string): Iterable<[at: string, unit: NodeChild]> {
  for (const [id, child] of Object.entries(children)) {
    const at = `${path}.${id}`;
    if (child.kind === 'node') yield [at, child];
    else if (child.kind === 'supervisor' && !isOfActors(child)) yield* unitsOf(child, `${at}.children`);
  }
}

/** Undefined for another program. A topology file may have another copy of this package than the root of the tree. */
function nodeOf({ file, cwd, input }: NodeChild): RelayNodeSpec | GatewaySpec | undefined {
  const ours = basename(file).startsWith('relay-program.') && basename(dirname(file)) === 'runtime';
  if (!ours || typeof input !== 'object' || input === null) return undefined;
  const { spec, config } = input as RelayUnitInput;
  try {
    return spec ?? checkRelayConfig(config, resolve(cwd, 'relay()')).spec;
  } catch {
    // The unit itself tells what is wrong with it.
    return undefined;
  }
}
