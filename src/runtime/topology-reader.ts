// Topology reader: the entry of the process that reads a TypeScript topology and ends.
import { IpcError, messageOf } from '../errors.ts';
import { hasActors } from '../spec/child.ts';
import { type ReaderAnswer, readTopology } from './loader.ts';

const file = process.argv[2]!;

/** The supervisor gets plain data; what the file itself has started must not keep this process running. */
function answer(reply: ReaderAnswer): void {
  process.send!(reply, () => process.exit());
}

readTopology(file).then(
  (topology) => answer(hasActors(topology) ? { live: true } : { topology }),
  (error: unknown) =>
    answer({
      error:
        error instanceof IpcError
          ? error.toJSON()
          : IpcError.of('ERR_TOPOLOGY_INVALID', file, messageOf(error)).toJSON(),
    }),
);
