// Session graph: who waits for whom in a session, by what its files say; nothing needs to run.
import { type DependenceGraph, type GraphUnit, graphOf } from '../spec/dependence-graph.ts';
import { type SessionWorkspace, sessionName } from '../workspace/session-workspace.ts';
import { planSession } from './session-plan.ts';

/** Also with processes whose files have mistakes, as far as they are known. @throws {IpcError} ERR_WORKSPACE_FILE. */
export function sessionGraph(workspace: SessionWorkspace): DependenceGraph {
  const { files, parents, topology } = planSession(workspace);
  const shown = (name: string) => files.get(name)?.alias ?? name;
  const units = [...files.keys()].map(
    (name): GraphUnit => ({
      unit: shown(name),
      kind: topology.children[name]?.kind ?? 'unknown',
      parents: (parents.get(name) ?? []).map((parent) => ({
        unit: shown(parent.name),
        state: parent.state ?? 'ready',
      })),
    }),
  );
  // Names are made from uris, and so is the order of the files.
  return graphOf(
    sessionName,
    units.sort((a, b) => (a.unit < b.unit ? -1 : 1)),
  );
}
