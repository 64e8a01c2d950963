// Remote hosts: the units and actors of a topology's other hosts, so that the page shows one tree. Their roots are asked only while
// somebody looks on here. The root of host `b` is shown as `@b`; all other names are the same on every host.
import { type FeedRecord, momentMs } from '../runtime/feed.ts';
import type { FeedPart } from '../runtime/host-feed.ts';
import type { TreeStatus, UnitStatus } from '../runtime/status.ts';
import type { Tree } from '../runtime/tree.ts';
import type { ProcessId, UnitView } from './protocol.ts';
import { processId, rootProcess, unitViews } from './units.ts';

/** Who takes what is told of other hosts. */
export interface FarAudience {
  record(process: ProcessId, record: FeedRecord): void;
  ended(process: ProcessId): void;
}

interface Known {
  status: TreeStatus;
  edges: FeedPart['edges'];
  readonly processes: Set<ProcessId>;
}

export class RemoteHosts {
  readonly #tree: Tree;
  readonly #audience: FarAudience;
  readonly #hosts = new Map<string, Known>();

  constructor(tree: Tree, audience: FarAudience) {
    this.#tree = tree;
    this.#audience = audience;
  }

  /** Begins to look. @returns how to stop. */
  follow(): () => void {
    const stop = this.#tree.followHosts({
      began: (host) => {
        for (const process of this.#hosts.get(host)?.processes ?? [])
          this.#audience.record(process, { k: 'reset', at: momentMs() });
      },
      part: (host, part) => this.#onPart(host, part),
    });
    return () => {
      stop();
      this.#hosts.clear();
    };
  }

  /** The host in which that process is, if it is another one. */
  hostOf(process: ProcessId): string | undefined {
    for (const [host, { processes }] of this.#hosts) if (processes.has(process)) return host;
    return undefined;
  }

  /** Their units; of a host that is not heard, what was told last, as unknown. */
  units(): UnitView[] {
    const heard = this.#tree.hosts?.heard() ?? [];
    return heard.flatMap(({ name, heard: how }): UnitView[] => {
      const known = this.#hosts.get(name);
      if (!known) return [];
      const gone = how === 'present' ? undefined : how === 'left' ? 'idle' : 'unknown';
      return unitViews(known.status, { of: () => [] }).map((unit) => farView(unit, name, gone));
    });
  }

  /** Whom their units wait for, as those hosts know it. */
  edges(): FeedPart['edges'] {
    return [...this.#hosts.values()].flatMap(({ edges }) => edges);
  }

  #onPart(host: string, { status, edges, records, dropped }: FeedPart): void {
    const known = this.#hosts.get(host) ?? { status, edges, processes: new Set() };
    this.#hosts.set(host, known);
    known.status = status;
    known.edges = edges;
    for (const [unit, epoch, record] of records) {
      const process = unit === null ? rootOf(host) : processId(unit, epoch);
      known.processes.add(process);
      this.#audience.record(process, record);
    }
    if (dropped > 0) this.#audience.record(rootOf(host), { k: 'dropped', at: momentMs(), count: dropped });
    const present = new Set([rootOf(host), ...status.units.flatMap(processOf)]);
    for (const process of known.processes)
      if (!present.has(process)) {
        known.processes.delete(process);
        this.#audience.ended(process);
      }
  }
}

function rootOf(host: string): ProcessId {
  return `@${host}${rootProcess}`;
}

function processOf({ kind, name, pid, starts }: UnitStatus): ProcessId[] {
  return kind === 'node' && pid !== null ? [processId(name, starts)] : [];
}

function farView(unit: UnitView, host: string, phase: string | undefined): UnitView {
  const isRoot = unit.kind === 'root';
  const process = unit.process === rootProcess ? rootOf(host) : unit.process;
  return {
    ...unit,
    ...(isRoot && { path: `@${host}`, kind: 'supervisor' as const }),
    ...(phase !== undefined && { phase, state: null }),
    process,
    host,
  };
}
