// Retirement: the retirement machine with a real process.
import { retirementMachine } from '../machines/retirement.ts';
import type { Address } from '../names.ts';
import type { ProcessSpec } from '../spec/child.ts';
import { Handles, type Host, type Hosted } from './hosting.ts';
import { endSignal, type SupervisedProcess } from './unit-process.ts';

const processes = new Handles<SupervisedProcess>('process');

const retirementLogic = retirementMachine.provide({
  actions: {
    ask: ({ self }) => processes.of(self).ask(),
    terminate: ({ self }) => processes.of(self).signal(endSignal),
    kill: ({ self }) => processes.of(self).kill(),
  },
});

/** Ends a process that has been replaced. It is to be told when nothing of that is left. */
export function retire(
  host: Host,
  address: Address,
  process: SupervisedProcess,
  { shutdown, kind }: Pick<ProcessSpec, 'shutdown' | 'kind'>,
): Hosted<typeof retirementMachine> {
  return host.start(retirementLogic, {
    address,
    input: { shutdown, canAsk: kind === 'node' },
    bind: (actor) => processes.bind(actor, process),
  });
}
