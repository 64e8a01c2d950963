// Conditions: what a state, a gate or `wait` asks of a process, as an expression over its fingerprint, state, health and
// uptime. The language is CEL; it is parsed and checked before anything runs, and never evaluated as code.
import { type ASTNode, Environment } from '@marcbachmann/cel-js';
import { IpcError, messageOf } from '../errors.ts';
import { type Fingerprint, type FingerprintKey, fingerprintKeys } from './fingerprint.ts';

/** What an expression may name. */
export interface ConditionFacts {
  readonly fp: Fingerprint;
  /** The named application state; empty if there is none. */
  readonly state: string;
  readonly health: 'healthy' | 'unhealthy' | 'unknown';
  readonly uptimeMs: number;
}

export interface Condition {
  readonly text: string;
  /** The parts of the fingerprint that have to be looked up: the dear part. */
  readonly keys: ReadonlySet<FingerprintKey>;
  /** Whether it names what nobody tells of by itself: the fingerprint, health or uptime. */
  readonly needsLook: boolean;
  /** @throws {IpcError} ERR_CONDITION_INVALID for what only the values show, as a division by zero. */
  holds(facts: ConditionFacts): boolean;
}

const limits = {
  maxAstNodes: 200,
  maxDepth: 32,
  maxListElements: 64,
  maxMapEntries: 16,
  maxCallArguments: 8,
};

const language = new Environment({ limits })
  .registerVariable('fp', 'map<string, list<string>>')
  .registerVariable('state', 'string')
  .registerVariable('health', 'string')
  .registerVariable('uptimeMs', 'int')
  .registerFunction('len(list): int', (list: readonly unknown[]) => BigInt(list.length))
  .registerFunction('len(string): int', (text: string) => BigInt(text.length));

/** What looks at each entry of a list. */
const walks: ReadonlySet<unknown> = new Set(['all', 'exists', 'exists_one', 'map', 'filter']);

/** The longest expression that is taken. */
export const conditionLengthMax = 1_000;

/** @throws {IpcError} ERR_CONDITION_INVALID with the position of the mistake. */
export function parseCondition(text: string): Condition {
  if (text.length > conditionLengthMax)
    throw invalid(text.slice(0, 80), `it is longer than ${conditionLengthMax} characters`);
  const evaluate = parsed(text);
  const names = new Set<string>();
  const keys = new Set<FingerprintKey>();
  inspect(text, evaluate.ast, names, keys, false);
  const checked = evaluate.check();
  if (!checked.valid) throw located(text, checked.error);
  if (checked.type !== 'bool') throw invalid(text, `it gives a ${checked.type}, but must be true or false`);
  return {
    text,
    keys,
    needsLook: names.has('fp') || names.has('health') || names.has('uptimeMs'),
    holds({ fp, state, health, uptimeMs }) {
      try {
        return evaluate({ fp, state, health, uptimeMs: BigInt(Math.trunc(uptimeMs)) }) === true;
      } catch (error) {
        throw located(text, error);
      }
    },
  };
}

function parsed(text: string): ReturnType<Environment['parse']> {
  try {
    return language.parse(text);
  } catch (error) {
    throw located(text, error);
  }
}

/**
 * Collects the names that an expression uses, and the keys of the fingerprint; a key that no fingerprint has is a mistake of
 * whoever wrote it.
 * @param inWalk each entry of a list is looked at around here.
 */
function inspect(
  text: string,
  node: unknown,
  names: Set<string>,
  keys: Set<FingerprintKey>,
  inWalk: boolean,
): void {
  if (Array.isArray(node)) {
    for (const part of node) inspect(text, part, names, keys, inWalk);
    return;
  }
  if (!isNode(node)) return;
  // One expression of some characters could hold up this process for years.
  if (node.op === 'rcall' && node.args[0] === 'matches')
    throw invalid(text, "matches can't be used here; use startsWith, endsWith and contains", node.start);
  if (node.op === 'rcall' && walks.has(node.args[0])) {
    const [name, list, parameters] = node.args;
    // A process may have thousands of files open, and this one has other things to do.
    if (inWalk) throw invalid(text, `${name} can't stand within another walk through a list`, node.start);
    inspect(text, list, names, keys, inWalk);
    return inspect(text, parameters, names, keys, true);
  }
  if (node.op === 'id') {
    names.add(node.args);
    // As a whole, or by a key that only its evaluation shows.
    if (node.args === 'fp') for (const key of fingerprintKeys) keys.add(key);
  }
  if (node.op === '.' || node.op === '[]') {
    const [target, key] = node.args;
    const name = typeof key === 'string' ? key : key.op === 'value' ? key.args : undefined;
    if (target.op === 'id' && target.args === 'fp' && typeof name === 'string') {
      if (!isFingerprintKey(name))
        throw invalid(
          text,
          `a fingerprint has no ${name}; it has ${fingerprintKeys.join(', ')}`,
          typeof key === 'string' ? node.end - key.length : key.start,
        );
      keys.add(name);
      names.add('fp');
      return;
    }
  }
  inspect(text, node.args, names, keys, inWalk);
}

function isNode(value: unknown): value is ASTNode {
  return typeof value === 'object' && value !== null && 'op' in value;
}

function isFingerprintKey(key: string): key is FingerprintKey {
  return (fingerprintKeys as readonly string[]).includes(key);
}

function located(text: string, error: unknown): IpcError {
  if (error instanceof IpcError) return error;
  const why = hasSummary(error) ? error.summary : messageOf(error);
  // The words of other languages for the same.
  const hint = /\b(?:and|or|not)\b/.test(text) ? ' (write && for and, || for or, ! for not)' : '';
  return invalid(text, why + hint, hasSummary(error) ? error.range?.start : undefined);
}

function hasSummary(error: unknown): error is { summary: string; range?: { start: number } } {
  return error instanceof Error && typeof (error as { summary?: unknown }).summary === 'string';
}

/** The message shows where: the expression, and a mark below the place. */
function invalid(text: string, why: string, at?: number): IpcError {
  const place = at === undefined ? '' : ` at character ${at + 1}\n  ${text}\n  ${' '.repeat(at)}^`;
  return IpcError.of('ERR_CONDITION_INVALID', text, `${why}${place}`);
}
