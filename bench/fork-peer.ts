// Fork peer: one process of a pair that talks over the IPC channel of child_process.fork. The driver forks the responder.
import { type ChildProcess, fork, type Serializable } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { pinned } from './cpus.ts';
import { drive } from './driver.ts';
import { endWithStarter, tell, untilReady, type Work, workOf } from './peer.ts';
import type { Port } from './port.ts';
import { respond } from './responder.ts';

/**
 * `send` queues without bound, so a sender waits now and then for the kernel to take what it has sent. Waiting for each
 * message costs a callback each; 16 was as fast as any number for small messages, and large ones gain nothing from more.
 */
const messagesPerWait = 16;

const work = workOf(process.argv);

if (work.role === 'responder') {
  process.on('disconnect', () => process.exit());
  respond(portOf(process as Endpoint), work.job);
} else {
  endWithStarter();
  await untilReady();
  const responder = forkResponder(work);
  responder.on('exit', endedEarly);
  tell(await drive(portOf(responder), work.job));
  responder.off('exit', endedEarly).on('exit', () => process.exit());
  responder.disconnect();
}

function forkResponder(work: Work): ChildProcess {
  const [command, ...before] = pinned(work.placement.responderCpu, [process.execPath, ...process.execArgv]);
  return fork(fileURLToPath(import.meta.url), [JSON.stringify({ ...work, role: 'responder' })], {
    execPath: command!,
    execArgv: before,
    serialization: work.job.transport === 'fork-json' ? 'json' : 'advanced',
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
}

function endedEarly(code: number | null, signal: string | null): never {
  throw new Error(`the responder ended (${signal ?? `exit code ${code}`})`);
}

/** What a forked process and its parent have in common. */
interface Endpoint {
  send(message: Serializable, onSent?: (error: Error | null) => void): boolean;
  on(event: 'message', listener: (message: unknown) => void): unknown;
}

function portOf(endpoint: Endpoint): Port {
  let left = messagesPerWait;
  return {
    send(message) {
      if (--left > 0) {
        endpoint.send(message as Serializable);
        return undefined;
      }
      left = messagesPerWait;
      return new Promise((resolve, reject) => {
        endpoint.send(message as Serializable, (error) => (error ? reject(error) : resolve()));
      });
    },
    listen(handler) {
      endpoint.on('message', (message) => void handler(message));
    },
  };
}
