// Arena mirror: what this process knows about one arena of the topology, and what it has borrowed from it. The root says what
// stands where; each segment and each block is checked here before it is read.
import { IpcError, messageOf } from '../errors.ts';
import type { InPlaceCodec } from '../spec/memory.ts';
import type { ArenaChange } from '../spec/published-arena.ts';
import type { WaitOptions } from '../spec/waiting.ts';
import { BlockReference, checkBlock } from '../transport/block-reference.ts';
import { Borrow, type BorrowedFrom, checkedView, closeView } from '../transport/borrow.ts';
import { type Frame, wholeOf } from '../transport/frame.ts';
import { segmentKind } from '../transport/link.ts';
import { type NativeSegment, native } from '../transport/native.ts';
import { closeAll } from '../transport/packet-socket.ts';
import { type Call, WaitingLine, waiting } from '../transport/waiting.ts';
import type { ArenaNews } from './declared-arena.ts';
import { placeIn } from './declared-arenas.ts';
import type { RootLink } from './root-link.ts';

/** The root reads its sockets all the time, unless somebody has stopped it. */
const releaseRetryMs = 250;

/** What a mirror needs of the root. */
export type ArenaRoot = Pick<RootLink, 'askArena' | 'tellArena' | 'countWaits' | 'onArena'>;

/** A segment of the arena, mapped here. */
interface Mapped {
  readonly number: number;
  readonly native: NativeSegment;
  readonly buffer: ArrayBuffer;
  readonly words: Uint32Array;
  readonly bytes: number;
  borrows: number;
  /** The root holds it no more; it goes with its last borrow. */
  dropped: boolean;
}

/** One who uses the arena in this process. */
export interface MirrorUser {
  /** Why it may not use it any more, if that is so. */
  refusal(): IpcError | undefined;
  changed(change: ArenaChange): void;
  /** What a writer is told; a reader has no use for it. */
  readonly news: ((news: ArenaNews) => void) | undefined;
}

/** A borrow that is not there yet. */
interface Wait {
  readonly user: MirrorUser;
  over: boolean;
  leave: () => void;
}

export class ArenaMirror implements BorrowedFrom {
  readonly name: string;
  readonly root: ArenaRoot;
  readonly users = new Set<MirrorUser>();
  readonly #names = new Map<string, number>();
  readonly #segments = new Map<number, Mapped>();
  /** By publication. */
  readonly #borrowed = new Map<number, { readonly segment: Mapped; times: number }>();
  /** Releases that the root has not been told; never more than it lets us borrow. */
  #unreleased: number[] = [];
  #retry: NodeJS.Timeout | undefined;
  readonly #waiting = new WaitingLine<Call<void> & { readonly value: string; readonly user: MirrorUser }>();

  constructor(name: string, root: ArenaRoot) {
    this.name = name;
    this.root = root;
  }

  names(): string[] {
    return [...this.#names.keys()];
  }

  /** Takes over what the root has answered. */
  learn(news: ArenaNews): void {
    const names = new Map(news.names);
    const changes: ArenaChange[] = [];
    for (const name of this.#names.keys()) if (!names.has(name)) changes.push({ name, published: false });
    for (const [name, publication] of names)
      if (this.#names.get(name) !== publication) changes.push({ name, published: true });
    this.#names.clear();
    for (const [name, publication] of names) this.#names.set(name, publication);
    const held = new Set(news.segments);
    for (const segment of this.#segments.values()) if (!held.has(segment.number)) this.#drop(segment);
    for (const user of [...this.users]) user.news?.(news);
    for (const call of this.#waiting.take(({ value }) => names.has(value))) call.resolve();
    for (const change of changes) for (const user of [...this.users]) user.changed(change);
  }

  /** Asks the root what has changed. */
  async refresh(): Promise<void> {
    const { frame } = await this.root.askArena({ t: 'arena.news', arena: this.name });
    this.learn(newsIn(frame));
  }

  /** Borrows what has that name, for one of the users. */
  borrow<T>(
    user: MirrorUser,
    value: string,
    codec: InPlaceCodec<T, never>,
    options: WaitOptions | undefined,
  ): Promise<Borrow<T>> {
    const what = `${value} of arena ${this.name}`;
    const wait: Wait = { user, over: false, leave: () => {} };
    return waiting<Borrow<T>>(`borrowing ${what}`, options, (call) => {
      this.#attempt(value, what, codec, wait).then((borrow) => {
        // Given up while the root was asked.
        if (wait.over) borrow.release();
        else call.resolve(borrow);
      }, call.reject);
      return () => {
        wait.over = true;
        wait.leave();
      };
    });
  }

  /** That user waits no more. */
  giveUp(user: MirrorUser): void {
    for (const call of this.#waiting.take((one) => one.user === user)) call.reject(user.refusal());
  }

  /** Nobody here uses it any more. */
  close(): void {
    for (const segment of this.#segments.values()) this.#drop(segment);
    this.#names.clear();
  }

  takeBack(publication: number, bytes: Uint8Array): void {
    const borrowed = this.#borrowed.get(publication)!;
    const { segment } = borrowed;
    if (bytes.buffer !== segment.buffer) closeView(bytes);
    if (--borrowed.times === 0) this.#borrowed.delete(publication);
    if (--segment.borrows === 0 && segment.dropped) this.#unmap(segment);
    this.#release(publication);
  }

  async #attempt<T>(
    value: string,
    what: string,
    codec: InPlaceCodec<T, never>,
    wait: Wait,
  ): Promise<Borrow<T>> {
    for (;;) {
      const refused = wait.user.refusal();
      if (refused) throw refused;
      if (!this.#names.has(value)) await this.#published(value, what, wait);
      const { frame, fds } = await this.root.askArena({ t: 'arena.borrow', arena: this.name, name: value });
      if (frame.publication !== null) return this.#take(what, frame, fds, codec);
      closeAll(fds);
      // Unpublished since we have heard of it.
      if (this.#names.has(value)) await this.refresh();
    }
  }

  async #published(value: string, what: string, wait: Wait): Promise<void> {
    if (this.#waiting.full) throw IpcError.of('ERR_CHANNEL_BUSY', what, this.#waiting.length);
    this.root.countWaits(1);
    try {
      await new Promise<void>((resolve, reject) => {
        const leave = this.#waiting.join({ value, user: wait.user, resolve, reject });
        wait.leave = () => {
          leave();
          reject(IpcError.of('ERR_ARENA_CLOSED', this.name));
        };
        if (wait.over) wait.leave();
      });
    } finally {
      wait.leave = () => {};
      this.root.countWaits(-1);
    }
  }

  /** The root counts this borrow already. */
  #take<T>(what: string, frame: Frame, fds: number[], codec: InPlaceCodec<T, never>): Borrow<T> {
    const publication = wholeOf(frame, 'publication');
    try {
      const reference = Object.assign(new BlockReference(), placeIn(frame));
      const segment = this.#mapped(reference.segment, wholeOf(frame, 'segmentBytes'), fds);
      checkBlock(reference, segment.words, segment.bytes, native().layout);
      const at = reference.offset + reference.start;
      const view =
        checkedView(segment.native, at, reference.bytes) ??
        new Uint8Array(segment.buffer, at, reference.bytes);
      const borrowed = this.#borrowed.get(publication);
      if (borrowed) borrowed.times++;
      else this.#borrowed.set(publication, { segment, times: 1 });
      segment.borrows++;
      return new Borrow(what, view, (bytes) => codec.read(bytes), this, publication);
    } catch (error) {
      closeAll(fds);
      this.#release(publication);
      throw IpcError.from(error, 'ERR_ARENA_REFUSED', this.name, what, messageOf(error));
    }
  }

  /** Tells the root, now or when it reads again: a root that is stopped makes no release fail. */
  #release(publication: number): void {
    this.#unreleased.push(publication);
    this.#tellReleases();
  }

  readonly #tellReleases = (): void => {
    clearTimeout(this.#retry);
    if (this.#unreleased.length === 0) return;
    try {
      this.root.tellArena({ t: 'arena.release', arena: this.name, publications: this.#unreleased });
      this.#unreleased = [];
    } catch {
      this.#retry = setTimeout(this.#tellReleases, releaseRetryMs).unref();
    }
  };

  #mapped(number: number, bytes: number, fds: number[]): Mapped {
    const known = this.#segments.get(number);
    if (known) {
      closeAll(fds);
      return known;
    }
    const fd = fds.shift();
    if (fd === undefined) throw new Error('it came without its memory');
    const segment = new (native().Segment)(segmentKind.arena, fd, bytes, bytes);
    segment.closeFile();
    segment.name(`memory published in arena ${this.name}`, []);
    const { buffer } = segment;
    const words = new Uint32Array(buffer);
    const mapped = { number, native: segment, buffer, words, bytes, borrows: 0, dropped: false };
    this.#segments.set(number, mapped);
    return mapped;
  }

  #drop(segment: Mapped): void {
    segment.dropped = true;
    if (segment.borrows === 0) this.#unmap(segment);
  }

  #unmap(segment: Mapped): void {
    if (this.#segments.get(segment.number) === segment) this.#segments.delete(segment.number);
    segment.native.close();
  }
}

/** The root's answer, which is trusted to make sense. */
export function newsIn(frame: Frame): ArenaNews {
  return frame as unknown as ArenaNews;
}
