// Supervised: a supervisor of actors that a program has started, as it holds it.
import { ActorSupervision } from '../actors/actor-supervision.ts';
import { IpcError } from '../errors.ts';
import type { SupervisorOutput } from '../machines/exit.ts';
import type { Address } from '../names.ts';
import type { ActorsSpec } from '../spec/child.ts';
import { reportActors } from './actor-log.ts';
import type { Host } from './host.ts';

/** A supervisor of actors that runs in this process, with the calls of OTP's supervisors. */
export class Supervised extends ActorSupervision {
  /** Resolves at its end; rejects with ERR_RESTART_LIMIT if it gave up. */
  readonly ended: Promise<void>;
  /** Resolves once all children have started; rejects with ERR_CHILD_START. */
  readonly booted: Promise<void>;

  constructor(host: Host, address: Address, spec: ActorsSpec, onEnd: () => void) {
    let tellEnd!: (output: SupervisorOutput) => void;
    let tellBoot!: () => void;
    const end = new Promise<SupervisorOutput>((resolve) => {
      tellEnd = resolve;
    });
    const boot = new Promise<void>((resolve) => {
      tellBoot = resolve;
    });
    super(host, spec, {
      address,
      onReport: reportActors(host.log, host.feed),
      onBooted: () => tellBoot(),
      onEnd: (output) => {
        onEnd();
        tellEnd(output);
      },
    });
    this.ended = end.then(({ why, reason }) => {
      if (why === 'intensity') throw IpcError.of('ERR_RESTART_LIMIT', address, reason);
    });
    // Nobody has to look at it.
    this.ended.catch(() => {});
    const failed = end.then(({ why, reason }) => {
      if (why === 'boot') throw IpcError.of('ERR_CHILD_START', address, reason);
    });
    this.booted = Promise.race([boot, failed]);
    this.booted.catch(() => {});
  }

  /** Ends all children, those started last first, and then itself. */
  async stop(): Promise<void> {
    this.shutdown();
    await this.ended.catch(() => {});
  }

  /** As `stop`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }
}
