// Numbered messages with a checksum. cpp/test/soak_victim.cc makes and checks the same.
import type { Random } from '../support/random.ts';

const headBytes = 8;

function checksum(bytes: Uint8Array): number {
  let sum = 1;
  for (let at = headBytes; at < bytes.length; at++) sum = (Math.imul(sum, 31) + bytes[at]!) >>> 0;
  return sum;
}

export function makeMessage(number: number, random: Random): Uint8Array {
  const message = new Uint8Array(headBytes + random.below(random.below(16) === 0 ? 1500 : 120));
  fillMessage(message, number, random);
  return message;
}

/** Makes the message of that number in place. REQUIRES: at least 8 bytes. */
export function fillMessage(message: Uint8Array, number: number, random: Random): void {
  for (let at = headBytes; at < message.length; at++) message[at] = random.next();
  const head = new DataView(message.buffer, message.byteOffset, message.length);
  head.setUint32(0, number, true);
  head.setUint32(4, checksum(message), true);
}

/** What is wrong with the message that should be the one of that number. */
export function faultOf(message: Uint8Array, number: number): string | undefined {
  if (message.length < headBytes) return 'a message is short';
  const head = new DataView(message.buffer, message.byteOffset, message.length);
  if (head.getUint32(0, true) !== number) return `message ${head.getUint32(0, true)} instead of ${number}`;
  return head.getUint32(4, true) === checksum(message) ? undefined : `message ${number} was torn`;
}
