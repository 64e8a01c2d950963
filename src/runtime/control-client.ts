// Control client: asks the root of a running tree one question and waits for the answer.
import { existsSync } from 'node:fs';
import { IpcError } from '../errors.ts';
import { textOf } from '../transport/frame.ts';
import { nativeCode } from '../transport/native.ts';
import { closeAll, PacketSocket } from '../transport/packet-socket.ts';
import { controlSocketPath } from '../transport/run-directory.ts';
import type { ControlAnswer } from './control-server.ts';
import { treeRunDirectory } from './place.ts';

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
    socket = PacketSocket.connect(controlSocketPath(treeRunDirectory(workspace)));
  } catch (error) {
    if (nativeCode(error) === 'SYSTEM') return Promise.reject(IpcError.from(error, 'ERR_NO_TREE', workspace));
    return Promise.reject(error);
  }
  // Whoever listens there could be anybody, if the folder were not checked; it costs nothing to look.
  if (socket.peer.uid !== process.getuid!()) {
    socket.destroy();
    return Promise.reject(IpcError.of('ERR_REFUSED', question, "the supervisor is another user's"));
  }
  return new Promise((resolve, reject) => {
    let text = '';
    const settle = (settled: () => void) => {
      clearTimeout(timer);
      socket.destroy();
      settled();
    };
    const timer =
      timeoutMs === 'infinity'
        ? undefined
        : setTimeout(() => settle(() => reject(IpcError.of('ERR_TIMEOUT', what, timeoutMs))), timeoutMs);
    socket.listen({
      frame(frame, fds) {
        closeAll(fds);
        text += textOf(frame, 'text', 1 << 20);
        if (frame.more === true) return;
        const answer = JSON.parse(text) as ControlAnswer;
        text = '';
        if ('item' in answer) onItem?.(answer.item);
        else
          settle(() => ('error' in answer ? reject(IpcError.received(answer.error)) : resolve(answer.value)));
      },
      ended: () => settle(() => reject(IpcError.of('ERR_NO_TREE', workspace))),
    });
    socket.send({ ...facts, t: question });
  });
}
