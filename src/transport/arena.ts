// Arena: the memory that this process writes and lends. Blocks of 64-byte steps in sealed segments; a segment is added when
// none has room, and nothing moves. All book-keeping is here, in private memory: a peer can't break it and a crash can't
// tear it. What stands in shared memory is one header per block, for the reader to check a reference by.
//
// Best fit within a size class, the next class otherwise; neighbours are joined when they are free. Each step touches a
// bounded number of blocks. The last few freed blocks stay as they are: who writes one message after another of a size gets
// the block back that is in the caches, with its view, and nothing is cut or joined.
import { IpcError, messageOf } from '../errors.ts';
import type { ArenaStats } from '../spec/memory.ts';
import { type NativeSegment, native } from './native.ts';
import { type PeerProcess, whenEnded } from './peer-process.ts';

/** The first segment; each further one is as large as all before it together, up to the limit. */
const segmentBytesFirst = 1024 * 1024;
/** The largest segment: the largest buffer of Node.js 20, less a page of any machine. */
const segmentBytesMax = 2 ** 32 - 65_536;
/** A free block gives its pages back from this size on; below, the calls cost more than the memory is worth. */
const giveBackBytesMin = 1024 * 1024;
/** Free blocks of one size class that are compared; the next class has room for sure. */
const comparedMax = 32;
/** Freed blocks that are not joined yet: as many as are looked through faster than a block is cut and joined. */
const recentMax = 8;

/** One piece of an arena's memory. `number` counts within the arena. */
export interface ArenaSegment {
  readonly native: NativeSegment;
  /** Its memory, kept here since asking the addon costs more than a view. */
  readonly buffer: ArrayBuffer;
  readonly bytes: number;
  readonly number: number;
  readonly words: Uint32Array;
}

/** A stretch of a segment, in use or free: a header and the bytes behind it. */
export class Block {
  readonly segment: ArenaSegment;
  /** Where the header begins. */
  readonly at: number;
  /** Where the bytes begin, counted from the start of the segment. */
  readonly offset: number;
  /** With the header. */
  size: number;
  /** Different for each use; 0 while it is free. */
  generation = 0;
  /** Those who need it: its maker, and each peer that it is lent to. */
  holds = 0;
  /** In a list of free blocks, so a neighbour may join it. */
  listed = false;
  before: Block | undefined;
  after: Block | undefined;
  previousFree: Block | undefined;
  nextFree: Block | undefined;
  /** The last view from its start, for whoever wants the same again. */
  view: Uint8Array | undefined;

  constructor(segment: ArenaSegment, at: number, size: number) {
    this.segment = segment;
    this.at = at;
    this.offset = at + native().layout.blockAlign;
    this.size = size;
  }
}

/** Whom an arena lends to: the one peer of its session, or the peers of all sessions. */
export type ArenaScope = 'session' | 'shared';

export class Arena {
  readonly scope: ArenaScope;
  readonly #what: string;
  #bytesMax: number;
  readonly #segmentBytesMin: number;
  readonly #align = native().layout.blockAlign;
  readonly #segments: ArenaSegment[] = [];
  /** Free blocks by the power of two of their size. */
  readonly #free: (Block | undefined)[] = new Array(33).fill(undefined);
  /** Freed, but neither listed nor joined; the last freed stands last. */
  readonly #recent: Block[] = [];
  readonly #layout = native().layout;
  #mapped = 0;
  #used = 0;
  #generation = 0;
  #closed = false;
  readonly #watches = new Set<() => void>();

  /** @param blockBytesMin so large a block has room in any segment. */
  constructor(what: string, bytesMax: number, scope: ArenaScope, blockBytesMin = 0) {
    this.scope = scope;
    this.#what = what;
    this.#bytesMax = Math.max(0, bytesMax);
    this.#segmentBytesMin = Math.max(segmentBytesFirst, this.#sizeOf(blockBytesMin) + this.#align * 2);
  }

  /** What it may take from now on; what it has already, it keeps. */
  set limit(bytes: number) {
    this.#bytesMax = Math.max(0, bytes);
  }

  get closed(): boolean {
    return this.#closed;
  }

  /**
   * A block for that many bytes, held once.
   * @returns undefined if there is no room within the limit.
   * @throws {IpcError} ERR_SYSTEM if the kernel gives no memory.
   */
  allocate(bytes: number): Block | undefined {
    if (this.#closed || bytes > this.#bytesMax) return undefined;
    const size = this.#sizeOf(bytes);
    const block = this.#takeRecent(size) ?? this.#takeListed(size);
    if (!block) return undefined;
    this.#generation = (this.#generation + 1) >>> 0 || 1;
    block.generation = this.#generation;
    block.holds = 1;
    this.#used += block.size;
    return block;
  }

  /** @throws {IpcError} ERR_ARENA_FULL */
  need(bytes: number): Block {
    const block = this.allocate(bytes);
    if (!block) throw this.full(bytes);
    return block;
  }

  full(bytes: number): IpcError {
    return IpcError.of('ERR_ARENA_FULL', this.#what, bytes, this.stats().largest);
  }

  /** The bytes of a block, from `start` on. */
  view(block: Block, start: number, bytes: number): Uint8Array {
    if (start !== 0) return new Uint8Array(block.segment.buffer, block.offset + start, bytes);
    const { view } = block;
    if (view !== undefined && view.length === bytes) return view;
    block.view = new Uint8Array(block.segment.buffer, block.offset, bytes);
    return block.view;
  }

  /** Writes what a reader compares a reference with. Call it before the reference can reach anybody. */
  seal(block: Block, start: number, bytes: number): void {
    const { blockGenerationOffset, blockStartOffset, blockBytesOffset } = this.#layout;
    const { words } = block.segment;
    words[(block.at + blockStartOffset) >>> 2] = start;
    words[(block.at + blockBytesOffset) >>> 2] = bytes;
    words[(block.at + blockGenerationOffset) >>> 2] = block.generation;
  }

  hold(block: Block): void {
    block.holds++;
  }

  /** One needs it no longer; the last one frees it. @param giveBack whether the pages of a large one go to the system. */
  release(block: Block, giveBack = false): void {
    if (this.#closed || --block.holds > 0) return;
    const { segment, at, size } = block;
    this.#used -= size;
    block.generation = 0;
    segment.words[(at + this.#layout.blockGenerationOffset) >>> 2] = 0;
    if (giveBack && size >= giveBackBytesMin) {
      segment.native.giveBack(at, size);
      this.#join(block);
      return;
    }
    if (this.#recent.length === recentMax) this.#join(this.#recent.shift()!);
    this.#recent.push(block);
  }

  /**
   * Frees blocks when that process is proven dead, unless the arena is closed before.
   * @throws the addon's error if the kernel gives no descriptor for the process.
   */
  releaseAfter(peer: PeerProcess, blocks: Block[]): void {
    let over = false;
    let cancel: (() => void) | undefined;
    cancel = whenEnded(peer, () => {
      over = true;
      if (cancel) this.#watches.delete(cancel);
      for (const block of blocks) this.release(block);
    });
    if (!over) this.#watches.add(cancel);
  }

  /** Gives the pages of all large free blocks back to the system. */
  trim(): void {
    this.#joinRecent();
    for (const list of this.#free)
      for (let block = list; block; block = block.nextFree)
        if (block.size >= giveBackBytesMin) block.segment.native.giveBack(block.at, block.size);
  }

  stats(): ArenaStats {
    this.#joinRecent();
    let largest = this.#roomToGrow() - this.#align * 2;
    for (const list of this.#free)
      for (let block = list; block; block = block.nextFree) largest = Math.max(largest, block.size);
    return {
      used: this.#used,
      free: this.#closed ? 0 : Math.max(0, this.#bytesMax - this.#used),
      largest: this.#closed ? 0 : Math.max(0, largest - this.#align),
      segments: this.#segments.length,
    };
  }

  /** Unmaps all of it here. Peers that have it mapped keep it until they let go. */
  close(): void {
    this.#closed = true;
    for (const cancel of this.#watches) cancel();
    this.#watches.clear();
    for (const { native: segment } of this.#segments.splice(0)) segment.close();
    this.#free.fill(undefined);
    this.#recent.length = 0;
    this.#used = 0;
  }

  /** With its header, in whole steps. */
  #sizeOf(bytes: number): number {
    return Math.ceil(Math.max(bytes, 1) / this.#align) * this.#align + this.#align;
  }

  /** Of exactly that size, so that nothing is cut; the last freed first, which the caches still hold. */
  #takeRecent(size: number): Block | undefined {
    const recent = this.#recent;
    for (let at = recent.length - 1; at >= 0; at--) {
      const block = recent[at]!;
      if (block.size !== size) continue;
      if (at === recent.length - 1) recent.pop();
      else recent.splice(at, 1);
      return block;
    }
    return undefined;
  }

  #takeListed(size: number): Block | undefined {
    let block = this.#find(size);
    if (!block && this.#recent.length > 0) {
      // Joined, they may have room for it.
      this.#joinRecent();
      block = this.#find(size);
    }
    block ??= this.#grow(size);
    if (!block) return undefined;
    this.#unlist(block);
    this.#split(block, size);
    return block;
  }

  #joinRecent(): void {
    for (const block of this.#recent) this.#join(block);
    this.#recent.length = 0;
  }

  #find(size: number): Block | undefined {
    if (size > segmentBytesMax) return undefined;
    const first = classOf(size);
    const best = bestOf(this.#free[first], size, comparedMax);
    if (best) return best;
    for (let above = first + 1; above < this.#free.length; above++)
      if (this.#free[above]) return this.#free[above];
    // Rather than add a segment, or fail: what the comparison above has not reached.
    return bestOf(this.#free[first], size, Number.POSITIVE_INFINITY);
  }

  #roomToGrow(): number {
    return Math.min(Math.floor((this.#bytesMax - this.#mapped) / 65_536) * 65_536, segmentBytesMax);
  }

  #grow(size: number): Block | undefined {
    const { lineBytes } = native().layout;
    const room = this.#roomToGrow();
    if (size + lineBytes > room) return undefined;
    const wanted = Math.max(size + lineBytes, this.#segmentBytesMin, this.#mapped);
    let segment: NativeSegment;
    try {
      segment = new (native().Segment)(Math.min(wanted, room));
    } catch (error) {
      throw IpcError.from(error, 'ERR_SYSTEM', `adding memory to ${this.#what}`, messageOf(error));
    }
    const { bytes, buffer } = segment;
    const words = new Uint32Array(buffer);
    const added: ArenaSegment = { native: segment, buffer, bytes, number: this.#segments.length, words };
    this.#segments.push(added);
    this.#mapped += bytes;
    const block = new Block(added, lineBytes, bytes - lineBytes);
    this.#list(block);
    return block;
  }

  /** Cuts off what is more than `size`, if a block of its own can be made of it. */
  #split(block: Block, size: number): void {
    if (block.size - size < this.#align * 2) return;
    const rest = new Block(block.segment, block.at + size, block.size - size);
    rest.before = block;
    rest.after = block.after;
    if (rest.after) rest.after.before = rest;
    block.after = rest;
    block.size = size;
    this.#list(rest);
  }

  #join(block: Block): void {
    let joined = block;
    const { before, after } = block;
    if (after?.listed) {
      this.#unlist(after);
      joined.size += after.size;
      joined.after = after.after;
    }
    if (before?.listed) {
      this.#unlist(before);
      before.size += joined.size;
      before.after = joined.after;
      joined = before;
    }
    if (joined.after) joined.after.before = joined;
    this.#list(joined);
  }

  #list(block: Block): void {
    const index = classOf(block.size);
    const first = this.#free[index];
    block.listed = true;
    block.view = undefined;
    block.nextFree = first;
    if (first) first.previousFree = block;
    this.#free[index] = block;
  }

  #unlist(block: Block): void {
    if (block.previousFree) block.previousFree.nextFree = block.nextFree;
    else this.#free[classOf(block.size)] = block.nextFree;
    if (block.nextFree) block.nextFree.previousFree = block.previousFree;
    block.previousFree = undefined;
    block.nextFree = undefined;
    block.listed = false;
  }
}

function classOf(size: number): number {
  return 31 - Math.clz32(size);
}

/** The smallest of the first `count` blocks that has room. */
function bestOf(list: Block | undefined, size: number, count: number): Block | undefined {
  let best: Block | undefined;
  for (let block = list, left = count; block && left > 0; block = block.nextFree, left--)
    if (block.size >= size && (!best || block.size < best.size)) best = block;
  return best;
}
