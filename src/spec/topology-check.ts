// The checks that turn what a topology file exports into child specs: shape, files, gates. Every mistake is told at once,
// each with its key path, what was found, what is allowed and the nearest known word.
import { accessSync, constants, statSync } from 'node:fs';
import { dirname, isAbsolute, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { z } from 'zod';
import { messageOf } from '../errors.ts';
import {
  type ActorChildSpec,
  type ActorsChild,
  type ActorsSpec,
  type AutoShutdown,
  actorsIntensity,
  type ChildPolicy,
  type ChildSpec,
  isOfActors,
  type ProcessSpec,
  type SupervisorSpec,
  supervisorDefaults,
  type Topology,
} from './child.ts';
import { checkGates } from './gate-check.ts';
import { checkHosts } from './host-check.ts';
import { notifyFdOf, type ProcessRules } from './probe.ts';
import { livenessOf, mistakeIn, readinessOf, statesOf } from './probe-check.ts';
import { cachesOfRelayUnits } from './relay-unit.ts';
import { invalid, wordingOf } from './topology-mistakes.ts';
import {
  type actorSchema,
  child,
  type execSchema,
  type nodeSchema,
  type supervisorSchema,
  topologySchema,
} from './topology-schema.ts';
import type { EnvValue } from './value.ts';

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
  const { children, hosts, relay, ...rest } = parsed.data;
  const mistakes: string[] = [];
  if (rest.strategy === 'dynamic') mistakes.push('strategy: the root of a topology names its children');
  if (Object.keys(children).length === 0) mistakes.push('children: at least one child is needed');
  const unplaced = {
    ...rest,
    intensity: rest.intensity ?? supervisorDefaults.intensity,
    file,
    children: completeChildren(children as never, dirname(file), 'children', mistakes),
  } as Topology;
  const topology = { ...unplaced, ...checkHosts(hosts, relay, unplaced, file, mistakes) };
  checkSignificance(topology, '', mistakes);
  checkGates(topology, 'children', mistakes);
  const held = cachesOfRelayUnits(topology, mistakes);
  for (const name of Object.keys(topology.caches ?? {}))
    if (name in held) mistakes.push(`caches.${name}: a relay node of this tree has a cache of that name`);
  if (mistakes.length > 0) throw invalid(file, mistakes);
  return Object.keys(held).length === 0 ? topology : { ...topology, caches: { ...topology.caches, ...held } };
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
  const secrets = spec.secrets === undefined ? {} : { secrets: resolve(folder, spec.secrets) };
  if (spec.kind === 'node' && !isReadableFile(file))
    mistakes.push(`${at}.file: there is no readable file ${file}`);
  const rules = {
    ready: readinessOf(spec.ready, spec.kind),
    liveness: livenessOf(spec.liveness),
    states: statesOf(spec.states, folder),
  };
  checkRules(spec, rules, at, mistakes);
  return spec.kind === 'node'
    ? {
        ...spec,
        ...rules,
        ...secrets,
        file,
        cwd,
        env,
        app: spec.app ?? at.slice(at.lastIndexOf('.') + 1),
        survive: false,
      }
    : { ...spec, ...rules, ...secrets, file, cwd, env, standby: 0 };
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
  rules: Pick<ProcessRules, 'ready' | 'liveness' | 'states'>,
  at: string,
  mistakes: string[],
): void {
  const named = Object.entries(rules.states).map(([name, probe]) => [`states.${name}`, probe] as const);
  for (const [key, probe] of [['ready', rules.ready], ['liveness', rules.liveness], ...named] as const) {
    const mistake = mistakeIn(probe);
    if (mistake !== undefined) mistakes.push(`${at}.${key}.condition: ${mistake}`);
    const { by } = probe;
    if (by.kind === 'fingerprint' && !isReadableFile(by.file))
      mistakes.push(`${at}.${key}.fingerprint: there is no readable file ${by.file}`);
  }
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
