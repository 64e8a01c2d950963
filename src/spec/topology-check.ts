// The checks that turn what a topology file exports into child specs: shape, files, gates. Every mistake is told at once,
// each with its key path, what was found, what is allowed and the nearest known word.
import { accessSync, constants, statSync } from 'node:fs';
import { dirname, isAbsolute, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { inspect } from 'node:util';
import { z } from 'zod';
import { IpcError, messageOf } from '../errors.ts';
import { isName, isStatePath, nameRule, nearest, stateMatches } from '../names.ts';
import {
  type ChildPolicy,
  type ChildSpec,
  hostConditions,
  processDefaults,
  type SupervisorSpec,
  supervisorDefaults,
  type Topology,
} from './child.ts';
import { notifyFdOf, type ProcessRules } from './probe.ts';
import { livenessOf, processRuleKeys, readinessOf, standby, statesOf } from './probe-check.ts';
import { circleIn } from './start-order.ts';

const name = z.string().refine(isName, { error: nameRule });
/** What a timer of Node takes: about 24 days. */
const msMax = 2 ** 31 - 1;
const msRule = { error: `it must be milliseconds, from 0 to ${msMax}` };
const ms = z.number(msRule).min(0, msRule).max(msMax, msRule);
const countRule = { error: 'it must be a whole number, 0 or more' };
const count = z.number(countRule).int(countRule).min(0, countRule);
const state = z.string().refine(isStatePath, { error: 'a state is one name, or several joined by dots' });

/** `always`, `on-failure` and `no` are what other process managers call the three types. */
const restart = z
  .enum(['permanent', 'transient', 'temporary', 'always', 'on-failure', 'no'])
  .transform((word) =>
    word === 'always'
      ? 'permanent'
      : word === 'on-failure'
        ? 'transient'
        : word === 'no'
          ? 'temporary'
          : word,
  );

const factorRule = { error: 'it must be a number, 1 or more' };
const jitterRule = { error: 'it must be a number from 0 to 1' };
const backoff = (defaults: ChildPolicy['backoff']) =>
  z
    .strictObject({
      minMs: ms.default(defaults.minMs),
      maxMs: ms.default(defaults.maxMs),
      factor: z.number(factorRule).min(1, factorRule).default(defaults.factor),
      jitter: z.number(jitterRule).min(0, jitterRule).max(1, jitterRule).default(defaults.jitter),
    })
    .default(defaults);
const giveUp = (defaults: ChildPolicy['giveUp']) =>
  z
    .strictObject({
      restarts: count.default(defaults.restarts),
      periodMs: ms.default(defaults.periodMs),
    })
    .default(defaults);

/** The rules of a child, with the defaults of its kind. */
const policyWith = (defaults: typeof processDefaults | typeof supervisorDefaults) => ({
  restart: restart.default(defaults.restart),
  shutdown: z
    .union([ms, z.literal('kill'), z.literal('infinity')], {
      error: `it must be milliseconds up to ${msMax}, "kill" or "infinity"`,
    })
    .default(defaults.shutdown),
  dependsOn: z.record(name, state).default({}),
  startTimeoutMs: ms.default(defaults.startTimeoutMs),
  backoff: backoff(defaults.backoff),
  stableMs: ms.default(defaults.stableMs),
  giveUp: giveUp(defaults.giveUp),
});

const processKeys = {
  ...policyWith(processDefaults),
  file: z.string().min(1, { error: 'it must name a file' }),
  args: z.array(z.string()).default([]),
  env: z.record(z.string(), z.string()).default({}),
  cwd: z.string().optional(),
  ...processRuleKeys,
};

const nodeSchema = z.strictObject({ kind: z.literal('node'), app: name.optional(), standby, ...processKeys });
const execSchema = z.strictObject({
  kind: z.literal('exec'),
  survive: z.boolean().default(false),
  ...processKeys,
});

const supervision = {
  strategy: z.enum(['one-for-one', 'one-for-all', 'rest-for-one']).default(supervisorDefaults.strategy),
  intensity: z
    .union([count, z.literal('infinity')], {
      error: 'it must be a whole number, 0 or more, or "infinity"',
    })
    .default(supervisorDefaults.intensity),
  periodMs: ms.default(supervisorDefaults.periodMs),
};
const supervisorSchema = z.strictObject({
  kind: z.literal('supervisor'),
  ...policyWith(supervisorDefaults),
  ...supervision,
  get children() {
    return children;
  },
});

const child = z.discriminatedUnion('kind', [nodeSchema, execSchema, supervisorSchema]);
export type ChildInput = z.input<typeof nodeSchema> | z.input<typeof execSchema> | SupervisorInput;
const children: z.ZodType<Record<string, z.output<typeof nodeSchema>>> = z
  .record(
    name,
    z.lazy(() => child),
  )
  .refine((record) => Object.keys(record).length > 0, { error: 'at least one child is needed' }) as never;

const topologySchema = z.strictObject({ name, ...supervision, children });

type SupervisionInput = { [K in keyof typeof supervision]?: z.input<(typeof supervision)[K]> };
export interface SupervisorInput
  extends SupervisionInput,
    Omit<z.input<typeof supervisorSchema>, 'children' | keyof SupervisionInput> {
  children: Record<string, ChildInput>;
}

/** What `defineTopology` takes. */
export interface TopologyInput extends SupervisionInput {
  name: string;
  children: Record<string, ChildInput>;
}

type Options<S extends { kind: string }> = Omit<S, 'kind' | 'file'>;
export type NodeOptions = Options<z.input<typeof nodeSchema>>;
export type ExecOptions = Options<z.input<typeof execSchema>>;

/**
 * Checks what a topology file exports and fills in all defaults.
 * @param file the absolute path of that file; relative paths in it are resolved from there.
 * @throws {IpcError} ERR_TOPOLOGY_INVALID with one line for each mistake: the key path, what is wrong, what is allowed.
 */
export function checkTopology(exported: unknown, file: string): Topology {
  const parsed = parse(exported, file);
  if (!parsed.success)
    throw invalid(
      file,
      parsed.error.issues.map((issue) => wordingOf(issue, [])),
    );
  const { children, ...rest } = parsed.data;
  const mistakes: string[] = [];
  const topology = {
    ...rest,
    file,
    children: completeChildren(children as never, dirname(file), 'children', mistakes),
  };
  checkGates(topology, 'children', mistakes);
  if (mistakes.length > 0) throw invalid(file, mistakes);
  return topology;
}

function parse(exported: unknown, file: string) {
  try {
    return topologySchema.safeParse(exported, { reportInput: true });
  } catch (error) {
    // A getter that throws, or a tree without end.
    throw invalid(file, [`the exported value can't be read: ${messageOf(error)}`]);
  }
}

type Parsed =
  | z.output<typeof nodeSchema>
  | z.output<typeof execSchema>
  | (z.output<typeof supervisorSchema> & { children: unknown });

function completeChildren(parsed: Record<string, Parsed>, folder: string, path: string, mistakes: string[]) {
  const complete: Record<string, ChildSpec> = {};
  for (const [id, spec] of Object.entries(parsed)) {
    const at = `${path}.${id}`;
    if (spec.kind === 'supervisor')
      complete[id] = {
        ...spec,
        children: completeChildren(spec.children as never, folder, `${at}.children`, mistakes),
      };
    else {
      const cwd = resolve(folder, spec.cwd ?? '.');
      if (!isFolder(cwd)) mistakes.push(`${at}.cwd: there is no folder ${cwd}`);
      const file = fileOf(spec, folder);
      if (spec.kind === 'node' && !isReadableFile(file))
        mistakes.push(`${at}.file: there is no readable file ${file}`);
      const rules = {
        ready: readinessOf(spec.ready, spec.kind),
        liveness: livenessOf(spec.liveness),
        states: statesOf(spec.states),
      };
      checkRules(spec, rules, at, mistakes);
      complete[id] =
        spec.kind === 'node'
          ? { ...spec, ...rules, file, cwd, app: spec.app ?? id, survive: false }
          : { ...spec, ...rules, file, cwd, standby: 0 };
    }
  }
  return complete;
}

/** What can be said of one kind of process and not of another. */
function checkRules(
  spec: z.output<typeof nodeSchema> | z.output<typeof execSchema>,
  rules: Pick<ProcessRules, 'ready' | 'liveness'>,
  at: string,
  mistakes: string[],
): void {
  for (const key of ['ready', 'liveness'] as const)
    if (spec.kind === 'exec' && rules[key].by.kind === 'reported')
      mistakes.push(`${at}.${key}: a plain program reports nothing; use "spawned" or a probe`);
  if (spec.kind === 'node' && notifyFdOf(rules) === 4)
    mistakes.push(`${at}: descriptor 4 of a node child is its control socket; use another one`);
  if (spec.kind === 'exec' && spec.survive && notifyFdOf(rules) !== undefined)
    mistakes.push(`${at}: what survives its supervisor can't notify it by a descriptor; use another probe`);
  if (
    spec.kind === 'exec' &&
    spec.survive &&
    [rules.ready, rules.liveness].some(({ by }) => by.kind === 'log')
  )
    mistakes.push(`${at}: the log of what survives its supervisor is not read; use another probe`);
}

function fileOf(spec: { kind: string; file: string }, folder: string): string {
  if (/^file:\/\/\//.test(spec.file) && URL.canParse(spec.file)) return fileURLToPath(spec.file);
  const isPath = spec.kind === 'node' || isAbsolute(spec.file) || spec.file.startsWith('.');
  return isPath ? resolve(folder, spec.file) : spec.file;
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}

function isReadableFile(path: string): boolean {
  try {
    accessSync(path, constants.R_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

function checkGates(spec: SupervisorSpec, path: string, mistakes: string[]): void {
  const ids = Object.keys(spec.children);
  for (const [id, child] of Object.entries(spec.children)) {
    for (const [parent, wanted] of Object.entries(child.dependsOn)) {
      const at = `${path}.${id}.dependsOn.${parent}`;
      const other = Object.hasOwn(spec.children, parent) ? spec.children[parent] : undefined;
      if (parent === id) mistakes.push(`${at}: a child can't depend on itself`);
      else if (!other)
        mistakes.push(`${at}: no sibling has that name${hint(parent, ids)}; there are ${ids.join(', ')}`);
      else if (wanted === 'completed' && other.restart === 'permanent')
        mistakes.push(
          `${at}: ${parent} never completes, since its restart type is permanent; make it transient or temporary`,
        );
      else if (!isReported(other, wanted))
        mistakes.push(
          other.kind === 'exec'
            ? `${at}: ${parent} is a plain program and reports no state ${wanted}; use started, ready or completed`
            : `${at}: ${parent} is a supervisor and reports no state ${wanted}; use operative, degraded, started, ready or completed`,
        );
    }
    if (child.kind === 'supervisor') checkGates(child, `${path}.${id}.children`, mistakes);
  }
  const circle = circleIn(spec);
  if (circle) mistakes.push(`${path}: children depend on each other in a circle: ${circle.join(' -> ')}`);
}

/** Whether a child of that kind can ever be in that state. */
function isReported(child: ChildSpec, wanted: string): boolean {
  const { kind } = child;
  const known: readonly string[] =
    kind === 'exec'
      ? ['operative', ...Object.keys(child.states)]
      : kind === 'supervisor'
        ? ['operative', 'degraded']
        : [wanted];
  return (
    known.some((state) => stateMatches(state, wanted)) ||
    (hostConditions as readonly string[]).includes(wanted)
  );
}

function invalid(file: string, mistakes: string[]): IpcError {
  return IpcError.of('ERR_TOPOLOGY_INVALID', file, mistakes.join('\n  '));
}

function hint(word: string, known: Iterable<string>): string {
  const near = nearest(word, known);
  return near === undefined ? '' : ` (did you mean ${near}?)`;
}

/** One line for a mistake: where, what is wrong, what is allowed. */
function wordingOf(issue: z.core.$ZodIssue, above: PropertyKey[]): string {
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
        return `${where}: ${show(issue.input)} is no child; make it with node(), exec() or supervisor()`;
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
  ['supervisor', Object.keys(supervisorSchema.shape)],
]);

/** The keys that may stand where an unknown one was found. */
function knownKeys(path: PropertyKey[], found: unknown): string[] {
  const kind = (found as { kind?: unknown } | undefined)?.kind;
  const known = keysOf.get(kind) ?? keysOf.get(path.at(-1)) ?? keysOf.get('topology')!;
  return known.filter((key) => key !== 'kind');
}
