// Session supervisor: the tree of a workspace whose processes stand in `etc`. Takes over what the files say, keeps the database,
// and answers what the commands under `session` ask.
import type { Log } from '../actors/hosting.ts';
import type { OutputStream } from '../actors/output.ts';
import { IpcError, messageOf } from '../errors.ts';
import type { UnitReport } from '../machines/unit-report.ts';
import { isStatePath } from '../names.ts';
import type { Topology } from '../spec/child.ts';
import { type Frame, textOf, wholeOf } from '../transport/frame.ts';
import type { SessionDatabase } from '../workspace/session-database.ts';
import type { SessionWorkspace } from '../workspace/session-workspace.ts';
import type { AppliedChange } from './apply.ts';
import type { Asker, ControlHandlers } from './control-server.ts';
import { identify, isAlive } from './process-identity.ts';
import { SessionLedger } from './session-ledger.ts';
import { SessionLooks } from './session-looks.ts';
import { findProcess, planSession, type SessionPlan } from './session-plan.ts';
import { type SessionListing, type SessionRow, sessionRows } from './session-rows.ts';
import { Tree } from './tree.ts';

/** The longest name, state or condition that is asked about. */
const wordLengthMax = 2_000;

/** What a start has led to. */
export interface Started {
  readonly row: SessionRow;
  /** It ran already. */
  readonly already: boolean;
  /** Why it did not come up, with the exit code of its program if there is one. */
  readonly failure?: { readonly why: string; readonly code: number | null };
}

export class SessionSupervisor {
  /** Resolves at the end of the session: what is left to do then is to exit. */
  readonly ended: Promise<void>;
  readonly #workspace: SessionWorkspace;
  readonly #log: Log;
  readonly #tree: Tree;
  readonly #database: SessionDatabase;
  readonly #ledger: SessionLedger;
  readonly #looks: SessionLooks;
  #plan: SessionPlan;
  /** Who was started with which rule: what runs keeps it, whatever its file says now. */
  readonly #survivors = new Map<string, boolean>();
  /** One after the other. */
  #applying: Promise<unknown> = Promise.resolve();
  #ending: Promise<Deactivated> | undefined;
  #end!: () => void;

  /**
   * Starts what the files say; what an earlier supervisor has left is taken over.
   * @throws {IpcError} ERR_WORKSPACE_BUSY, ERR_WORKSPACE_FILE and what a tree throws; nothing has changed then.
   */
  constructor(workspace: SessionWorkspace, log: Log) {
    this.#workspace = workspace;
    this.#log = log;
    this.#plan = planSession(workspace);
    this.ended = new Promise((resolve) => {
      this.#end = resolve;
    });
    const running = this.#left();
    this.#tree = new Tree(
      { ...this.#plan.topology, children: {} },
      {
        workspace,
        log,
        onLine: (_unit: string, _stream: OutputStream, _line: string) => {},
        endsWhenIdle: false,
        // A process that a person has left without a file is theirs: it is neither taken over nor killed.
        adopts: () => true,
        onUnit: (name, report) => this.#onUnit(name, report),
        questions: this.#questions(),
      },
    );
    try {
      this.#database = workspace.openDatabase();
    } catch (error) {
      this.#tree.leave();
      throw error;
    }
    this.#ledger = new SessionLedger(this.#database, log);
    this.#looks = new SessionLooks(workspace.fingerprints, {
      look: (name) => this.#tree.fingerprint(name),
      log,
    });
    for (const path of workspace.clean())
      log.info({ path }, `removed ${path}, which belongs to nothing that runs`);
    void this.#apply((name) => this.#plan.files.get(name)?.restart === true || running.has(name));
  }

  /** Stops what is to be stopped, and leaves the others alone. Called again: the same. */
  deactivate(onStopped: (name: string) => void = () => {}): Promise<Deactivated> {
    this.#ending ??= this.#deactivate(onStopped);
    return this.#ending;
  }

  /** Kills what still stands of those that are to be stopped. */
  force(): void {
    for (const name of this.#leaving()) this.#tree.unit(name)?.post({ type: 'kill' });
  }

  // ---- questions

  #questions(): ControlHandlers {
    const word = (frame: Frame) => textOf(frame, 'name', wordLengthMax);
    return {
      'session.apply': () => this.#reapply(),
      'session.start': (frame, { gone }) => this.#start(textOf(frame, 'name', wordLengthMax), gone),
      'session.activated': async (_, { gone }) => {
        await this.#applying;
        const standing = this.#tree.status().units.filter(({ phase }) => phase !== 'idle');
        const begun = await Promise.all(standing.map(({ name }) => this.#begin(name, gone)));
        // All of them were started just now.
        return begun.map((each) => ({ ...each, already: false }));
      },
      'session.stop': (frame, { gone }) => this.#stop(this.#find(word(frame)), gone),
      'session.attach': (frame, { gone }) => this.#attach(word(frame), frame, gone),
      'session.tag': (frame, { gone }) =>
        this.#tag(this.#find(word(frame)), textOf(frame, 'state', wordLengthMax), gone),
      'session.wait': (frame, asker) => this.#wait(this.#find(word(frame)), frame, asker),
      'session.show': () => this.#show(),
      'session.deactivate': (_, { tell }) =>
        this.deactivate((name) => void tell({ stopped: this.#shown(name) })),
    };
  }

  async #reapply(): Promise<{ changes: readonly AppliedChange[]; mistakes: Record<string, string> }> {
    const changes = await this.#apply((name) => this.#plan.files.get(name)?.restart === true);
    return { changes, mistakes: Object.fromEntries(this.#plan.mistakes) };
  }

  /** Until it is up, has failed, or waits for another one. */
  async #start(name: string, signal: AbortSignal): Promise<Started> {
    await this.#renew(name);
    return this.#begin(name, signal);
  }

  async #begin(name: string, signal: AbortSignal): Promise<Started> {
    const { operator } = this.#tree;
    const phase = this.#tree.unit(name)?.view.phase;
    if (phase === 'up') return { row: this.#row(name), already: true };
    // Whichever is first: it is up or never will be, or it waits for others.
    const settled = new AbortController();
    const options = { signal: AbortSignal.any([signal, settled.signal]) };
    const blocked = operator.wait(name, 'blocked', options);
    const begun = operator.begin(name, options);
    const failure = await Promise.race([begun, blocked]).then(
      () => undefined,
      (error: unknown) => error,
    );
    settled.abort();
    await Promise.allSettled([begun, blocked]);
    if (failure === undefined) return { row: this.#row(name), already: false };
    const code = this.#tree.unit(name)?.view.exit?.code ?? null;
    return { row: this.#row(name), already: false, failure: { why: messageOf(failure), code } };
  }

  async #stop(name: string, signal: AbortSignal): Promise<SessionRow> {
    await this.#tree.operator.stop(name, { signal });
    return this.#row(name);
  }

  async #attach(name: string, frame: Frame, signal: AbortSignal): Promise<SessionRow> {
    const process = identify(`attach ${name}`, wholeOf(frame, 'pid'));
    const what = `attach ${process.pid}`;
    if (process.pid === globalThis.process.pid || process.pid === 1)
      throw IpcError.of('ERR_REFUSED', what, 'it is the supervisor of this session, or that of the machine');
    for (const [other, { pid }] of this.#running())
      if (pid === process.pid && other !== name)
        throw IpcError.of('ERR_REFUSED', what, `it runs as ${this.#shown(other)} already`);
    this.#survivors.set(name, true);
    const known = this.#tree.unit(name)?.view;
    if (known?.phase === 'up' && known.pid === process.pid) {
      await this.#apply(() => false);
    } else {
      // Before the files are taken over, since what comes into the tree is started, or takes over what it was left.
      if (!known) this.#tree.expect(name, process);
      await this.#renew(name);
      if (known) await this.#tree.operator.attach(name, process, { signal });
      else await this.#tree.operator.start(name, { signal });
    }
    return this.#row(name);
  }

  /** How it looks now is how it looks in that state. */
  async #tag(name: string, state: string, signal: AbortSignal): Promise<SessionRow> {
    const what = `attach --state ${state}`;
    if (!isStatePath(state))
      throw IpcError.of('ERR_REFUSED', what, 'a state is one name, or several joined by dots');
    if (!this.#running().has(name))
      throw IpcError.of('ERR_REFUSED', what, `${this.#shown(name)} does not run`);
    this.#workspace.fingerprints.save(name, this.#tree.fingerprint(name), state);
    await this.#apply(() => false);
    await this.#tree.operator.wait(name, state, { signal });
    return this.#row(name);
  }

  async #wait(name: string, frame: Frame, { gone }: Asker): Promise<SessionRow> {
    const { operator } = this.#tree;
    const options = { signal: gone };
    if (frame.condition === undefined)
      await operator.wait(name, textOf(frame, 'state', wordLengthMax), options);
    else await operator.waitFor(name, textOf(frame, 'condition', wordLengthMax), options);
    return this.#row(name);
  }

  #show(): SessionListing {
    const { pid, uptimeMs } = this.#tree.status();
    return { workspace: this.#workspace.folder, supervisor: { pid, uptimeMs }, rows: this.#rows() };
  }

  #rows(): SessionRow[] {
    return sessionRows(this.#workspace, this.#plan, this.#tree.status().units);
  }

  #row(name: string): SessionRow {
    return this.#rows().find((row) => row.name === name)!;
  }

  // ---- the tree

  /** Takes over what the files say now. @param starts who of those that are new is started. */
  #apply(starts: (name: string) => boolean): Promise<readonly AppliedChange[]> {
    const applied = this.#applying.then(async () => {
      const plan = planSession(this.#workspace, { survives: (name) => this.#survivalOf(name) });
      for (const [name, why] of plan.mistakes)
        if (this.#plan.mistakes.get(name) !== why)
          this.#log.error({ unit: name, why }, `${name} is left out: ${why}`);
      this.#plan = withKnown(plan, this.#plan, (name) => this.#tree.unit(name) !== undefined);
      this.#ledger.know(this.#plan.files);
      const { changes } = await this.#tree.apply(this.#plan.topology, { starts, hurries: true });
      return changes;
    });
    this.#applying = applied.catch((error: unknown) =>
      this.#log.error({ why: messageOf(error) }, `the files were not taken over: ${messageOf(error)}`),
    );
    return applied;
  }

  /** Brings what the files say of that process into the tree; one that has ended for good comes into it anew. */
  async #renew(name: string): Promise<void> {
    await this.#apply((each) => each !== name && this.#plan.files.get(each)?.restart === true);
    const why = this.#plan.mistakes.get(name);
    if (why !== undefined) throw IpcError.of('ERR_WORKSPACE_FILE', `etc/${name}.yaml`, why);
    if (this.#tree.unit(name)?.view.phase !== 'removed') return;
    await this.#applyTopology(without(this.#plan.topology, [name]));
    await this.#applyTopology(this.#plan.topology);
  }

  #applyTopology(topology: Topology): Promise<unknown> {
    const applied = this.#applying.then(() =>
      this.#tree.apply(topology, { starts: () => false, hurries: true }),
    );
    this.#applying = applied.catch(() => {});
    return applied;
  }

  async #deactivate(onStopped: (name: string) => void): Promise<Deactivated> {
    this.#looks.end();
    await this.#applying;
    this.#log.info({}, 'deactivating');
    const leaving = this.#leaving();
    // Who stays waits for nobody any more: the end of those that it depends on is none of its business.
    const stays = Object.entries(this.#plan.topology.children).map(([name, child]) =>
      leaving.has(name) ? [name, child] : [name, { ...child, dependsOn: {} }],
    );
    await this.#applyTopology({ ...this.#plan.topology, children: Object.fromEntries(stays) });
    const stopped: string[] = [];
    const unkillable: string[] = [];
    const stops = new Map<string, Promise<void>>();
    const stop = (name: string): Promise<void> => {
      const known = stops.get(name);
      if (known) return known;
      const dependents = [...leaving].filter((each) =>
        this.#plan.parents.get(each)?.some((of) => of.name === name),
      );
      const done = Promise.all(dependents.map(stop)).then(async () => {
        const stood = this.#tree.unit(name)?.view.pid != null;
        await this.#tree.operator.stop(name).then(
          () => {
            if (!stood) return;
            stopped.push(this.#shown(name));
            onStopped(name);
          },
          () => void unkillable.push(this.#shown(name)),
        );
      });
      stops.set(name, done);
      return done;
    };
    await Promise.all([...leaving].map(stop));
    const left = [...this.#running()].map(([name, { pid }]) => ({ name: this.#shown(name), pid }));
    // After the answer has gone out.
    setImmediate(() => {
      this.#tree.leave();
      this.#database.close();
      this.#end();
    });
    return { pid: process.pid, stopped, left, unkillable };
  }

  /** Who is stopped by the end of the session. What can't outlive its supervisor is, whatever its file says. */
  #leaving(): Set<string> {
    const names = Object.keys(this.#plan.topology.children);
    return new Set(
      names.filter(
        (name) =>
          this.#plan.files.get(name)!.shutdown || !this.#running().has(name) || !this.#survivalOf(name),
      ),
    );
  }

  #survivalOf(name: string): boolean | undefined {
    return this.#running().has(name) ? this.#survivors.get(name) : undefined;
  }

  /** Processes that run, by the names that they run as. */
  #running(): Map<string, { pid: number; state: string | null; sinceMs: number }> {
    const running = new Map<string, { pid: number; state: string | null; sinceMs: number }>();
    for (const { name, phase, state, pid } of this.#tree?.status().units ?? [])
      if (pid !== null && (phase === 'up' || phase === 'starting' || phase === 'stopping'))
        running.set(name, { pid, state, sinceMs: this.#ledger.startedAtMs(name) });
    return running;
  }

  /** Who of those that an earlier supervisor has left still runs. */
  #left(): Set<string> {
    const left = new Set<string>();
    for (const name of this.#plan.files.keys()) {
      const record = this.#workspace.recordOf(name);
      if (!record?.survive || !isAlive(record)) continue;
      left.add(name);
      this.#survivors.set(name, true);
    }
    return left;
  }

  #onUnit(name: string, report: UnitReport): void {
    if (report.type === 'unit.changed' && report.phase === 'spawning') {
      const child = this.#plan.topology.children[name];
      this.#survivors.set(name, child?.kind === 'exec' && child.survive);
    }
    this.#ledger.note(name, report);
    if (report.type === 'unit.changed' && report.phase === 'up') void this.#looks.keep(name);
  }

  #find(word: string): string {
    const name = findProcess(this.#plan.files, word);
    const why = this.#plan.mistakes.get(name);
    if (why !== undefined && !this.#tree.unit(name))
      throw IpcError.of('ERR_WORKSPACE_FILE', `etc/${name}.yaml`, why);
    return name;
  }

  #shown(name: string): string {
    return this.#plan.files.get(name)?.alias ?? name;
  }
}

/** How a session has ended. */
export interface Deactivated {
  /** Of the supervisor, which ends now. */
  readonly pid: number;
  readonly stopped: readonly string[];
  /** Who goes on. */
  readonly left: readonly { readonly name: string; readonly pid: number }[];
  /** Stuck in the kernel. */
  readonly unkillable: readonly string[];
}

/** A mistake in a file is no reason to stop what runs: until it is mended, that stays as it is. */
function withKnown(plan: SessionPlan, before: SessionPlan, isThere: (name: string) => boolean): SessionPlan {
  const files = new Map(plan.files);
  const parents = new Map(plan.parents);
  const children = { ...plan.topology.children };
  for (const name of plan.mistakes.keys()) {
    const child = before.topology.children[name];
    if (!child || !isThere(name)) continue;
    children[name] = child;
    files.set(name, before.files.get(name)!);
    parents.set(name, before.parents.get(name) ?? []);
  }
  return { ...plan, files, parents, topology: { ...plan.topology, children } };
}

function without(topology: Topology, names: readonly string[]): Topology {
  const children = Object.fromEntries(
    Object.entries(topology.children).filter(([name]) => !names.includes(name)),
  );
  return { ...topology, children };
}
