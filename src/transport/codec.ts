// Codecs: how a message becomes bytes in a ring and comes out again.
//
// An encoder leaves its result in `buffer` from `start` on, valid until it encodes again: the channel copies it into the
// ring at once. A decoder is given bytes in the writer's memory, which the writer may still change, so what it returns
// never points into them.
import { markAsUntransferable } from 'node:worker_threads';
import { Packr } from 'msgpackr';

export interface Encoder {
  buffer: Uint8Array;
  start: number;
  length: number;
  /** Puts the bytes of `value` into the three fields. Throws what the codec throws for a value that it can't express. */
  encode(value: unknown): void;
  /** Shapes of objects that the peer has not been told yet; the next message uses them. */
  readonly structures: readonly string[][];
}

/** Views of longer messages are not kept: there the copy costs more than the view. */
const keptViewBytesMax = 512;
/** Views of msgpackr's memory, which is one for the whole module, from where its last message began; by their lengths. */
let viewed: Uint8Array | undefined;
let viewedFrom = 0;
let views: Uint8Array[] | undefined;

/**
 * What an encoder holds now, as bytes. To make a view costs more than to copy a small message, so those of one place are kept
 * once a second message has begun there: in between somebody else may have packed something.
 */
export function encodedBytes({ buffer, start, length }: Encoder): Uint8Array {
  if (start === 0 && length === buffer.length) return buffer;
  const known =
    views !== undefined && buffer === viewed && start === viewedFrom && length <= keptViewBytesMax;
  const kept = known ? views![length] : undefined;
  if (kept !== undefined) return kept;
  // Not Buffer's subarray, which takes twice as long.
  const view = new Uint8Array(buffer.buffer, buffer.byteOffset + start, length);
  if (known) views![length] = view;
  else if (length <= keptViewBytesMax) {
    views = buffer === viewed && start === viewedFrom ? new Array(keptViewBytesMax + 1) : undefined;
    viewed = buffer;
    viewedFrom = start;
  }
  return view;
}

export interface Decoder {
  /** Throws on bytes that are none of this codec's. */
  decode(ring: Uint8Array, at: number, length: number): unknown;
  /** Learns the shape with that index. @returns false if it is not the next one or makes no sense. */
  learn(index: number, names: unknown): boolean;
}

export interface Codec {
  encoder(): Encoder;
  decoder(): Decoder;
}

export type CodecName = 'msgpack' | 'bytes';

/** From msgpackr: answer the whole target with `start` and `end` set, and let the next call write over it. */
const reuseAndReset = 512 | 1024;
/** msgpackr gives the first 32 shapes a one-byte name; objects of further shapes carry their field names. */
const structuresMax = 32;
const fieldsMax = 1024;

/** A larger message gets a copy of its own, so that a channel does not keep the memory of its largest message for ever. */
const scratchBytesMax = 1024 * 1024;

interface Packed extends Uint8Array {
  start?: number;
  end?: number;
}

class MsgpackEncoder implements Encoder {
  buffer: Uint8Array = new Uint8Array(0);
  start = 0;
  length = 0;
  readonly structures: string[][] = [];
  readonly #packr: Packr;

  constructor() {
    const structures = this.structures;
    this.#packr = new Packr({
      structures,
      maxSharedStructures: structuresMax,
      saveStructures: () => true,
      moreTypes: true,
    } as ConstructorParameters<typeof Packr>[0]);
  }

  encode(value: unknown): void {
    // Never useBuffer(): the target belongs to the whole module, so whoever else packs in this process would write into
    // ours. In this mode the bytes stay where msgpackr put them, and are copied into the ring before anybody packs again.
    const packed = this.#packr.pack(value, reuseAndReset) as Packed;
    this.buffer = packed;
    // The first message with a new shape comes as a view of its own, without `start`.
    this.start = packed.start ?? 0;
    this.length = (packed.end ?? packed.length) - this.start;
  }
}

class MsgpackDecoder implements Decoder {
  #scratch = Buffer.allocUnsafeSlow(4096);
  readonly #structures: string[][] = [];
  readonly #range = { start: 0, end: 0 };
  readonly #packr = new Packr({
    structures: this.#structures,
    maxSharedStructures: structuresMax,
    copyBuffers: true,
    moreTypes: true,
  } as ConstructorParameters<typeof Packr>[0]);

  decode(ring: Uint8Array, at: number, length: number): unknown {
    // msgpackr takes an end of 0 for none.
    if (length === 0) throw new RangeError('a message of no bytes is no msgpack');
    if (length > scratchBytesMax) return this.#packr.unpack(Buffer.from(ring.subarray(at, at + length)));
    if (length > this.#scratch.length)
      this.#scratch = Buffer.allocUnsafeSlow(2 ** Math.ceil(Math.log2(length)));
    this.#scratch.set(ring.subarray(at, at + length));
    this.#range.end = length;
    return this.#packr.unpack(this.#scratch, this.#range);
  }

  learn(index: number, names: unknown): boolean {
    const known = this.#structures as string[][] & { sharedLength: number };
    const valid =
      index === known.length &&
      index < structuresMax &&
      Array.isArray(names) &&
      names.length <= fieldsMax &&
      names.every((name) => typeof name === 'string');
    if (!valid) return false;
    // A shape that a message defines for itself is forgotten with it; without this, it would stay.
    known.push(Object.assign(names, { isShared: true }));
    known.sharedLength = known.length;
    return true;
  }
}

class BytesEncoder implements Encoder {
  buffer: Uint8Array = new Uint8Array(0);
  readonly start = 0;
  length = 0;
  readonly structures: readonly string[][] = [];

  encode(value: unknown): void {
    if (!(value instanceof Uint8Array)) throw new TypeError('the bytes codec takes a Uint8Array or a Buffer');
    this.buffer = value;
    this.length = value.byteLength;
  }
}

/** V8 keeps arrays of up to this many bytes on its own heap, where nothing is cheaper. */
const heapBytesMax = 64;
/** Memory of its own costs a longer message more than its copy does; up to this many bytes it shares some with others. */
const slabMessageBytesMax = 8 * 1024;
/** A message that is kept keeps this much. Larger: fewer allocations; this is where they stop to matter. */
const slabBytes = 64 * 1024;

/** One for all channels: a thousand sessions have one slab. Not transferable, which would take it from all its messages. */
let slab: ArrayBufferLike | undefined;
let slabUsed = 0;

function memoryFor(length: number): Uint8Array {
  // Not zeroed first, as `new Uint8Array(length)` is: it is written in full.
  if (length > slabMessageBytesMax) return new Uint8Array(Buffer.allocUnsafeSlow(length).buffer);
  if (slab === undefined || slabUsed + length > slabBytes) {
    slab = Buffer.allocUnsafeSlow(slabBytes).buffer;
    slabUsed = 0;
    markAsUntransferable(slab);
  }
  const memory = new Uint8Array(slab, slabUsed, length);
  slabUsed += (length + 7) & ~7;
  return memory;
}

const bytesDecoder: Decoder = {
  decode(ring, at, length) {
    if (length <= heapBytesMax) return ring.slice(at, at + length);
    const message = memoryFor(length);
    message.set(ring.subarray(at, at + length));
    return message;
  },
  learn: () => false,
};

export const codecs: Readonly<Record<CodecName, Codec>> = {
  msgpack: { encoder: () => new MsgpackEncoder(), decoder: () => new MsgpackDecoder() },
  bytes: { encoder: () => new BytesEncoder(), decoder: () => bytesDecoder },
};

/** msgpack without shapes: every message stands for itself, as it must where readers come and go. */
class PlainEncoder implements Encoder {
  buffer: Uint8Array = new Uint8Array(0);
  start = 0;
  length = 0;
  readonly structures: readonly string[][] = [];

  encode(value: unknown): void {
    const packed = plainPackr.pack(value, reuseAndReset) as Packed;
    this.buffer = packed;
    this.start = packed.start ?? 0;
    this.length = (packed.end ?? packed.length) - this.start;
  }
}

/** How a message becomes bytes for many readers, and comes out of a reader's own copy of them. */
export interface BroadcastCodec {
  encoder(): Encoder;
  /** The message in the first `length` bytes, which are the caller's and will be used again. */
  decode(bytes: Uint8Array, length: number): unknown;
}

export const broadcastCodecs: Readonly<Record<CodecName, BroadcastCodec>> = {
  msgpack: {
    encoder: () => new PlainEncoder(),
    decode(bytes, length) {
      if (length === 0) throw new RangeError('a message of no bytes is no msgpack');
      plainRange.end = length;
      return plainPackr.unpack(bytes, plainRange);
    },
  },
  bytes: {
    encoder: () => new BytesEncoder(),
    decode: (bytes, length) => bytes.slice(0, length),
  },
};

const plainRange = { start: 0, end: 0 };

const plainPackr = new Packr({
  useRecords: false,
  copyBuffers: true,
  moreTypes: true,
} as ConstructorParameters<typeof Packr>[0]);

/** Self-contained msgpack: for requests, frames and whatever has more than one reader. The result is the caller's. */
export function packPlain(value: unknown): Buffer {
  return plainPackr.pack(value);
}

/** Throws on bytes that are not one whole msgpack value. */
export function unpackPlain(bytes: Uint8Array): unknown {
  return plainPackr.unpack(bytes);
}
