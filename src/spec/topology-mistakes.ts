// Topology mistakes: each in one line: where, what was found, what is allowed, and the nearest known word.
import { inspect } from 'node:util';
import type { z } from 'zod';
import { IpcError } from '../errors.ts';
import { nearest } from '../names.ts';
import { processDefaults } from './child.ts';
import {
  actorSchema,
  arenaSchema,
  cacheSchema,
  execSchema,
  hostSchema,
  hostsRelaySchema,
  nodeSchema,
  supervisorSchema,
  tlsSchema,
  topologySchema,
} from './topology-schema.ts';

export function invalid(file: string, mistakes: string[]): IpcError {
  return IpcError.of('ERR_TOPOLOGY_INVALID', file, mistakes.join('\n  '));
}

export function hint(word: string, known: Iterable<string>): string {
  const near = nearest(word, known);
  return near === undefined ? '' : ` (did you mean ${near}?)`;
}

/** One line for a mistake: where, what is wrong, what is allowed. */
export function wordingOf(issue: z.core.$ZodIssue, above: PropertyKey[]): string {
  const path = [...above, ...issue.path];
  const where = path.length === 0 ? 'the exported value' : path.map(String).join('.');
  switch (issue.code) {
    case 'unrecognized_keys': {
      const known = knownKeys(path, issue.input);
      return issue.keys
        .map(
          (key) =>
            `${[...path, key].map(String).join('.')}: unknown key${hint(key, known)}; allowed: ${known.join(', ')}`,
        )
        .join('\n  ');
    }
    case 'invalid_value':
      return `${where}: ${show(issue.input)} is not allowed${typeof issue.input === 'string' ? hint(issue.input, issue.values.map(String)) : ''}; allowed: ${issue.values.join(', ')}`;
    case 'invalid_union':
      if ('discriminator' in issue)
        return `${where}: ${show(issue.input)} is no child; make it with node(), exec(), actor() or supervisor()`;
      return `${where}: ${issue.message}, not ${show(issue.input)}`;
    case 'invalid_key':
      return `${where}: ${issue.issues.map(({ message }) => message).join('; ')}`;
    case 'invalid_type':
      return issue.input === undefined
        ? `${where}: is missing; it must be ${article(issue.expected)}`
        : `${where}: must be ${article(issue.expected)}, not ${show(issue.input)}`;
    default:
      return `${where}: ${issue.message}${issue.input === undefined ? '' : `, not ${show(issue.input)}`}`;
  }
}

/** A type as people say it. */
function article(type: string): string {
  if (type === 'record' || type === 'object') return 'an object';
  if (type === 'array') return 'an array';
  return type === 'int' ? 'a whole number' : `a ${type}`;
}

function show(value: unknown): string {
  if (typeof value === 'function') return 'a function';
  const text = textOf(value);
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}

function textOf(value: unknown): string {
  try {
    return JSON.stringify(value) ?? String(value);
  } catch {
    // A circle, a bigint, or something that throws.
    return inspect(value, { depth: 1, breakLength: Number.POSITIVE_INFINITY });
  }
}

const keysOf = new Map<unknown, string[]>([
  ['topology', Object.keys(topologySchema.shape)],
  ['backoff', Object.keys(processDefaults.backoff)],
  ['giveUp', Object.keys(processDefaults.giveUp)],
  ['node', Object.keys(nodeSchema.shape)],
  ['exec', Object.keys(execSchema.shape)],
  ['actor', Object.keys(actorSchema.shape)],
  ['supervisor', Object.keys(supervisorSchema.shape)],
  ['arena', Object.keys(arenaSchema.shape)],
  ['cache', Object.keys(cacheSchema.shape)],
]);

/** Keys of `hosts` and `relay`, which units could be called as well. */
function ofHosts(path: PropertyKey[]): string[] | undefined {
  if (path[0] === 'relay') return path.length === 1 ? Object.keys(hostsRelaySchema.shape) : undefined;
  if (path[0] !== 'hosts') return undefined;
  return Object.keys((path.length === 2 ? hostSchema : tlsSchema).shape);
}

/** The keys that may stand where an unknown one was found. */
function knownKeys(path: PropertyKey[], found: unknown): string[] {
  const kind = (found as { kind?: unknown } | undefined)?.kind;
  const known = keysOf.get(kind) ?? ofHosts(path) ?? keysOf.get(path.at(-1)) ?? keysOf.get('topology')!;
  return known.filter((key) => key !== 'kind');
}
