// Region place: where the users of one region find each other. A folder in the run directory holds who hands the region on
// (one socket for each user), the bells of its users, and a file that says which creation of the region counts. The users of
// a cache find each other in the same way.
//
// A region itself has no name: it is memory that lives as long as somebody has it. So any user hands it on to whoever
// comes next, and a socket that nobody answers is left over from a dead one and is removed.
import { randomBytes } from 'node:crypto';
import { type FSWatcher, readdirSync, readFileSync, renameSync, rmSync, watch, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { IpcError, messageOf } from '../errors.ts';
import type { WaitOptions } from '../spec/waiting.ts';
import { textOf, wholeOf } from './frame.ts';
import { type NativeListener, type NativeRegion, native, nativeCode } from './native.ts';
import { closeAll, PacketSocket, takeFds } from './packet-socket.ts';
import { ensureRunDirectory, FileLock, regionDirectory } from './run-directory.ts';
import { waiting } from './waiting.ts';

/** Newcomers that may wait while their answerer is busy. */
const backlog = 64;
/** One user may be stopped; the next in the folder is asked after this time. */
const answerMs = 250;
/** Somebody else creates the region at this moment; it takes about as long as this. */
const creatorMs = 5;
/** As in cpp/shm/region_layout.h: what we are handed is not mapped above this. */
export const regionBytesMax = 2 ** 34;
const generationPattern = /^[0-9a-f]{32}$/;

/** What a user of a region hands on. */
export interface RegionFile {
  readonly fd: number;
  readonly generation: string;
  /** The size that its creator asked for. */
  readonly bytes: number;
}

/** Memory that its users hand on: of a region, or of a cache. */
export interface SharedMemory {
  readonly fd: number;
  readonly generation: string;
  close(): void;
}

/** What distinguishes the one kind from the other. */
export interface MemoryKind<M extends SharedMemory> {
  readonly what: string;
  folder(runDirectory: string, name: string): string;
  /** Takes the descriptor. */
  attach(fd: number): M;
  refused(cause: unknown, name: string): IpcError;
  replaced(name: string, generation: string): IpcError;
}

const regionKind: MemoryKind<NativeRegion> = {
  what: 'region',
  folder: regionDirectory,
  attach: (fd) => new (native().Region)(fd, regionBytesMax),
  refused: (cause, name) => IpcError.from(cause, 'ERR_REGION_REFUSED', name, messageOf(cause)),
  replaced: (name, generation) => IpcError.of('ERR_REGION_REPLACED', name, generation),
};

/** How new memory is made, if there is none yet. */
export interface Creation<M> {
  readonly bytes: number;
  readonly takeOver: boolean;
  make(): M;
}

/** Memory that we have, before we use it. */
export interface Found<M> {
  readonly region: M;
  readonly bytes: number;
}

/** How long a search may take, and what it says when that is over. */
export interface Search extends WaitOptions {
  missing(timeoutMs: number): IpcError;
}

/** An errno that says: nobody listens behind this path. */
const connectionRefused = 111;
const noEntry = 2;

/** The place of a region. @throws {IpcError} ERR_RUN_DIRECTORY, ERR_SYSTEM. */
export function regionPlace(runDirectory: string, name: string): RegionPlace<NativeRegion> {
  return new RegionPlace(runDirectory, name, regionKind);
}

export class RegionPlace<M extends SharedMemory> {
  readonly name: string;
  readonly #kind: MemoryKind<M>;
  readonly #folder: string;
  readonly #watcher: FSWatcher;
  readonly #observers = new Set<() => void>();
  #version = 0;
  #listener: { readonly native: NativeListener; readonly path: string } | undefined;

  /** @throws {IpcError} ERR_RUN_DIRECTORY, ERR_SYSTEM. */
  constructor(runDirectory: string, name: string, kind: MemoryKind<M>) {
    this.name = name;
    this.#kind = kind;
    this.#folder = ensureRunDirectory(kind.folder(runDirectory, name));
    try {
      this.#watcher = watch(this.#folder, () => {
        this.#version++;
        for (const observer of [...this.#observers]) observer();
      });
    } catch (error) {
      throw IpcError.from(error, 'ERR_SYSTEM', `watching ${this.#folder}`, messageOf(error));
    }
    // A folder that vanishes is no news about the region: its users have what they need.
    this.#watcher.on('error', () => {});
  }

  /** The creation of the region that counts now, if there ever was one. */
  currentGeneration(): string | undefined {
    try {
      const text = readFileSync(join(this.#folder, 'current'), 'utf8');
      return generationPattern.test(text) ? text : undefined;
    } catch {
      return undefined;
    }
  }

  /** What the paths of all bells begin with: the slot and `.bell` follow. */
  bellPrefix(generation: string): string {
    return join(this.#folder, `${prefixOf(generation)}-`);
  }

  bellPath(generation: string, slot: number): string {
    return `${this.bellPrefix(generation)}${slot}.bell`;
  }

  removeBell(generation: string, slot: number): void {
    rmSync(this.bellPath(generation, slot), { force: true });
  }

  /** Calls back whenever something has changed in the folder. @returns a function that ends it. */
  onChange(observer: () => void): () => void {
    this.#observers.add(observer);
    return () => this.#observers.delete(observer);
  }

  /** Whether watching the folder alone keeps the process running; it does by default. */
  hold(on: boolean): void {
    if (on) this.#watcher.ref();
    else this.#watcher.unref();
  }

  /**
   * The region as one of its users hands it on, or a new one if there is none.
   * Without `create` it waits until somebody has created it.
   * @throws {IpcError} what `search.missing` says, those of the kind, ERR_SYSTEM.
   */
  async find(create: Creation<M> | undefined, wanted: string | undefined, search: Search): Promise<Found<M>> {
    const until = performance.now() + (search.timeoutMs ?? Number.POSITIVE_INFINITY);
    for (;;) {
      search.signal?.throwIfAborted();
      const seen = this.#version;
      const generation = this.currentGeneration();
      if (wanted !== undefined && generation !== undefined && generation !== wanted)
        throw this.#kind.replaced(this.name, wanted);
      let lookAgainMs: number | undefined;
      if (generation !== undefined && !create?.takeOver) {
        const file = await this.#ask(generation, until, search.signal);
        if (typeof file === 'object') return { region: this.#map(file), bytes: file.bytes };
        // Nobody tells when a stopped process goes on.
        if (file === 'silent') lookAgainMs = answerMs;
      }
      if (create && wanted === undefined && lookAgainMs === undefined) {
        const made = this.#create(create);
        if (typeof made === 'object') return made;
        lookAgainMs = creatorMs;
      }
      await this.#change(seen, until, lookAgainMs, search);
    }
  }

  /** Answers whoever asks for the region from now on. @throws {IpcError} ERR_SYSTEM. */
  handOut(file: RegionFile): void {
    const path = this.#newSocketPath(file.generation);
    try {
      // Under another name until it listens: a socket that refuses connections would be taken for a dead one.
      const listener = new (native().Listener)(`${path}.new`, 0o600, backlog);
      listener.listen((fd) => {
        if (fd >= 0) handTo(fd, file);
      });
      listener.hold(false);
      renameSync(`${path}.new`, path);
      this.#listener = { native: listener, path };
    } catch (error) {
      throw IpcError.from(
        error,
        'ERR_SYSTEM',
        `handing out ${this.#kind.what} ${this.name}`,
        messageOf(error),
      );
    }
  }

  /** No longer answers. */
  stopHandingOut(): void {
    if (!this.#listener) return;
    rmSync(this.#listener.path, { force: true });
    this.#listener.native.close();
    this.#listener = undefined;
  }

  close(): void {
    this.stopHandingOut();
    this.#observers.clear();
    this.#watcher.close();
  }

  /** Waits for a change in the folder, or for `atMostMs`. Throws once the time of the search is over. */
  async #change(seen: number, until: number, atMostMs: number | undefined, search: Search): Promise<void> {
    const left = until - performance.now();
    if (left <= 0) throw search.missing(search.timeoutMs!);
    if (this.#version !== seen) return;
    const timeoutMs = Math.min(left, atMostMs ?? Number.POSITIVE_INFINITY);
    await waiting<void>(
      '',
      { timeoutMs, ...(search.signal && { signal: search.signal }) },
      (call) => {
        const leave = this.onChange(() => {
          leave();
          call.resolve();
        });
        return leave;
      },
      () => undefined,
    );
  }

  /** Asks one user after the other. */
  async #ask(
    generation: string,
    until: number,
    signal: AbortSignal | undefined,
  ): Promise<RegionFile | 'silent' | 'nobody'> {
    let found: 'silent' | 'nobody' = 'nobody';
    for (const path of this.#socketPaths(generation)) {
      const socket = this.#connect(path);
      if (socket === 'nobody') continue;
      found = 'silent';
      if (socket === 'busy') continue;
      const timeoutMs = Math.max(0, Math.min(answerMs, until - performance.now()));
      const file = await answerOf(socket, { timeoutMs, ...(signal && { signal }) });
      if (file?.generation === generation) return file;
      if (file) native().closeFd(file.fd);
    }
    return found;
  }

  #map(file: RegionFile): M {
    try {
      const region = this.#kind.attach(file.fd);
      if (region.generation === file.generation) return region;
      region.close();
      throw new Error('it is of another generation than announced');
    } catch (error) {
      throw this.#kind.refused(error, this.name);
    }
  }

  /**
   * Creates the region and hands it out, all in one turn: whoever finds the lock held tries again soon.
   * @returns undefined if there is one now, or somebody creates it.
   */
  #create({ bytes, takeOver, make }: Creation<M>): Found<M> | undefined {
    const lock = FileLock.take(join(this.#folder, 'lock'));
    if (!(lock instanceof FileLock)) return undefined;
    try {
      const generation = this.currentGeneration();
      if (generation !== undefined && !takeOver && this.#anybody(generation)) return undefined;
      const region = make();
      const path = join(this.#folder, 'current');
      writeFileSync(`${path}.new`, region.generation, { mode: 0o600 });
      renameSync(`${path}.new`, path);
      this.#removeOthers(region.generation);
      this.handOut({ fd: region.fd, generation: region.generation, bytes });
      return { region, bytes };
    } catch (error) {
      if (error instanceof IpcError) throw error;
      throw IpcError.from(error, 'ERR_SYSTEM', `creating ${this.#kind.what} ${this.name}`, messageOf(error));
    } finally {
      lock.release();
    }
  }

  /** Whether somebody answers for that generation. */
  #anybody(generation: string): boolean {
    return this.#socketPaths(generation).some((path) => {
      const socket = this.#connect(path);
      if (typeof socket === 'object') socket.destroy();
      return socket !== 'nobody';
    });
  }

  #connect(path: string): PacketSocket | 'nobody' | 'busy' {
    try {
      return PacketSocket.connect(path);
    } catch (error) {
      const errno = (error as { errno?: number }).errno;
      if (errno === connectionRefused) rmSync(path, { force: true });
      if (errno === connectionRefused || errno === noEntry) return 'nobody';
      if (nativeCode(error) === 'AGAIN') return 'busy';
      throw IpcError.from(
        error,
        'ERR_SYSTEM',
        `asking for ${this.#kind.what} ${this.name}`,
        messageOf(error),
      );
    }
  }

  #socketPaths(generation: string): string[] {
    const prefix = prefixOf(generation);
    return readdirSync(this.#folder)
      .filter((file) => file.startsWith(prefix) && file.endsWith('.sock'))
      .map((file) => join(this.#folder, file));
  }

  #newSocketPath(generation: string): string {
    return join(this.#folder, `${prefixOf(generation)}-${randomBytes(6).toString('hex')}.sock`);
  }

  /** Bells and sockets of other generations: nobody may find them any more. */
  #removeOthers(generation: string): void {
    const prefix = prefixOf(generation);
    for (const file of readdirSync(this.#folder))
      if (/\.(sock|bell|new)$/.test(file) && !file.startsWith(prefix))
        rmSync(join(this.#folder, file), { force: true });
  }
}

function prefixOf(generation: string): string {
  return generation.slice(0, 12);
}

function handTo(fd: number, { fd: regionFd, generation, bytes }: RegionFile): void {
  try {
    const socket = PacketSocket.adopt(fd);
    try {
      socket.send({ t: 'region', generation, bytes }, [regionFd]);
    } finally {
      socket.close();
    }
  } catch {
    // Who asked is gone already.
  }
}

/** What the other end hands out; undefined if it ends or says nothing in time. Closes the socket. */
async function answerOf(socket: PacketSocket, options: WaitOptions): Promise<RegionFile | undefined> {
  try {
    return await waiting<RegionFile | undefined>(
      '',
      options,
      (call) => {
        socket.listen({
          frame(frame, fds) {
            const generation = textOf(frame, 'generation', 32);
            const bytes = wholeOf(frame, 'bytes');
            if (frame.t !== 'region') return closeAll(fds);
            const [fd] = takeFds(fds, 1, 'a region');
            call.resolve({ fd: fd!, generation, bytes });
          },
          ended: () => call.resolve(undefined),
        });
        return () => {};
      },
      () => undefined,
    );
  } finally {
    socket.destroy();
  }
}
