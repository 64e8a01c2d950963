// Block reference: how one side tells the other where in its arena something stands. As a record of a channel, or as a
// handle that travels within messages. What arrives is input: it is copied into fields once and checked by SessionMemory.
import { IpcError } from '../errors.ts';
import type { Handle } from '../spec/memory.ts';
import type { Layout } from './native.ts';

export class BlockReference {
  /** Which of the lender's slots counts this loan, and which use of the slot it is. */
  slot = 0;
  slotGeneration = 0;
  /** The segment, as counted in this session. */
  segment = 0;
  /** Where the block's bytes begin, counted from the start of the segment. */
  offset = 0;
  /** Where the value begins, counted from there, and how long it is. */
  start = 0;
  bytes = 0;
  generation = 0;
}

export const referenceBytes = 28;
const handleWords = 10;
export const handleBytes = handleWords * 4;
/** "AIPH" */
const handleMagic = 0x48504941;

/** @param words the record's payload, from index `at` on. */
export function readReference(
  words: Int32Array | Uint32Array,
  at: number,
  reference = new BlockReference(),
): BlockReference {
  reference.slot = words[at]! >>> 0;
  reference.slotGeneration = words[at + 1]! >>> 0;
  reference.segment = words[at + 2]! >>> 0;
  reference.offset = words[at + 3]! >>> 0;
  reference.start = words[at + 4]! >>> 0;
  reference.bytes = words[at + 5]! >>> 0;
  reference.generation = words[at + 6]! >>> 0;
  return reference;
}

export function writeReference(reference: BlockReference, words: Uint32Array, at: number): void {
  words[at] = reference.slot;
  words[at + 1] = reference.slotGeneration;
  words[at + 2] = reference.segment;
  words[at + 3] = reference.offset;
  words[at + 4] = reference.start;
  words[at + 5] = reference.bytes;
  words[at + 6] = reference.generation;
}

/**
 * Checks a reference against the segment it leads into, of `total` bytes. Both were written by the peer.
 * @throws an Error that says why it makes no sense.
 */
export function checkBlock(
  { offset, start, bytes, generation }: BlockReference,
  words: Uint32Array,
  total: number,
  layout: Layout,
): void {
  const { lineBytes, blockAlign, blockGenerationOffset, blockStartOffset, blockBytesOffset } = layout;
  if (offset % blockAlign !== 0 || offset < lineBytes + blockAlign || offset + start + bytes > total)
    throw new Error('a reference to outside its segment');
  const header = offset - blockAlign;
  if (words[(header + blockGenerationOffset) >>> 2] !== generation || generation === 0)
    throw new Error('a stale reference: its block is used for something else');
  if (
    words[(header + blockStartOffset) >>> 2] !== start ||
    words[(header + blockBytesOffset) >>> 2] !== bytes
  )
    throw new Error('a reference of another length than its block');
}

/** @param scope tells this direction of this session from all others. */
export function handleOf(reference: BlockReference, scope: number): Handle {
  const words = new Uint32Array(handleWords);
  words[0] = handleMagic;
  words[1] = scope;
  writeReference(reference, words, 2);
  words[9] = checksum(words);
  return new Uint8Array(words.buffer);
}

/** @throws {IpcError} ERR_HANDLE_INVALID for bytes that are no handle of that scope. */
export function referenceIn(handle: unknown, scope: number): BlockReference {
  if (!(handle instanceof Uint8Array) || handle.byteLength !== handleBytes)
    throw IpcError.of('ERR_HANDLE_INVALID', `it is not the ${handleBytes} bytes that lend() gave`);
  const words = new Uint32Array(handle.slice().buffer);
  if (words[0] !== handleMagic || words[9] !== checksum(words))
    throw IpcError.of('ERR_HANDLE_INVALID', 'it was changed on its way');
  if (words[1] !== scope) throw IpcError.of('ERR_HANDLE_INVALID', 'the peer did not lend it in this session');
  return readReference(words, 2);
}

/** FNV-1a over words: against accidents, not against intent. */
function checksum(words: Uint32Array): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < 9; at++) hash = Math.imul(hash ^ words[at]!, 0x01000193);
  return hash >>> 0;
}
