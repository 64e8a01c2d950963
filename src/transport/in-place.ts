// In-place codecs that need no package: bytes as they are.
import type { InPlaceCodec } from '../spec/memory.ts';

/** Plain bytes: given as they are, or by a function that fills memory of a given size. */
export type BytesInput =
  | Uint8Array
  | {
      readonly bytes: number;
      /** Writes the bytes in place. */
      readonly write: (memory: Uint8Array) => void;
    };

/** Values that are bytes: images, columns of numbers, whatever brings its own format. They begin at a multiple of 64. */
export const rawBytes: InPlaceCodec<Uint8Array, BytesInput> = {
  name: 'bytes',
  bytesFor: (value) => (value instanceof Uint8Array ? value.byteLength : value.bytes),
  write(memory, value) {
    if (value instanceof Uint8Array) {
      const part = memory.subarray(0, value.byteLength);
      if (part.byteLength < value.byteLength) return value;
      part.set(value);
      return part;
    }
    const part = memory.subarray(0, value.bytes);
    if (part.byteLength < value.bytes) throw new RangeError(`${value.bytes} bytes need more room`);
    value.write(part);
    return part;
  },
  read: (bytes) => bytes,
};
