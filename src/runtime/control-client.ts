// Control client: asks the root of a running tree one question and waits for the answer.
import { existsSync } from 'node:fs';
import { IpcError } from '../errors.ts';
import { textOf } from '../transport/frame.ts';
import { nativeCode } from '../transport/native.ts';
import { closeAll, PacketSocket } from '../transport/packet-socket.ts';
import { controlSocketPath } from '../transport/run-directory.ts';
import { treeRunDirectory } from './place.ts';

/** A root whose event loop does not turn for this long is not asked any further. */
const answerTimeoutMs = 5_000;

/**
 * @param workspace the folder of the tree's workspace.
 * @throws {IpcError} ERR_NO_TREE, ERR_TIMEOUT, ERR_SYSTEM with what the root answers.
 */
export function askTree(workspace: string, question: string): Promise<unknown> {
  if (!existsSync(workspace)) return Promise.reject(IpcError.of('ERR_NO_TREE', workspace));
  let socket: PacketSocket;
  try {
    socket = PacketSocket.connect(controlSocketPath(treeRunDirectory(workspace)));
  } catch (error) {
    if (nativeCode(error) === 'SYSTEM') return Promise.reject(IpcError.from(error, 'ERR_NO_TREE', workspace));
    return Promise.reject(error);
  }
  return new Promise((resolve, reject) => {
    let text = '';
    const settle = (settled: () => void) => {
      clearTimeout(timer);
      socket.destroy();
      settled();
    };
    const timer = setTimeout(
      () => settle(() => reject(IpcError.of('ERR_TIMEOUT', 'the answer of the supervisor', answerTimeoutMs))),
      answerTimeoutMs,
    );
    socket.listen({
      frame(frame, fds) {
        closeAll(fds);
        text += textOf(frame, 'text', 1 << 20);
        if (frame.more === true) return;
        const { value, error } = JSON.parse(text) as { value?: unknown; error?: string };
        settle(() =>
          error === undefined ? resolve(value) : reject(IpcError.of('ERR_SYSTEM', question, error)),
        );
      },
      ended: () => settle(() => reject(IpcError.of('ERR_NO_TREE', workspace))),
    });
    socket.send({ t: question });
  });
}
