// The checks that turn what a topology file exports into child specs: shape, files, gates. Every mistake is told at once,
// each with its key path, what was found, what is allowed and the nearest known word.
import { accessSync, constants, statSync } from 'node:fs';
import { dirname, isAbsolute, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { inspect } from 'node:util';
import { z } from 'zod';
import { IpcError, messageOf } from '../errors.ts';
import { isName, isStatePath, nameRule, nearest } from '../names.ts';
import {
  type ActorChildSpec,
  type ActorLogic,
  type ActorSource,
  type ActorsChild,
  type ActorsSpec,
  type AutoShutdown,
  actorDefaults,
  actorsIntensity,
  type ChildPolicy,
  type ChildSpec,
  edgeModes,
  isOfActors,
  type ProcessSpec,
  processDefaults,
  type SupervisorSpec,
  supervisorDefaults,
  type Topology,
  type Wanted,
} from './child.ts';
import { checkGates } from './gate-check.ts';
import { notifyFdOf, type ProcessRules } from './probe.ts';
import { livenessOf, processRuleKeys, readinessOf, standby, statesOf } from './probe-check.ts';
import type { EnvValue } from './value.ts';

const name = z.string().refine(isName, { error: nameRule });
/** What a timer of Node takes: about 24 days. */
const msMax = 2 ** 31 - 1;
const msRule = { error: `it must be milliseconds, from 0 to ${msMax}` };
const ms = z.number(msRule).min(0, msRule).max(msMax, msRule);
const countRule = { error: 'it must be a whole number, 0 or more' };
const count = z.number(countRule).int(countRule).min(0, countRule);
const state = z.string().refine(isStatePath, { error: 'a state is one name, or several joined by dots' });

/** A state, or an edge of which nothing but the mode has to be said. */
const wanted = z
  .union(
    [state, z.strictObject({ state: state.default('ready'), mode: z.enum(edgeModes).default('requires') })],
    {
      error: `it must be a state, or { state, mode } with one of the modes ${edgeModes.join(', ')}`,
    },
  )
  .transform((edge): Wanted => (typeof edge !== 'string' && edge.mode === 'requires' ? edge.state : edge));

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
const policyWith = (defaults: typeof processDefaults | typeof supervisorDefaults | typeof actorDefaults) => ({
  restart: restart.default(defaults.restart),
  shutdown: z
    .union([ms, z.literal('kill'), z.literal('infinity')], {
      error: `it must be milliseconds up to ${msMax}, "kill" or "infinity"`,
    })
    .default(defaults.shutdown),
  dependsOn: z.record(name, wanted).default({}),
  startTimeoutMs: ms.default(defaults.startTimeoutMs),
  backoff: backoff(defaults.backoff),
  stableMs: ms.default(defaults.stableMs),
  giveUp: giveUp(defaults.giveUp),
  significant: z.boolean().default(defaults.significant),
});

/** A text, or where a secret is to be read. */
const envValue = z.union(
  [
    z.string(),
    z.strictObject({ secret: z.string().min(1) }),
    z.strictObject({ secretFile: z.string().min(1) }),
  ],
  { error: 'it must be a text, secret("NAME") or secret({ file })' },
);

const processKeys = {
  ...policyWith(processDefaults),
  file: z.string().min(1, { error: 'it must name a file' }),
  args: z.array(z.string()).default([]),
  env: z.record(z.string(), envValue).default({}),
  cwd: z.string().optional(),
  ...processRuleKeys,
};

const nodeSchema = z.strictObject({ kind: z.literal('node'), app: name.optional(), standby, ...processKeys });
const execSchema = z.strictObject({
  kind: z.literal('exec'),
  survive: z.boolean().default(false),
  ...processKeys,
});

const actorSchema = z.strictObject({
  kind: z.literal('actor'),
  source: z.custom<ActorSource>(isSource, {
    error: 'it must be the logic of an actor, or a function that gives one',
  }),
  input: z.unknown().optional(),
  ...policyWith(actorDefaults),
});

/** What OTP's four strategies are called here. */
const strategies = ['one-for-one', 'one-for-all', 'rest-for-one', 'dynamic'] as const;

const supervision = {
  strategy: z.enum(strategies).default(supervisorDefaults.strategy),
  intensity: z
    .union([count, z.literal('infinity')], {
      error: 'it must be a whole number, 0 or more, or "infinity"',
    })
    .optional(),
  periodMs: ms.default(supervisorDefaults.periodMs),
  autoShutdown: z
    .enum(['never', 'any-significant', 'all-significant'])
    .default(supervisorDefaults.autoShutdown),
};
const supervisorSchema = z.strictObject({
  kind: z.literal('supervisor'),
  ...policyWith(supervisorDefaults),
  ...supervision,
  get children() {
    return children.optional();
  },
  /** Of a dynamic supervisor: what each of its children is made from. */
  get child() {
    return template;
  },
});

const child = z.discriminatedUnion('kind', [nodeSchema, execSchema, actorSchema, supervisorSchema]);
export type ActorInput = z.input<typeof actorSchema>;
export type ChildInput =
  | z.input<typeof nodeSchema>
  | z.input<typeof execSchema>
  | ActorInput
  | SupervisorInput;
const children: z.ZodType<Record<string, z.output<typeof nodeSchema>>> = z.record(
  name,
  z.lazy(() => child),
) as never;

const template: z.ZodOptional<z.ZodType<object>> = z.lazy(() => child).optional() as never;

/** Below, not even a first segment has room; above, no machine has the memory. */
const arenaBytes = { min: 256 * 1024, max: 2 ** 40 };
const arenaBytesRule = {
  error: `it must be a whole number of bytes, from ${arenaBytes.min} to ${arenaBytes.max}`,
};
const arenaSchema = z.strictObject({
  kind: z.literal('arena'),
  bytes: z
    .number(arenaBytesRule)
    .int(arenaBytesRule)
    .min(arenaBytes.min, arenaBytesRule)
    .max(arenaBytes.max, arenaBytesRule),
});
const arenas = z.record(name, arenaSchema).optional();

const topologySchema = z.strictObject({ name, ...supervision, children, arenas });

type SupervisionInput = { [K in keyof typeof supervision]?: z.input<(typeof supervision)[K]> };
export interface SupervisorInput
  extends SupervisionInput,
    Omit<z.input<typeof supervisorSchema>, 'children' | 'child' | keyof SupervisionInput> {
  children?: Record<string, ChildInput>;
  /** Of a dynamic supervisor, in place of `children`. */
  child?: ChildInput;
}

/** What `defineTopology` takes. */
export interface TopologyInput extends SupervisionInput {
  name: string;
  children: Record<string, ChildInput>;
  /** Arenas that the root holds, by name; made by `arena()`. */
  arenas?: Record<string, ArenaInput>;
}

export type ArenaInput = z.input<typeof arenaSchema>;
type Options<S extends { kind: string }> = Omit<S, 'kind' | 'file'>;
export type ActorOptions = Omit<ActorInput, 'kind' | 'source' | 'input'>;
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
  if (rest.strategy === 'dynamic') mistakes.push('strategy: the root of a topology names its children');
  if (Object.keys(children).length === 0) mistakes.push('children: at least one child is needed');
  const topology = {
    ...rest,
    intensity: rest.intensity ?? supervisorDefaults.intensity,
    file,
    children: completeChildren(children as never, dirname(file), 'children', mistakes),
  } as Topology;
  checkSignificance(topology, '', mistakes);
  checkGates(topology, 'children', mistakes);
  if (mistakes.length > 0) throw invalid(file, mistakes);
  return topology;
}

/** Checks one child of a supervisor of processes. @throws {IpcError} ERR_TOPOLOGY_INVALID. */
export function parseChild(input: unknown, what: string, id: string, folder: string): ChildSpec {
  const parsed = parse(input, what, child as unknown as typeof topologySchema);
  if (!parsed.success)
    throw invalid(
      what,
      parsed.error.issues.map((issue) => wordingOf(issue, [])),
    );
  const mistakes: string[] = [];
  const spec = completeChild(parsed.data as never, folder, id, mistakes);
  if (spec.kind === 'supervisor') {
    checkSignificance(spec, '', mistakes);
    if (!isOfActors(spec)) checkGates(spec, 'children', mistakes);
  }
  if (mistakes.length > 0) throw invalid(what, mistakes);
  return spec;
}

/** Checks what describes one child below which there are only actors. @throws {IpcError} ERR_TOPOLOGY_INVALID. */
export function parseActors(input: unknown, name: string): ActorChildSpec {
  const parsed = parse(input, name, child as unknown as typeof topologySchema);
  if (!parsed.success)
    throw invalid(
      name,
      parsed.error.issues.map((issue) => wordingOf(issue, [])),
    );
  const mistakes: string[] = [];
  const spec = completeChild(parsed.data as never, '.', '', mistakes);
  if (isOfActors(spec)) checkSignificance(spec, '', mistakes);
  if (mistakes.length > 0) throw invalid(name, mistakes);
  if (isActor(spec)) return spec;
  throw invalid(name, ['there can be only actors here, and supervisors of actors, without dependsOn']);
}

function parse(exported: unknown, file: string, schema = topologySchema) {
  try {
    return schema.safeParse(exported, { reportInput: true });
  } catch (error) {
    // A getter that throws, or a tree without end.
    throw invalid(file, [`the exported value can't be read: ${messageOf(error)}`]);
  }
}

type ParsedSupervisor = z.output<typeof supervisorSchema>;
type Parsed =
  | z.output<typeof nodeSchema>
  | z.output<typeof execSchema>
  | z.output<typeof actorSchema>
  | ParsedSupervisor;

function completeChildren(parsed: Record<string, Parsed>, folder: string, path: string, mistakes: string[]) {
  return Object.fromEntries(
    Object.entries(parsed).map(([id, spec]) => [id, completeChild(spec, folder, `${path}.${id}`, mistakes)]),
  );
}

function completeChild(spec: Parsed, folder: string, at: string, mistakes: string[]): ChildSpec {
  if (spec.kind === 'supervisor') return completeSupervisor(spec, folder, at, mistakes);
  if (spec.kind === 'actor') return spec;
  const cwd = resolve(folder, spec.cwd ?? '.');
  if (!isFolder(cwd)) mistakes.push(`${at}.cwd: there is no folder ${cwd}`);
  const file = fileOf(spec, folder);
  const env = envOf(spec.env, folder);
  if (spec.kind === 'node' && !isReadableFile(file))
    mistakes.push(`${at}.file: there is no readable file ${file}`);
  const rules = {
    ready: readinessOf(spec.ready, spec.kind),
    liveness: livenessOf(spec.liveness),
    states: statesOf(spec.states),
  };
  checkRules(spec, rules, at, mistakes);
  return spec.kind === 'node'
    ? {
        ...spec,
        ...rules,
        file,
        cwd,
        env,
        app: spec.app ?? at.slice(at.lastIndexOf('.') + 1),
        survive: false,
      }
    : { ...spec, ...rules, file, cwd, env, standby: 0 };
}

function completeSupervisor(
  spec: ParsedSupervisor,
  folder: string,
  at: string,
  mistakes: string[],
): ChildSpec {
  const { child: made, children: named, intensity, strategy, ...rest } = spec;
  const dynamic = strategy === 'dynamic';
  if (dynamic && !made)
    mistakes.push(pathOf(at, 'child: is missing; a dynamic supervisor makes its children from it'));
  if (dynamic && named)
    mistakes.push(pathOf(at, 'children: a dynamic supervisor has "child" in place of them'));
  if (!dynamic && made)
    mistakes.push(pathOf(at, 'child: only a dynamic supervisor has one; name "children"'));
  if (!dynamic && !named) mistakes.push(pathOf(at, 'children: is missing; it must be an object'));
  const children = completeChildren((named ?? {}) as never, folder, pathOf(at, 'children'), mistakes);
  const template = made ? completeChild(made as never, folder, pathOf(at, 'child'), mistakes) : null;
  if (template && isPooled(template)) {
    const limit = intensity ?? supervisorDefaults.intensity;
    // An app without a name is called as the supervisor is.
    const app = at.slice(at.lastIndexOf('.') + 1);
    const pool =
      template.kind === 'node' && !(made as { app?: string }).app ? { ...template, app } : template;
    return { ...rest, strategy: 'one-for-one', intensity: limit, children: {}, pool };
  }
  if (template && !isActor(template))
    mistakes.push(
      pathOf(at, 'child: it must be a process, an actor, or a supervisor of actors, without dependsOn'),
    );
  if (dynamic || Object.values(children).every(isActor))
    return { ...rest, strategy, intensity: intensity ?? actorsIntensity, children, template } as ActorsChild;
  return { ...rest, strategy, intensity: intensity ?? supervisorDefaults.intensity, children };
}

/** Whether OTP's rules can hold for it: gates are for those that wait for processes. */
function isActor(spec: ChildSpec): spec is ActorChildSpec {
  return (spec.kind === 'actor' || isOfActors(spec)) && Object.keys(spec.dependsOn).length === 0;
}

function isPooled(spec: ChildSpec): spec is ProcessSpec {
  return (spec.kind === 'node' || spec.kind === 'exec') && Object.keys(spec.dependsOn).length === 0;
}

function isSource(value: unknown): boolean {
  if (typeof value === 'function') return true;
  return typeof (value as Partial<ActorLogic> | null)?.getInitialSnapshot === 'function';
}

/** A significant child must be able to end for good, and its supervisor to end with it. */
function checkSignificance(spec: SupervisorSpec | ActorsSpec, path: string, mistakes: string[]): void {
  const { autoShutdown, strategy } = spec;
  if (strategy === 'dynamic' && autoShutdown !== 'never')
    mistakes.push(pathOf(path, `autoShutdown: a dynamic supervisor has no child that it could end with`));
  for (const [id, each] of Object.entries(spec.children)) {
    const at = pathOf(path, `children.${id}`);
    const why = insignificant(each, autoShutdown);
    if (why) mistakes.push(`${at}.significant: ${why}`);
    if (each.kind === 'supervisor') checkSignificance(each, at, mistakes);
  }
}

/** Why a child can't be significant there; undefined: it can, or is not. */
export function insignificant({ significant, restart }: ChildPolicy, auto: AutoShutdown): string | undefined {
  if (!significant) return undefined;
  if (restart === 'permanent') return 'a permanent child never ends for good; make it transient or temporary';
  return auto === 'never' ? 'its supervisor has autoShutdown "never"' : undefined;
}

function pathOf(path: string, key: string): string {
  return path === '' ? key : `${path}.${key}`;
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

/** Files of secrets are relative to the topology, like all else. */
function envOf(env: Readonly<Record<string, EnvValue>>, folder: string): Record<string, EnvValue> {
  return Object.fromEntries(
    Object.entries(env).map(([name, value]) => [
      name,
      typeof value === 'object' && 'secretFile' in value
        ? { secretFile: resolve(folder, value.secretFile) }
        : value,
    ]),
  );
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

export function invalid(file: string, mistakes: string[]): IpcError {
  return IpcError.of('ERR_TOPOLOGY_INVALID', file, mistakes.join('\n  '));
}

export function hint(word: string, known: Iterable<string>): string {
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
]);

/** The keys that may stand where an unknown one was found. */
function knownKeys(path: PropertyKey[], found: unknown): string[] {
  const kind = (found as { kind?: unknown } | undefined)?.kind;
  const known = keysOf.get(kind) ?? keysOf.get(path.at(-1)) ?? keysOf.get('topology')!;
  return known.filter((key) => key !== 'kind');
}
