// Memory order: what the lanes take for granted of this engine, looked at once before the first of them is used. The order
// between processes itself is tested by test/transport/litmus.test.ts, which a start has no time for.
import { IpcError, messageOf } from '../errors.ts';
import { segmentKind } from './link.ts';
import { native } from './native.ts';

let checked = false;

/**
 * Checks that Atomics work on a mapping, and that a second mapping of the same memory sees what they store.
 * @throws {IpcError} ERR_KERNEL_UNSUPPORTED.
 */
export function checkMemoryOrder(): void {
  if (checked) return;
  const { Segment, dupFd, layout } = native();
  try {
    const written = new Segment(segmentKind.session, [], 0);
    const read = new Segment(segmentKind.session, dupFd(written.fd), written.bytes, written.bytes);
    const at = layout.pulseOffset >> 2;
    Atomics.store(new Int32Array(written.buffer), at, 0x5a17);
    const seen = Atomics.load(new Int32Array(read.buffer), at);
    read.close();
    written.close();
    if (seen !== 0x5a17) throw new Error('a second mapping does not see what Atomics.store has written');
  } catch (error) {
    if (error instanceof IpcError) throw error;
    throw IpcError.from(error, 'ERR_KERNEL_UNSUPPORTED', 'shared memory for JavaScript', messageOf(error));
  }
  checked = true;
}
