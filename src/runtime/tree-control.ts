// Tree control: what the command line may ask of a running tree, as rows of questions.
import { IpcError } from '../errors.ts';
import type { SupervisorOutput } from '../machines/exit.ts';
import type { Identity } from '../machines/incarnation.ts';
import type { Topology } from '../spec/child.ts';
import { conditionLengthMax } from '../spec/condition.ts';
import type { Fingerprint } from '../spec/fingerprint.ts';
import { hostElsewhere } from '../spec/placement.ts';
import type { RelayRequest } from '../spec/relay.ts';
import { type Frame, textOf, wholeOf } from '../transport/frame.ts';
import { native } from '../transport/native.ts';
import type { Applied, ApplyOptions } from './apply.ts';
import type { Asker, ControlHandlers } from './control-server.ts';
import type { HostQuestions, Hosts } from './hosts.ts';
import { loadAnew } from './loader.ts';
import { writtenBy } from './log-reader.ts';
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
  /** What runs here now. */
  readonly topology: Topology;
  readonly hosts: Hosts | undefined;
  status(): TreeStatus;
  wholeStatus(usage: boolean): Promise<TreeStatus>;
  fingerprint(unit: string): Fingerprint;
  survey(): Promise<TreeStatus>;
  down(): Promise<SupervisorOutput>;
  apply(next: Topology, options: ApplyOptions): Promise<Applied>;
}

type Order = (unit: string, options: OrderOptions, frame: Frame) => Promise<Outcome> | Outcome;

/** What this machine's command line may ask. Orders to units of another host go to its root. */
export function controlHandlers(tree: ControlledTree): ControlHandlers {
  const own = ownHandlers(tree);
  const far = Object.fromEntries(
    [...farQuestions].map((question) => [
      question,
      (frame: Frame, asker: Asker) => {
        const host = hostOfUnit(tree, frame);
        if (host === undefined) return own[question]!(frame, asker);
        return tree.hosts!.ask(host, question, frame, { signal: asker.gone });
      },
    ]),
  );
  return {
    ...own,
    ...far,
    attach: (frame, asker) => {
      const host = hostOfUnit(tree, frame);
      if (host === undefined) return own.attach!(frame, asker);
      throw IpcError.of('ERR_REFUSED', 'attach', `the unit runs on host ${host}; run the command there`);
    },
    status: (frame) => tree.wholeStatus(frame.usage === true),
  };
}

const orders = ['start', 'stop', 'restart', 'reload', 'reset', 'signal', 'wait'] as const;
const farQuestions: ReadonlySet<string> = new Set([...orders, 'fingerprint', 'written']);

function hostOfUnit({ topology, hosts }: ControlledTree, frame: Frame): string | undefined {
  return hosts && hostElsewhere(topology, textOf(frame, 'unit', unitLengthMax));
}

/** What the roots of other hosts may ask. They answer for their own units alone, so no question goes around. */
export function hostQuestions(tree: ControlledTree): HostQuestions {
  const own = ownHandlers(tree);
  return Object.fromEntries(
    ['status', ...farQuestions].map((question) => [
      question,
      (frame: Frame, { signal }: RelayRequest) => own[question]!(frame, { gone: signal, tell: () => false }),
    ]),
  );
}

function ownHandlers(tree: ControlledTree): ControlHandlers {
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
    written: (frame) =>
      writtenBy(tree.logs.folder, textOf(frame, 'unit', unitLengthMax), {
        sinceMs: wholeOf(frame, 'sinceMs'),
        lines: wholeOf(frame, 'lines', 1_000_000),
      }),
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
