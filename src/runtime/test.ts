// For tests of programs, and of engines of one's own. The entry `actor-ipc/test`.

import type { Relay, RelayRole } from '../spec/relay.ts';
import { currentRuntime } from './process-runtime.ts';

export { type Clock, SimulatedClock } from '../machines/clock.ts';
export { type RelayBench, relayConformance, type TestFramework } from './relay-conformance.ts';

/** A relay of one process, without a link or an engine below it: for tests of what stands above a relay. */
export interface LocalRelay extends AsyncDisposable {
  /** Another node of it, which is there at once. Default role: `front`. */
  node(name: string, role?: RelayRole): Promise<Relay>;
  /** Closes all its nodes. Twice is fine. */
  close(): Promise<void>;
}

/** Opens a relay in this process, by its runtime. @throws {IpcError} ERR_STOPPING. */
export async function localRelay(name = 'relay'): Promise<LocalRelay> {
  const serving = await currentRuntime().serveRelay({ node: name });
  const close = () => serving.close();
  return {
    async node(node, role = 'front') {
      const member = serving.member(node, role);
      await member.connected();
      return member;
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}
