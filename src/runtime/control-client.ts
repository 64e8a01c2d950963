// Control client: asks the root of a running tree one question and waits for the answer.
import { existsSync, readFileSync } from 'node:fs';
import { IpcError } from '../errors.ts';
import { textOf } from '../transport/frame.ts';
import { nativeCode } from '../transport/native.ts';
import { closeAll, PacketSocket } from '../transport/packet-socket.ts';
import { controlSocketPath } from '../transport/run-directory.ts';
import type { ControlAnswer } from './control-server.ts';
import { runningTreeDirectory } from './place.ts';

/** A root whose event loop does not turn for this long is not asked any further. */
const answerTimeoutMs = 5_000;

export interface AskOptions {
  /** What the question is about. */
  readonly facts?: Readonly<Record<string, unknown>>;
  /** Give up after this long; `infinity` for what takes as long as it takes. Default: 5 s. */
  readonly timeoutMs?: number | 'infinity';
  /** What takes that long, for the message. */
  readonly what?: string;
  /** Gets what comes before the answer. */
  readonly onItem?: (item: unknown) => void;
}

/**
 * @param workspace the folder of the tree's workspace.
 * @throws {IpcError} ERR_NO_TREE, ERR_TIMEOUT, ERR_REFUSED, and what the root answers.
 */
export function askTree(workspace: string, question: string, options: AskOptions = {}): Promise<unknown> {
  const { facts, timeoutMs = answerTimeoutMs, what = 'the answer of the supervisor', onItem } = options;
  if (!existsSync(workspace)) return Promise.reject(IpcError.of('ERR_NO_TREE', workspace));
  let socket: PacketSocket;
  try {
    socket = PacketSocket.connect(controlSocketPath(runningTreeDirectory(workspace)));
  } catch (error) {
    if (nativeCode(error) === 'SYSTEM') return Promise.reject(IpcError.from(error, 'ERR_NO_TREE', workspace));
    if (nativeCode(error) === 'AGAIN')
      return Promise.reject(
        IpcError.from(
          error,
          'ERR_REFUSED',
          question,
          'the supervisor is stopped or stuck: many ask already, and none is heard',
        ),
      );
    return Promise.reject(error);
  }
  // Whoever listens there could be anybody, if the folder were not checked; it costs nothing to look.
  if (socket.peer.uid !== process.getuid!()) {
    socket.destroy();
    return Promise.reject(IpcError.of('ERR_REFUSED', question, "the supervisor is another user's"));
  }
  return new Promise((resolve, reject) => {
    let text = '';
    let silent = true;
    const settle = (settled: () => void) => {
      clearTimeout(timer);
      clearTimeout(beat);
      socket.destroy();
      settled();
    };
    const timer =
      timeoutMs === 'infinity'
        ? undefined
        : setTimeout(() => fail(silent ? supervisor(socket.peer.pid) : what, timeoutMs), timeoutMs);
    const fail = (late: string, ms: number) =>
      settle(() => reject(IpcError.of('ERR_TIMEOUT', late, Math.round(ms))));
    // What takes as long as it takes is still waited for only while there is somebody who does it.
    const listen = () => {
      if (silent) return fail(supervisor(socket.peer.pid), answerTimeoutMs);
      silent = true;
      socket.send({ t: 'alive' });
      beat = setTimeout(listen, answerTimeoutMs);
    };
    let beat = setTimeout(listen, answerTimeoutMs);
    socket.listen({
      frame(frame, fds) {
        closeAll(fds);
        silent = false;
        text += textOf(frame, 'text', 1 << 20);
        if (frame.more === true) return;
        const answer = JSON.parse(text) as ControlAnswer;
        text = '';
        if ('heard' in answer) return;
        if ('item' in answer) onItem?.(answer.item);
        else
          settle(() => ('error' in answer ? reject(IpcError.received(answer.error)) : resolve(answer.value)));
      },
      ended: () => settle(() => reject(IpcError.of('ERR_NO_TREE', workspace))),
    });
    socket.send({ ...facts, t: question });
  });
}

/** A supervisor that says nothing, in words. */
function supervisor(pid: number): string {
  const stopped = isStopped(pid) ? ', which is stopped ("kill -CONT" lets it go on),' : '';
  return `the answer of the supervisor, process ${pid}${stopped}`;
}

function isStopped(pid: number): boolean {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return /^[Tt]/.test(text.slice(text.lastIndexOf(')') + 2));
  } catch {
    return false;
  }
}
