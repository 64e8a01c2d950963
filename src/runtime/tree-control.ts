// Tree control: what the command line may ask of a running tree, as rows of questions.
import { IpcError } from '../errors.ts';
import type { SupervisorOutput } from '../machines/exit.ts';
import type { Identity } from '../machines/incarnation.ts';
import type { Topology } from '../spec/child.ts';
import { conditionLengthMax } from '../spec/condition.ts';
import type { Fingerprint } from '../spec/fingerprint.ts';
import { type Frame, textOf, wholeOf } from '../transport/frame.ts';
import { native } from '../transport/native.ts';
import type { Applied, ApplyOptions } from './apply.ts';
import type { Asker, ControlHandlers } from './control-server.ts';
import { loadAnew } from './loader.ts';
import type { Operator, OrderOptions, Outcome } from './operator.ts';
import type { TreeStatus } from './status.ts';
import { strangerLike } from './stranger.ts';
import type { UnitLine } from './unit-line.ts';
import type { UnitLogs } from './unit-logs.ts';

/** The longest path of a unit. */
const unitLengthMax = 1_024;
/** What a timer of Node takes. */
const timeoutMax = 2 ** 31 - 1;

/** What is asked for by the command line. */
interface ControlledTree {
  readonly name: string;
  readonly operator: Operator;
  readonly logs: UnitLogs;
  status(): TreeStatus;
  fingerprint(unit: string): Fingerprint;
  survey(): Promise<TreeStatus>;
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
    status: (frame) => (frame.usage === true ? tree.survey() : tree.status()),
    start: order((unit, options) => operator.start(unit, options)),
    stop: order((unit, options) => operator.stop(unit, options)),
    restart: order((unit, options) => operator.restart(unit, options)),
    reload: order((unit, options) => operator.reload(unit, options)),
    reset: order((unit, options) => operator.reset(unit, options)),
    signal: order((unit, _, frame) => operator.signal(unit, textOf(frame, 'signal', 32))),
    wait: order((unit, options, frame) => {
      const within = {
        ...options,
        ...(frame.timeoutMs !== undefined && { timeoutMs: wholeOf(frame, 'timeoutMs', timeoutMax) }),
      };
      return frame.condition === undefined
        ? operator.wait(unit, textOf(frame, 'state', 256), within)
        : operator.waitFor(unit, textOf(frame, 'condition', conditionLengthMax), within);
    }),
    attach: order((unit, options, frame) => {
      const identity =
        frame.fingerprint === undefined
          ? identityOf(unit, wholeOf(frame, 'pid'))
          : identityOf(
              unit,
              strangerLike(`attach ${unit}`, textOf(frame, 'fingerprint', 4_096), [process.pid]),
            );
      return operator.attach(unit, identity, options);
    }),
    fingerprint: (frame) => tree.fingerprint(textOf(frame, 'unit', unitLengthMax)),
    down: () => tree.down(),
    apply: async (frame, { gone }) =>
      tree.apply(await loadAnew(textOf(frame, 'file', 4_096)), {
        dryRun: frame.dryRun === true,
        signal: gone,
      }),
    logs: (_, asker) => followLogs(tree, asker),
  };
}

function identityOf(unit: string, pid: number): Identity {
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
    tell({ positions: tree.logs.positions() });
  });
}
