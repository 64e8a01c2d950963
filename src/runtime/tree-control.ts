// Tree control: what the command line may ask of a running tree, as rows of questions.
import { IpcError } from '../errors.ts';
import type { SupervisorOutput } from '../machines/exit.ts';
import type { Topology } from '../spec/child.ts';
import { type Frame, textOf, wholeOf } from '../transport/frame.ts';
import { native } from '../transport/native.ts';
import type { Applied, ApplyOptions } from './apply.ts';
import type { Asker, ControlHandlers } from './control-server.ts';
import { loadAnew } from './loader.ts';
import type { Operator, OrderOptions, Outcome } from './operator.ts';
import type { TreeStatus } from './status.ts';
import type { UnitLine, UnitLogs } from './unit-logs.ts';

/** The longest path of a unit. */
const unitLengthMax = 1_024;

/** What is asked for by the command line. */
interface ControlledTree {
  readonly name: string;
  readonly operator: Operator;
  readonly logs: UnitLogs;
  status(): TreeStatus;
  down(): Promise<SupervisorOutput>;
  apply(next: Topology, options: ApplyOptions): Promise<Applied>;
}

type Order = (unit: string, options: OrderOptions, frame: Frame) => Promise<Outcome> | Outcome;

export function controlHandlers(tree: ControlledTree): ControlHandlers {
  const { operator } = tree;
  const order =
    (carryOut: Order) =>
    async (frame: Frame, { gone }: Asker) =>
      carryOut(textOf(frame, 'unit', unitLengthMax), { signal: gone }, frame);
  return {
    status: () => tree.status(),
    start: order((unit, options) => operator.start(unit, options)),
    stop: order((unit, options) => operator.stop(unit, options)),
    restart: order((unit, options) => operator.restart(unit, options)),
    reload: order((unit, options) => operator.reload(unit, options)),
    reset: order((unit, options) => operator.reset(unit, options)),
    signal: order((unit, _, frame) => operator.signal(unit, textOf(frame, 'signal', 32))),
    wait: order((unit, options, frame) => operator.wait(unit, textOf(frame, 'state', 256), options)),
    attach: order((unit, options, frame) =>
      operator.attach(unit, identityOf(unit, wholeOf(frame, 'pid')), options),
    ),
    down: () => tree.down(),
    apply: async (frame, { gone }) =>
      tree.apply(await loadAnew(textOf(frame, 'file', 4_096)), {
        dryRun: frame.dryRun === true,
        signal: gone,
      }),
    logs: (_, asker) => followLogs(tree, asker),
  };
}

function identityOf(unit: string, pid: number): { pid: number; startTicks: number } {
  try {
    return { pid, startTicks: native().startTicks(pid) };
  } catch (error) {
    throw IpcError.from(error, 'ERR_REFUSED', `attach ${unit}`, `there is no process ${pid}`);
  }
}

/** First how much is written already, then every line that comes. Never answers. */
function followLogs(tree: ControlledTree, { gone, tell }: Asker): Promise<never> {
  return new Promise((_, reject) => {
    let missed = 0;
    const send = (line: UnitLine) => {
      if (missed > 0 && tell({ missed })) missed = 0;
      if (missed > 0 || !tell({ line })) missed++;
    };
    const unfollow = tree.logs.follow(send);
    gone.addEventListener('abort', () => {
      unfollow();
      reject(gone.reason as Error);
    });
    tell({ sizes: tree.logs.sizes(tree.status().units.map(({ name }) => `${tree.name}/${name}`)) });
  });
}
