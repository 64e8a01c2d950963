// FlatBuffers in place: the adapter between generated code and arenas. The entry `actor-ipc/flatbuffers`.
import { Builder, ByteBuffer } from 'flatbuffers';
import type { InPlaceCodec } from '../spec/memory.ts';

/** Builds a value: generated functions add its parts and answer the offset of its root. */
export type FlatBuild = (builder: Builder) => number;

/** What the builder keeps to itself; building in given memory needs it. The package's version is pinned for that. */
interface BuilderMemory {
  bb: ByteBuffer;
}

/**
 * A codec for the values of one FlatBuffers schema.
 * @param root the generated `getRootAsX`.
 * Reading touches only the fields that are asked for. A value that a peer spoiled gives wrong answers or a RangeError, never
 * more.
 */
export function flatbuffers<T>(root: (buffer: ByteBuffer) => T): InPlaceCodec<T, FlatBuild> {
  return {
    name: 'flatbuffers',
    write(memory, build) {
      const builder = new Builder(1);
      (builder as unknown as BuilderMemory).bb = new ByteBuffer(memory);
      // Takes over the capacity of the buffer; it is built from its end.
      builder.clear();
      builder.finish(build(builder));
      // A builder that runs out of room moves to memory of its own without a word; then these are bytes of that.
      return builder.asUint8Array();
    },
    read: (bytes) => root(new ByteBuffer(bytes)),
  };
}
