// Declared arena: what the root knows about one arena of the topology. It holds the segments that writers have handed over,
// says which value stands under which name, and counts who borrows what. It reads none of the memory.
//
// A segment is written by one process alone. It is dropped when that process writes no more and nothing of it is published or
// borrowed. A borrow ends by its borrower's word or proven death. The writer uses a block again only when the root has told it
// that nothing of it is published or borrowed.
import type { ResourceFigures } from '../actors/hosting.ts';
import { IpcError, messageOf } from '../errors.ts';
import type { BlockReference } from '../transport/block-reference.ts';
import { segmentKind } from '../transport/link.ts';
import { type NativeSegment, native } from '../transport/native.ts';

/** A process of the tree that uses arenas. */
export interface ArenaUser {
  readonly pid: number;
  /** Tells it to ask what has changed. */
  notify(arena: string): void;
}

/** Where a published value stands. */
export type ArenaPlace = Pick<BlockReference, 'segment' | 'offset' | 'start' | 'bytes' | 'generation'>;

/** What a user is told when it asks what has changed. */
export interface ArenaNews {
  /** Each published name, and the number of its publication. */
  readonly names: [name: string, publication: number][];
  /** Segments that are held; a reader needs no others. */
  readonly segments: number[];
  /** To the writer: publications whose blocks are its own again. */
  readonly freed: number[];
  /** To the writer: the most that its own segments may take. */
  readonly room: number;
}

interface HeldSegment {
  readonly number: number;
  readonly native: NativeSegment;
  readonly bytes: number;
  /** Publications that stand in it, and still count. */
  publications: number;
  /** Undefined once its writer writes no more. */
  writer: ArenaUser | undefined;
}

interface Publication {
  readonly number: number;
  readonly name: string;
  readonly place: ArenaPlace;
  readonly segment: HeldSegment;
  readonly borrows: Map<ArenaUser, number>;
  published: boolean;
}

/** With 64 characters each, they fit into one packet. */
const arenaNamesMax = 1024;
/** Published, borrowed after that, or free without the writer's knowing. */
const publicationsMax = 4096;
/** Of one process. */
export const arenaBorrowsMax = 1024;
/** Each is a descriptor of the root. A writer's segments double, so this is for many writers one after another. */
const segmentsMax = 256;

export class DeclaredArena {
  readonly name: string;
  readonly #bytes: number;
  readonly #segments = new Map<number, HeldSegment>();
  readonly #names = new Map<string, Publication>();
  readonly #publications = new Map<number, Publication>();
  readonly #openers = new Set<ArenaUser>();
  /** Told that something has changed, and has not asked since. */
  readonly #notified = new Set<ArenaUser>();
  readonly #borrows = new Map<ArenaUser, number>();
  #writer: ArenaUser | undefined;
  #freed: number[] = [];
  #nextSegment = 0;
  #nextPublication = 1;

  constructor(name: string, bytes: number) {
    this.name = name;
    this.#bytes = bytes;
  }

  /** From now on that process is told of changes. */
  open(user: ArenaUser): void {
    this.#openers.add(user);
  }

  /** It wants to hear no more; its borrows stay. */
  leave(user: ArenaUser): void {
    this.#openers.delete(user);
    this.#notified.delete(user);
  }

  /** @throws {IpcError} ERR_ARENA_WRITTEN. */
  write(user: ArenaUser): void {
    if (this.#writer) throw IpcError.of('ERR_ARENA_WRITTEN', this.name, this.#writer.pid);
    this.#writer = user;
  }

  /** It writes no more; what it has published stays. */
  resign(user: ArenaUser): void {
    if (this.#writer !== user) return;
    this.#writer = undefined;
    this.#freed = [];
    for (const segment of this.#segments.values()) {
      if (segment.writer !== user) continue;
      segment.writer = undefined;
      this.#dropIfUnused(segment);
    }
  }

  /**
   * Holds a segment of the writer; the descriptor is ours from now on, also if this throws.
   * @returns its number.
   * @throws {IpcError} ERR_ARENA_FULL, ERR_ARENA_LIMIT, ERR_ARENA_REFUSED. @throws an Error if that process is no writer.
   */
  addSegment(user: ArenaUser, bytes: number, fd: number): number {
    const left = this.#bytes - this.#heldBytes();
    const refusal =
      this.#writer !== user
        ? new Error(`process ${user.pid} does not write arena ${this.name}`)
        : bytes > left
          ? IpcError.of('ERR_ARENA_FULL', `arena ${this.name}`, bytes, left)
          : this.#segments.size >= segmentsMax
            ? IpcError.of('ERR_ARENA_LIMIT', this.name, segmentsMax, 'segments')
            : undefined;
    if (refusal) {
      native().closeFd(fd);
      throw refusal;
    }
    let segment: NativeSegment;
    try {
      segment = new (native().Segment)(segmentKind.arena, fd, bytes, left);
    } catch (error) {
      throw IpcError.from(error, 'ERR_ARENA_REFUSED', this.name, 'a segment', messageOf(error));
    }
    const number = this.#nextSegment++;
    this.#segments.set(number, { number, native: segment, bytes, publications: 0, writer: user });
    return number;
  }

  /**
   * @returns the number of the publication.
   * @throws {IpcError} ERR_ARENA_LIMIT. @throws an Error if the place makes no sense, or the segment is not of that process.
   */
  publish(user: ArenaUser, name: string, place: ArenaPlace): number {
    const segment = this.#segments.get(place.segment);
    if (this.#writer !== user || segment?.writer !== user)
      throw new Error(`process ${user.pid} does not write segment ${place.segment} of arena ${this.name}`);
    const { lineBytes, blockAlign } = native().layout;
    const { offset, start, bytes } = place;
    if (
      offset % blockAlign !== 0 ||
      offset < lineBytes + blockAlign ||
      offset + start + bytes > segment.bytes
    )
      throw new Error(`a value outside of segment ${place.segment} of arena ${this.name}`);
    if (!this.#names.has(name) && this.#names.size >= arenaNamesMax)
      throw IpcError.of('ERR_ARENA_LIMIT', this.name, arenaNamesMax, 'published names');
    if (this.#publications.size + this.#freed.length >= publicationsMax)
      throw IpcError.of('ERR_ARENA_LIMIT', this.name, publicationsMax, 'values that wait for a borrower');
    const number = this.#nextPublication++;
    const earlier = this.#names.get(name);
    const publication = { number, name, place, segment, borrows: new Map(), published: true };
    segment.publications++;
    this.#publications.set(number, publication);
    this.#names.set(name, publication);
    if (earlier) this.#retract(earlier);
    this.#tellAll();
    return number;
  }

  /** @returns whether there was such a name. @throws an Error if that process is no writer. */
  unpublish(user: ArenaUser, name: string): boolean {
    if (this.#writer !== user) throw new Error(`process ${user.pid} does not write arena ${this.name}`);
    const publication = this.#names.get(name);
    if (!publication) return false;
    this.#names.delete(name);
    this.#retract(publication);
    this.#tellAll();
    return true;
  }

  /**
   * Counts one more borrow of what has that name.
   * @returns undefined if nothing has. The descriptor stays ours.
   * @throws {IpcError} ERR_ARENA_LIMIT.
   */
  borrow(
    user: ArenaUser,
    name: string,
  ): { publication: number; place: ArenaPlace; segmentBytes: number; fd: number } | undefined {
    const publication = this.#names.get(name);
    if (!publication) return undefined;
    const borrows = this.#borrows.get(user) ?? 0;
    if (borrows >= arenaBorrowsMax)
      throw IpcError.of('ERR_ARENA_LIMIT', this.name, arenaBorrowsMax, 'borrows of this process');
    this.#borrows.set(user, borrows + 1);
    publication.borrows.set(user, (publication.borrows.get(user) ?? 0) + 1);
    const { number, place, segment } = publication;
    return { publication: number, place, segmentBytes: segment.bytes, fd: segment.native.fd };
  }

  /** @throws an Error if that process has borrowed no such thing. */
  release(user: ArenaUser, number: number): void {
    const publication = this.#publications.get(number);
    const times = publication?.borrows.get(user);
    if (!publication || times === undefined)
      throw new Error(`process ${user.pid} releases what it has not borrowed from arena ${this.name}`);
    this.#countBack(user, 1);
    if (times > 1) publication.borrows.set(user, times - 1);
    else publication.borrows.delete(user);
    this.#freeIfUnused(publication);
  }

  /** That process is proven dead. */
  ended(user: ArenaUser): void {
    this.leave(user);
    this.#borrows.delete(user);
    for (const publication of [...this.#publications.values()])
      if (publication.borrows.delete(user)) this.#freeIfUnused(publication);
    this.resign(user);
  }

  /** What that process should know. Whoever asks is told of the next change anew. */
  news(user: ArenaUser): ArenaNews {
    this.#notified.delete(user);
    const writes = this.#writer === user;
    const freed = writes ? this.#freed.splice(0) : [];
    return {
      names: [...this.#names].map(([name, { number }]) => [name, number]),
      segments: [...this.#segments.keys()],
      freed,
      room: writes ? this.#bytes - this.#heldBytes(user) : 0,
    };
  }

  figures(): ResourceFigures {
    const borrows = [...this.#borrows.values()].reduce((sum, count) => sum + count, 0);
    const users = new Set([
      ...this.#openers,
      ...this.#borrows.keys(),
      ...(this.#writer ? [this.#writer] : []),
    ]);
    return {
      kind: 'arena',
      name: this.name,
      region: null,
      pids: [...new Set([...users].map(({ pid }) => pid))],
      counts: 'bytes',
      depth: this.#heldBytes(),
      capacity: this.#bytes,
      drops: null,
      facts: {
        names: this.#names.size,
        publications: this.#publications.size,
        borrows,
        segments: this.#segments.size,
        writer: this.#writer?.pid ?? 'none',
      },
    };
  }

  /** The tree ends. */
  close(): void {
    for (const { native: segment } of this.#segments.values()) segment.close();
    this.#segments.clear();
    this.#names.clear();
    this.#publications.clear();
    this.#openers.clear();
  }

  #heldBytes(without?: ArenaUser): number {
    let held = 0;
    for (const { bytes, writer } of this.#segments.values())
      if (without === undefined || writer !== without) held += bytes;
    return held;
  }

  #countBack(user: ArenaUser, times: number): void {
    const left = (this.#borrows.get(user) ?? 0) - times;
    if (left > 0) this.#borrows.set(user, left);
    else this.#borrows.delete(user);
  }

  #retract(publication: Publication): void {
    publication.published = false;
    this.#freeIfUnused(publication);
  }

  #freeIfUnused(publication: Publication): void {
    const { number, segment, borrows, published } = publication;
    if (published || borrows.size > 0) return;
    this.#publications.delete(number);
    segment.publications--;
    if (segment.writer) {
      this.#freed.push(number);
      this.#tell(segment.writer);
    } else this.#dropIfUnused(segment);
  }

  #dropIfUnused(segment: HeldSegment): void {
    if (segment.writer || segment.publications > 0) return;
    this.#segments.delete(segment.number);
    segment.native.close();
    // Readers unmap it, and the writer has more room.
    this.#tellAll();
  }

  #tellAll(): void {
    for (const user of this.#openers) this.#tell(user);
  }

  /** At most one such word is on its way to each process, however much changes. */
  #tell(user: ArenaUser): void {
    if (!this.#openers.has(user) || this.#notified.has(user)) return;
    this.#notified.add(user);
    try {
      user.notify(this.name);
    } catch {
      // It leaves too much unread; it hears of the next change.
      this.#notified.delete(user);
    }
  }
}
