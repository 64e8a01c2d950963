// A FlatBuffers table { name: string; values: [double] }, as the schema compiler writes it.
import type { Builder, ByteBuffer } from 'flatbuffers';

export class Columns {
  #buffer!: ByteBuffer;
  #at = 0;

  static getRootAsColumns(buffer: ByteBuffer): Columns {
    const columns = new Columns();
    columns.#buffer = buffer;
    columns.#at = buffer.readInt32(buffer.position()) + buffer.position();
    return columns;
  }

  name(): string | null {
    const offset = this.#buffer.__offset(this.#at, 4);
    return offset ? (this.#buffer.__string(this.#at + offset) as string) : null;
  }

  values(index: number): number | null {
    const offset = this.#buffer.__offset(this.#at, 6);
    return offset ? this.#buffer.readFloat64(this.#buffer.__vector(this.#at + offset) + index * 8) : 0;
  }

  valuesLength(): number {
    const offset = this.#buffer.__offset(this.#at, 6);
    return offset ? this.#buffer.__vector_len(this.#at + offset) : 0;
  }
}

/** Builds a table of `count` numbers; `valueAt` gives each. */
export function buildColumns(name: string, count: number, valueAt: (index: number) => number) {
  return (builder: Builder): number => {
    const text = builder.createString(name);
    builder.startVector(8, count, 8);
    for (let index = count - 1; index >= 0; index--) builder.addFloat64(valueAt(index));
    const values = builder.endVector();
    builder.startObject(2);
    builder.addFieldOffset(0, text, 0);
    builder.addFieldOffset(1, values, 0);
    return builder.endObject();
  };
}
