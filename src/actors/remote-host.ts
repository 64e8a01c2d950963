// RemoteHost: the remote-host machine, whose reports somebody takes.
import { type RemoteHostInput, type RemoteHostReport, remoteHostMachine } from '../machines/remote-host.ts';
import type { Address } from '../names.ts';
import { Handles, type Host, type Hosted } from './hosting.ts';

const listeners = new Handles<(report: RemoteHostReport) => void>('remote host');

const remoteHostLogic = remoteHostMachine.provide({
  actions: { report: ({ self }, report) => listeners.of(self)(report) },
});

/** @param onReport gets how the host is heard and what its units do, at each change. */
export function startRemoteHost(
  host: Host,
  {
    address,
    input,
    onReport,
  }: { address: Address; input: RemoteHostInput; onReport: (report: RemoteHostReport) => void },
): Hosted<typeof remoteHostMachine> {
  return host.start(remoteHostLogic, { address, input, bind: (actor) => listeners.bind(actor, onReport) });
}
