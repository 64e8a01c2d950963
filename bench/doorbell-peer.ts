// Doorbell peer: one process of a pair that sleeps until the other rings. The least that a sleeping receiver can take: an
// eventfd in Node's event loop, with the message in shared memory; no session, no channel, no ring.
import { drive } from './driver.ts';
import { endWithStarter, sayReady, tell, untilReady, workOf } from './peer.ts';
import type { Port } from './port.ts';
import { respond } from './responder.ts';
import { laneOf, type SharedMemory, swapMemory } from './shared-memory.ts';

const { role, job, directory } = workOf(process.argv);

/** Holds one message of less than 256 bytes, its length in a byte before it. */
const slotBytes = 1024;

endWithStarter();
if (role === 'responder') {
  // The socket that swapMemory waits at exists before its first await.
  const swapped = swapMemory(role, directory, [slotBytes]);
  sayReady();
  respond(portOf(await swapped), job);
} else {
  await untilReady();
  tell(await drive(portOf(await swapMemory(role, directory, [slotBytes])), job));
  process.exit();
}

function portOf({ own, peer, doorbell }: SharedMemory): Port {
  const mine = laneOf(own, 0);
  const theirs = laneOf(peer, 0);
  let sent = 0;
  return {
    send(message) {
      const bytes = message as Uint8Array;
      mine.ring[0] = bytes.length;
      mine.ring.set(bytes, 1);
      Atomics.store(mine.words, mine.tail, ++sent);
      doorbell.ring();
      return undefined;
    },
    listen(handler) {
      doorbell.watch(peer, theirs.tail << 2, 0);
      doorbell.listen(() => {
        handler(theirs.ring.subarray(1, 1 + theirs.ring[0]!));
        return false;
      });
    },
  };
}
