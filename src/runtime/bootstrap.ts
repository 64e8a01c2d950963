// Bootstrap: the entry of every node child. Meets the supervisor first, so that whatever goes wrong afterwards can be told,
// then runs the user's file.
import { pathToFileURL } from 'node:url';
import { channelCounts } from '../actors/session-figures.ts';
import { messageOf } from '../errors.ts';
import { FlightRecorder } from '../transport/flight-recorder.ts';
import { Exposure } from './exposure.ts';
import { takeInput } from './process-input.ts';
import { adoptRuntime } from './process-runtime.ts';
import { Runtime } from './program.ts';
import { rehearse } from './rehearsal.ts';
import { RootLink } from './root-link.ts';
import { onStopSignals } from './signals.ts';
import { placeOf } from './stack.ts';

const [, , file] = process.argv;
const controlFd = Number(process.env.ACTOR_IPC_CONTROL_FD);
if (file === undefined || !Number.isInteger(controlFd)) {
  process.stderr.write('this file is started by the actor-ipc supervisor\n');
  process.exit(2);
}
// The user's program sees itself as the main file, as if it had been started by hand.
process.argv.splice(1, 1);

takeInput();
const recorder = new FlightRecorder();
const standby = process.env.ACTOR_IPC_STANDBY === '1';
delete process.env.ACTOR_IPC_STANDBY;
const exposure = new Exposure(JSON.parse(process.env.ACTOR_IPC_SECRETS ?? '[]'));
delete process.env.ACTOR_IPC_SECRETS;
const root = new RootLink(controlFd, recorder, standby);
try {
  const runtime = new Runtime({ root, recorder, exposure });
  adoptRuntime(runtime);
  root.offerFeed(runtime.host);
  root.offerCounts(() => channelCounts(runtime.host));
  const stop = (exitCode: number) => void runtime.stop().then(() => process.exit(exitCode));
  root.onStop(() => stop(0));
  onStopSignals((signal) => stop(128 + signal));
} catch (error) {
  refuse(messageOf(error));
}

// Before its file, which may be the last that it has to wait for.
if (standby) await rehearse();
import(pathToFileURL(file).href).then(
  () => {
    root.reportReady();
    // One without anything to wait for has done all that it does; it is as warm as it will ever be.
    root.reportWarm();
    // A plain program that says nothing about itself does its work as soon as it runs.
    setImmediate(() => {
      if (!root.hasState && !participates()) root.reportState('operative', true);
    });
  },
  (error: unknown) => {
    console.error(error);
    const place = placeOf(error);
    refuse(
      `${file} threw while it was loaded: ${messageOf(error)}${place === undefined ? '' : ` (at ${place})`}`,
    );
  },
);

function participates(): boolean {
  const runtime = (globalThis as { [key: symbol]: unknown })[Symbol.for('actor-ipc.runtime')] as
    | Runtime
    | undefined;
  return runtime !== undefined && runtime.host.addresses.length > 0;
}

function refuse(why: string): void {
  root.reportRefused(why);
  process.exitCode = 1;
  // The frame has left: packets are handed to the kernel at once.
  process.exit();
}
