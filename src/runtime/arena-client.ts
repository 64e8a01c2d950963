// Arena client: the arenas of the topology as a process of the tree uses them. One mirror for each arena, which all that read
// it share; and the writing end, whose memory is an arena of this process.
import { IpcError } from '../errors.ts';
import { isName, nameRule } from '../names.ts';
import type { Borrowed, InPlaceCodec, SharedValue } from '../spec/memory.ts';
import type { ArenaChange, ArenaReader, ArenaWriter } from '../spec/published-arena.ts';
import type { WaitOptions } from '../spec/waiting.ts';
import { Arena, type ArenaSegment, type Block } from '../transport/arena.ts';
import { wholeOf } from '../transport/frame.ts';
import { placeOf, ValueArena } from '../transport/value-arena.ts';
import { waiting } from '../transport/waiting.ts';
import { ArenaMirror, type ArenaRoot, type MirrorUser, newsIn } from './arena-mirror.ts';
import type { ArenaNews } from './declared-arena.ts';

/** The arenas that this process has open. */
export class ArenaClient {
  readonly #root: ArenaRoot;
  readonly #mirrors = new Map<string, Promise<ArenaMirror>>();
  readonly #open = new Set<{ close(): void }>();

  constructor(root: ArenaRoot) {
    this.#root = root;
    root.onArena((arena) => {
      // An arena that nobody here uses any more, or that the root no longer talks about: then it has told all.
      this.#mirrors.get(arena)?.then((mirror) => mirror.refresh().catch(() => {}));
    });
  }

  /** @throws {IpcError} ERR_ARENA_UNKNOWN. */
  async read(name: string): Promise<ArenaReader> {
    const mirror = await this.#mirror(name);
    return this.#opened(new MirrorReader(mirror, (closed) => this.#closed(mirror, closed)));
  }

  /** @throws {IpcError} ERR_ARENA_UNKNOWN, ERR_ARENA_WRITTEN. */
  async write(name: string): Promise<ArenaWriter> {
    const mirror = await this.#mirror(name);
    // Counts as a user from now on, so that the mirror stays.
    const writer = new MirrorWriter(mirror, (closed) => this.#closed(mirror, closed));
    try {
      const { frame } = await this.#root.askArena({ t: 'arena.write', arena: name });
      writer.begin(newsIn(frame));
    } catch (error) {
      writer.abandon();
      throw error;
    }
    return this.#opened(writer);
  }

  close(): void {
    for (const one of [...this.#open]) one.close();
  }

  #opened<T extends { close(): void }>(one: T): T {
    this.#open.add(one);
    return one;
  }

  #mirror(name: string): Promise<ArenaMirror> {
    if (!isName(name)) throw new TypeError(nameRule);
    const known = this.#mirrors.get(name);
    if (known) return known;
    const opening = this.#root.askArena({ t: 'arena.open', arena: name }).then(({ frame }) => {
      const mirror = new ArenaMirror(name, this.#root);
      mirror.learn(newsIn(frame));
      return mirror;
    });
    this.#mirrors.set(name, opening);
    opening.catch(() => this.#mirrors.delete(name));
    return opening;
  }

  #closed(mirror: ArenaMirror, closed: { close(): void }): void {
    this.#open.delete(closed);
    if (mirror.users.size > 0) return;
    this.#mirrors.delete(mirror.name);
    mirror.close();
    this.#root.tellArena({ t: 'arena.leave', arena: mirror.name });
  }
}

/** One who reads: what both ends have in common. */
class Reading implements MirrorUser {
  news: ((news: ArenaNews) => void) | undefined;
  readonly mirror: ArenaMirror;
  readonly #listeners = new Set<(change: ArenaChange) => void>();
  #closed = false;

  constructor(mirror: ArenaMirror) {
    this.mirror = mirror;
    mirror.users.add(this);
  }

  refusal(): IpcError | undefined {
    return this.#closed ? IpcError.of('ERR_ARENA_CLOSED', this.mirror.name) : undefined;
  }

  changed(change: ArenaChange): void {
    for (const listener of [...this.#listeners]) listener(change);
  }

  /** Who listens keeps the process running. */
  onChange(listener: (change: ArenaChange) => void): () => void {
    const refused = this.refusal();
    if (refused) throw refused;
    // Two of the same function are two.
    const own = (change: ArenaChange) => listener(change);
    this.#listeners.add(own);
    this.mirror.root.countWaits(1);
    return () => {
      if (this.#listeners.delete(own)) this.mirror.root.countWaits(-1);
    };
  }

  /** @returns false if it was closed before. */
  close(): boolean {
    if (this.#closed) return false;
    this.#closed = true;
    this.mirror.users.delete(this);
    this.mirror.root.countWaits(-this.#listeners.size);
    this.#listeners.clear();
    this.mirror.giveUp(this);
    return true;
  }
}

class MirrorReader implements ArenaReader {
  readonly name: string;
  readonly #reading: Reading;
  readonly #onClosed: (closed: MirrorReader) => void;

  constructor(mirror: ArenaMirror, onClosed: (closed: MirrorReader) => void) {
    this.name = mirror.name;
    this.#reading = new Reading(mirror);
    this.#onClosed = onClosed;
  }

  names(): string[] {
    return this.#reading.mirror.names();
  }

  borrow<T>(name: string, codec: InPlaceCodec<T, never>, options?: WaitOptions): Promise<Borrowed<T>> {
    return this.#reading.mirror.borrow(this.#reading, checkedName(name), codec, options);
  }

  onChange(listener: (change: ArenaChange) => void): () => void {
    return this.#reading.onChange(listener);
  }

  close(): void {
    if (this.#reading.close()) this.#onClosed(this);
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

class MirrorWriter extends ValueArena implements ArenaWriter {
  readonly name: string;
  readonly #mirror: ArenaMirror;
  readonly #reading: Reading;
  readonly #onClosed: (closed: MirrorWriter) => void;
  /** Segments that the root holds, or is asked to. */
  readonly #handed = new Map<ArenaSegment, Promise<number>>();
  /** By publication: blocks that we may not use again. */
  readonly #held = new Map<number, Block>();

  constructor(mirror: ArenaMirror, onClosed: (closed: MirrorWriter) => void) {
    super(new Arena(`arena ${mirror.name}`, 0, 'shared'));
    this.name = mirror.name;
    this.#mirror = mirror;
    this.#reading = new Reading(mirror);
    this.#onClosed = onClosed;
  }

  /** The root lets us write. */
  begin(news: ArenaNews): void {
    this.#reading.news = (later) => this.#learn(later);
    this.#learn(news);
    this.#mirror.learn(news);
  }

  /** The root does not. */
  abandon(): void {
    this.arena.close();
    if (this.#reading.close()) this.#onClosed(this);
  }

  names(): string[] {
    return this.#mirror.names();
  }

  borrow<T>(name: string, codec: InPlaceCodec<T, never>, options?: WaitOptions): Promise<Borrowed<T>> {
    return this.#mirror.borrow(this.#reading, checkedName(name), codec, options);
  }

  onChange(listener: (change: ArenaChange) => void): () => void {
    return this.#reading.onChange(listener);
  }

  override construct<T, Input>(
    codec: InPlaceCodec<T, Input>,
    value: NoInfer<Input>,
    options?: { bytes?: number },
  ): SharedValue<T> {
    this.#refuseIfClosed();
    return super.construct(codec, value, options);
  }

  publish(name: string, value: SharedValue, options?: WaitOptions): Promise<void> {
    return this.#answered(`publishing ${name}`, options, () => this.#publish(checkedName(name), value));
  }

  unpublish(name: string, options?: WaitOptions): Promise<boolean> {
    return this.#answered(`unpublishing ${name}`, options, async () => {
      const frame = { t: 'arena.unpublish', arena: this.name, name: checkedName(name) };
      const answer = await this.#mirror.root.askArena(frame);
      await this.#mirror.refresh();
      return answer.frame.was === true;
    });
  }

  close(): void {
    if (!this.#reading.close()) return;
    // Who has borrowed keeps it, as the root does.
    this.arena.close();
    this.#held.clear();
    this.#mirror.root.tellArena({ t: 'arena.resign', arena: this.name });
    this.#onClosed(this);
  }

  [Symbol.dispose](): void {
    this.close();
  }

  async #publish(name: string, value: SharedValue): Promise<void> {
    const { arena, block, start, bytes } = placeOf(value, this.arena);
    if (arena !== this.arena)
      throw IpcError.of('ERR_LOAN_FOREIGN', `it does not stand in arena ${this.name}`);
    arena.seal(block, start, bytes);
    arena.hold(block);
    try {
      const segment = await this.#hand(block.segment);
      this.#refuseIfClosed();
      const { offset, generation } = block;
      const place = { segment, offset, start, bytes, generation };
      const frame = { t: 'arena.publish', arena: this.name, name, ...place };
      const answer = await this.#mirror.root.askArena(frame);
      this.#held.set(wholeOf(answer.frame, 'publication'), block);
    } catch (error) {
      arena.release(block);
      throw error;
    }
    // So that whoever has published a name sees it.
    await this.#mirror.refresh();
  }

  #hand(segment: ArenaSegment): Promise<number> {
    const known = this.#handed.get(segment);
    if (known) return known;
    const { bytes, native } = segment;
    const frame = { t: 'arena.segment', arena: this.name, bytes };
    const handing = this.#mirror.root
      .askArena(frame, [native.fd])
      .then((answer) => wholeOf(answer.frame, 'segment'));
    this.#handed.set(segment, handing);
    // There may be room for it later.
    handing.catch(() => this.#handed.delete(segment));
    return handing;
  }

  #learn({ freed, room }: ArenaNews): void {
    this.arena.limit = room;
    for (const publication of freed) {
      const block = this.#held.get(publication);
      this.#held.delete(publication);
      if (block) this.arena.release(block, true);
    }
  }

  #answered<T>(what: string, options: WaitOptions | undefined, ask: () => Promise<T>): Promise<T> {
    return waiting<T>(`${what} in arena ${this.name}`, options, (call) => {
      const asking = async () => {
        this.#refuseIfClosed();
        return ask();
      };
      asking().then(call.resolve, call.reject);
      return () => {};
    });
  }

  #refuseIfClosed(): void {
    const refused = this.#reading.refusal();
    if (refused) throw refused;
  }
}

function checkedName(name: string): string {
  if (!isName(name)) throw new TypeError(nameRule);
  return name;
}
