// Relay place: where the sockets of a relay stand. One without a folder stands in the run directory, which nobody else may enter.
import { isAbsolute, join } from 'node:path';
import type { RelayEndpoint } from '../spec/relay-link.ts';
import type { RelayNodeSpec } from '../spec/relay-node.ts';
import { ensureRunDirectory } from '../transport/run-directory.ts';

/** @throws {IpcError} ERR_RUN_DIRECTORY. */
export function placedEndpoint<P extends RelayEndpoint>(endpoint: P, runDirectory: string): P {
  if (!('path' in endpoint) || isAbsolute(endpoint.path)) return endpoint;
  ensureRunDirectory(runDirectory);
  return { ...endpoint, path: join(runDirectory, endpoint.path) };
}

/** @throws {IpcError} ERR_RUN_DIRECTORY. */
export function placedNode(spec: RelayNodeSpec, runDirectory: string): RelayNodeSpec {
  const place = <P extends RelayEndpoint>(endpoint: P) => placedEndpoint(endpoint, runDirectory);
  if (spec.role === 'relay') {
    const { siblingListen } = spec;
    return { ...spec, listen: spec.listen.map(place), siblingListen: siblingListen && place(siblingListen) };
  }
  if (spec.role === 'sibling')
    return {
      ...spec,
      listen: spec.listen.map(place),
      relay: { ...spec.relay, endpoint: place(spec.relay.endpoint) },
    };
  return { ...spec, sibling: { ...spec.sibling, endpoint: place(spec.sibling.endpoint) } };
}
