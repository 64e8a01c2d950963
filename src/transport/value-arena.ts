// Value arena: values that are built in place, once, and lent by reference any number of times. A session's arena lends to
// its peer alone; one of the whole process lends to the peers of all its sessions.
import { IpcError } from '../errors.ts';
import type { ArenaStats, InPlaceCodec, Arena as PublicArena, SharedValue } from '../spec/memory.ts';
import { Arena, type Block } from './arena.ts';
import { native } from './native.ts';

/** The room in which a value is built when neither its codec nor its maker says how much it needs. */
const constructBytesDefault = 1024 * 1024;
/** A value that fills less than half of its room is moved to a block of its size, up to this size. */
const moveBytesMax = 1024 * 1024;

/** Where a value stands. */
export interface ValuePlace {
  readonly arena: Arena;
  readonly block: Block;
  readonly start: number;
  readonly bytes: number;
}

class Value<T> implements SharedValue<T> {
  readonly bytes: number;
  readonly #read: (bytes: Uint8Array) => T;
  #place: ValuePlace | undefined;

  constructor(place: ValuePlace, read: (bytes: Uint8Array) => T) {
    this.#place = place;
    this.#read = read;
    this.bytes = place.bytes;
  }

  get place(): ValuePlace {
    const place = this.#place;
    if (!place || place.arena.closed) throw IpcError.of('ERR_MEMORY_RETURNED', 'a value in an arena');
    return place;
  }

  get value(): T {
    const { arena, block, start, bytes } = this.place;
    return this.#read(arena.view(block, start, bytes));
  }

  release(): void {
    const { arena, block } = this.place;
    this.#place = undefined;
    arena.release(block, true);
  }

  [Symbol.dispose](): void {
    if (this.#place && !this.#place.arena.closed) this.release();
    this.#place = undefined;
  }
}

/**
 * Where a value stands that a session with that arena may lend.
 * @throws {IpcError} ERR_LOAN_FOREIGN, ERR_MEMORY_RETURNED.
 */
export function placeOf(value: unknown, sessionArena: Arena): ValuePlace {
  if (!(value instanceof Value)) throw IpcError.of('ERR_LOAN_FOREIGN', 'it was not made by construct()');
  const place = value.place;
  if (place.arena !== sessionArena && place.arena.scope === 'session')
    throw IpcError.of('ERR_LOAN_FOREIGN', 'it stands in the arena of another session');
  return place;
}

/** What users know as an Arena. */
export class ValueArena implements PublicArena {
  protected readonly arena: Arena;

  constructor(arena: Arena) {
    this.arena = arena;
  }

  construct<T, Input>(
    codec: InPlaceCodec<T, Input>,
    value: NoInfer<Input>,
    options: { bytes?: number } = {},
  ): SharedValue<T> {
    const { arena } = this;
    const room = arena.need(options.bytes ?? codec.bytesFor?.(value) ?? constructBytesDefault);
    let place: ValuePlace;
    try {
      const memory = arena.view(room, 0, room.size - native().layout.blockAlign);
      const written = codec.write(memory, value);
      place = settle(arena, room, memory, written);
    } catch (error) {
      arena.release(room);
      throw error;
    }
    if (place.block !== room) arena.release(room, true);
    return new Value(place, (bytes) => codec.read(bytes));
  }

  /** How much of it is used and free, in bytes. */
  stats(): ArenaStats {
    return this.arena.stats();
  }
}

/** Where the bytes stand, or a copy of them if they stand elsewhere or waste their room. */
function settle(arena: Arena, room: Block, memory: Uint8Array, written: Uint8Array): ValuePlace {
  const { byteLength: bytes } = written;
  const start = written.byteOffset - memory.byteOffset;
  const inside = written.buffer === memory.buffer && start >= 0 && start + bytes <= memory.byteLength;
  if (inside && (bytes > moveBytesMax || bytes >= memory.byteLength / 2))
    return { arena, block: room, start, bytes };
  const block = arena.need(bytes);
  arena.view(block, 0, bytes).set(written);
  return { arena, block, start: 0, bytes };
}

/** An arena of the whole process. */
export class SharedArena extends ValueArena {
  constructor(bytes: number) {
    super(new Arena('the arena', bytes, 'shared'));
  }

  /** Gives the pages of large free blocks back to the system; values that are released do so by themselves. */
  trim(): void {
    this.arena.trim();
  }

  /** Drops it whole. Peers that have borrowed from it keep that until they release it. */
  close(): void {
    this.arena.close();
  }

  /** As `close`. */
  [Symbol.dispose](): void {
    this.close();
  }
}
