// Program watch: restarts what has changed on disk. A changed file of a unit's program restarts that unit, and by the rules of
// their edges those that depend on it; a changed topology is applied; changed variables reach whoever gets them. What has a
// mistake in it changes nothing: the mistake is told, and what runs goes on.
import { dirname } from 'node:path';
import { type FSWatcher, watch } from 'chokidar';
import type { Log } from '../actors/hosting.ts';
import { messageOf } from '../errors.ts';
import { edgeOf, type SupervisorSpec, type Topology } from '../spec/child.ts';
import { secretNames } from '../spec/value.ts';
import type { Applied, ApplyOptions } from './apply.ts';
import { describeChange } from './apply.ts';
import type { EnvFile } from './env-file.ts';
import { loadAnew } from './loader.ts';
import type { Operator, UnitHandle } from './operator.ts';
import { contentOf, filesOfModule, filesOfUnit, type ProgramFiles } from './program-files.ts';

/** An editor writes a file in several steps, and a checkout many files; this long after the last of them they are looked at. */
const quietMs = 150;

/** The tree, as far as it is needed here. */
export interface WatchedTree {
  readonly topology: Topology;
  readonly operator: Operator;
  unit(name: string): UnitHandle | undefined;
  apply(next: Topology, options?: ApplyOptions): Promise<Applied>;
}

interface Settings {
  readonly tree: WatchedTree;
  /** The topology's file. */
  readonly file: string;
  readonly env: EnvFile | undefined;
  readonly log: Log;
}

/** Edges over which a restart goes on to the other unit. */
const carries = new Set(['requires', 'bind', 'partOf']);

export class ProgramWatch {
  readonly #settings: Settings;
  readonly #watcher: FSWatcher;
  /** Files of each unit, by its name; those of the topology under the empty name. */
  readonly #files = new Map<string, readonly string[]>();
  /** What was in each file when it was looked at last. */
  readonly #contents = new Map<string, string | null>();
  readonly #folders = new Set<string>();
  #watches = false;
  #timer: NodeJS.Timeout | undefined;
  #settling: Promise<void> | undefined;
  #again = false;
  #closed = false;

  private constructor(settings: Settings) {
    this.#settings = settings;
    // Folders and not files: an editor puts another file in a file's place.
    this.#watcher = watch([], {
      depth: 0,
      ignoreInitial: true,
      ignored: (path, stats) => stats?.isFile() === true && !this.#contents.has(path),
    });
    this.#watcher.on('all', () => this.#changed());
    this.#watcher.on('error', (error) => settings.log.error({}, `watching files: ${messageOf(error)}`));
  }

  /** @returns once every change is seen. */
  static async start(settings: Settings): Promise<ProgramWatch> {
    const made = new ProgramWatch(settings);
    await made.#learnAll();
    await made.#watchFolders();
    return made;
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    await this.#watcher.close();
  }

  #changed(): void {
    if (this.#closed) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.#settle(), quietMs);
  }

  /** One at a time: what changes meanwhile is looked at afterwards. */
  async #settle(): Promise<void> {
    if (this.#settling) {
      this.#again = true;
      return;
    }
    this.#settling = this.#carryOut()
      .catch((error: unknown) => this.#settings.log.error({}, messageOf(error)))
      .finally(() => {
        this.#settling = undefined;
        if (!this.#again) return;
        this.#again = false;
        this.#changed();
      });
    await this.#settling;
  }

  async #carryOut(): Promise<void> {
    const changed = this.#takeChanges();
    if (changed.size === 0) return;
    const { env } = this.#settings;
    const before = this.#epochs();
    const due = new Set<string>();
    const variables = env && changed.has(env.path) ? this.#readVariables(env) : [];
    if (variables.length > 0) for (const unit of this.#unitsWith(variables)) due.add(unit);
    const topology = this.#files.get('') ?? [];
    if (variables.length > 0 || topology.some((path) => changed.has(path))) await this.#apply();
    for (const [unit, files] of this.#files)
      if (unit !== '' && files.some((path) => changed.has(path))) {
        const spec = processesOf(this.#settings.tree.topology).get(unit);
        if (!spec) continue;
        const { mistake } = this.#learn(unit, await filesOfUnit(spec, this.#folder));
        if (mistake === null) due.add(unit);
        else this.#settings.log.error({ unit }, `${unit} runs on as it was: ${mistake}`);
      }
    await this.#learnAll();
    await this.#restart(due, before, changed);
  }

  get #folder(): string {
    return dirname(this.#settings.file);
  }

  /** Files whose content is another one now. */
  #takeChanges(): Set<string> {
    const changed = new Set<string>();
    for (const [path, before] of this.#contents) {
      const now = contentOf(path);
      if (now === before) continue;
      this.#contents.set(path, now);
      changed.add(path);
    }
    return changed;
  }

  #readVariables(env: EnvFile): readonly string[] {
    try {
      return env.reload();
    } catch (error) {
      this.#settings.log.error({}, `the variables stay as they were: ${messageOf(error)}`);
      return [];
    }
  }

  /** A variable is for all units, a secret for those that name it. */
  #unitsWith(variables: readonly string[]): string[] {
    const { topology } = this.#settings.tree;
    const secrets = secretNames(topology);
    const open = variables.some((name) => !secrets.has(name));
    return [...processesOf(topology)].flatMap(([unit, { env }]) => {
      const names = Object.values(env).flatMap((value) =>
        typeof value === 'object' && 'secret' in value ? value.secret : [],
      );
      return open || names.some((name) => variables.includes(name)) ? unit : [];
    });
  }

  async #apply(): Promise<void> {
    const { tree, file, log } = this.#settings;
    try {
      const { changes } = await tree.apply(withoutStandbys(await loadAnew(file)));
      for (const change of changes)
        if (change.error !== undefined) log.error({}, `${describeChange(change)}: ${change.error}`);
    } catch (error) {
      log.error({ file }, `the topology stays as it was: ${messageOf(error)}`);
    }
  }

  #epochs(): Map<string, number> {
    const { tree } = this.#settings;
    return new Map(
      [...processesOf(tree.topology).keys()].map((name) => [name, tree.unit(name)?.view.epoch ?? 0]),
    );
  }

  /** Those first that others depend on; these then come up again with them. */
  async #restart(
    due: ReadonlySet<string>,
    before: ReadonlyMap<string, number>,
    changed: ReadonlySet<string>,
  ): Promise<void> {
    const { tree, log } = this.#settings;
    const firsts = [...due].filter((name) => !above(tree.topology, name).some((each) => due.has(each)));
    await Promise.all(
      firsts.map(async (name) => {
        const unit = tree.unit(name);
        // What apply has just started has seen the files as they are.
        if (!unit || unit.view.epoch > (before.get(name) ?? 0)) return;
        const { phase } = unit.view;
        // Somebody has stopped it, or it waits for another one.
        if (phase === 'idle' || phase === 'blocked' || phase === 'removed') return;
        const files = (this.#files.get(name) ?? []).filter((path) => changed.has(path));
        log.info(
          { unit: name, files },
          `${name} restarts: ${files.length > 0 ? files.join(', ') : 'its variables'} changed`,
        );
        try {
          if (phase === 'failed' || phase === 'skipped') await tree.operator.reset(name);
          await tree.operator.restart(name);
        } catch (error) {
          log.error({ unit: name }, messageOf(error));
        }
      }),
    );
  }

  // ---- what there is to watch

  async #learnAll(): Promise<void> {
    const { tree, file, env } = this.#settings;
    const processes = processesOf(tree.topology);
    for (const name of this.#files.keys()) if (name !== '' && !processes.has(name)) this.#files.delete(name);
    const isProgram = !/\.(ya?ml|json)$/.test(file);
    this.#learn('', isProgram ? await filesOfModule(file) : { files: [file], mistake: null });
    for (const [name, spec] of processes)
      if (!this.#files.has(name)) this.#learn(name, await filesOfUnit(spec, this.#folder));
    if (env) this.#know(env.path);
    const watched = new Set([...this.#files.values()].flat());
    for (const path of this.#contents.keys())
      if (!watched.has(path) && path !== env?.path) this.#contents.delete(path);
  }

  /** What can't be read now is still watched for what it was. */
  #learn(name: string, found: ProgramFiles): ProgramFiles {
    const former = found.mistake === null ? [] : (this.#files.get(name) ?? []);
    const files = [...new Set([...found.files, ...former])];
    this.#files.set(name, files);
    for (const path of files) this.#know(path);
    return found;
  }

  #know(path: string): void {
    if (!this.#contents.has(path)) this.#contents.set(path, contentOf(path));
    const folder = dirname(path);
    if (this.#folders.has(folder)) return;
    this.#folders.add(folder);
    if (this.#watches) this.#watcher.add(folder);
  }

  /** All at once: the watcher says only once that it is ready, after the first of them if they come one by one. */
  #watchFolders(): Promise<void> {
    this.#watches = true;
    return new Promise((resolve) => {
      this.#watcher.once('ready', resolve);
      this.#watcher.add([...this.#folders]);
    });
  }
}

/** One that stands by has loaded the code of yesterday. */
export function withoutStandbys(topology: Topology): Topology {
  return mapped(topology) as Topology;
}

function mapped(spec: SupervisorSpec): SupervisorSpec {
  const children = Object.entries(spec.children).map(([id, child]) => {
    if (child.kind === 'node') return [id, { ...child, standby: 0 }];
    return [id, child.kind === 'supervisor' && !('template' in child) ? mapped(child) : child];
  });
  return { ...spec, children: Object.fromEntries(children) };
}

type Process = Parameters<typeof filesOfUnit>[0];

function processesOf(spec: SupervisorSpec, above = ''): Map<string, Process> {
  return new Map(
    Object.entries(spec.children).flatMap(([id, child]): [string, Process][] => {
      const name = `${above}${id}`;
      if (child.kind === 'node' || child.kind === 'exec') return [[name, child]];
      return child.kind === 'supervisor' && !('template' in child) ? [...processesOf(child, `${name}/`)] : [];
    }),
  );
}

/** Units whose restart takes this one along. */
function above(topology: SupervisorSpec, name: string): string[] {
  const ids = name.split('/');
  const id = ids.pop()!;
  let siblings = topology.children;
  for (const each of ids) {
    const child = siblings[each];
    siblings = child?.kind === 'supervisor' ? (child.children as typeof siblings) : {};
  }
  const found = new Set<string>();
  const visit = (from: string): void => {
    for (const [parent, wanted] of Object.entries(siblings[from]?.dependsOn ?? {})) {
      if (!carries.has(edgeOf(wanted).mode) || found.has(parent)) continue;
      found.add(parent);
      visit(parent);
    }
  };
  visit(id);
  const prefix = ids.length > 0 ? `${ids.join('/')}/` : '';
  return [...found].map((each) => `${prefix}${each}`);
}
