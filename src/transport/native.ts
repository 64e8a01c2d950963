// Loads the native addon and declares everything it offers. The rest of the program sees only this module of it.
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { IpcError, messageOf } from '../errors.ts';
import type { NativeCacheClass } from './native-cache.ts';

/** Places and sizes that cpp/shm/layout.h decides. All in bytes, but `hash` and the kinds. */
export interface Layout {
  readonly hash: number;
  readonly lineBytes: number;
  readonly parkOffset: number;
  readonly pulseOffset: number;
  readonly lanesOffset: number;
  readonly laneStride: number;
  readonly tailOffset: number;
  readonly wantOffset: number;
  readonly oldestOffset: number;
  readonly turnOffset: number;
  readonly headOffset: number;
  readonly recordHeaderBytes: number;
  readonly recordAlign: number;
  readonly broadcastHeaderBytes: number;
  readonly broadcastAlign: number;
  /** A turn is 2 to the power of this many bytes. */
  readonly turnBits: number;
  readonly wrapKind: number;
  readonly blockAlign: number;
  readonly blockGenerationOffset: number;
  readonly blockStartOffset: number;
  readonly blockBytesOffset: number;
  readonly ringBytesMin: number;
  readonly ringBytesMax: number;
  readonly lanesMax: number;
  readonly packetBytesMax: number;
}

/** A mapped memory file. `rings` holds offset and capacity of each lane in turn. */
export interface NativeSegment {
  readonly buffer: ArrayBuffer;
  /** The descriptor to hand to a peer, or -1 after closeFile(). */
  readonly fd: number;
  readonly bytes: number;
  readonly rings: number[];
  /**
   * An ArrayBuffer of its own over that range of the memory, to be given back by `closeWindow`: for a borrow that must not
   * outlive its release. It keeps the memory mapped, also after close(). Costs about a microsecond, a view of `buffer` a
   * twentieth of that.
   * @throws a RangeError if the range is not within the segment.
   */
  window(offset: number, bytes: number): ArrayBuffer;
  /** What the last word calls this memory, and the ring of each lane; nothing unless `installLastWord` was called before. */
  name(whole: string, lanes: string[]): void;
  /** Gives the whole pages in that range back to the system; for segments of an arena. */
  giveBack(offset: number, bytes: number): void;
  closeFile(): void;
  /** Detaches `buffer` and unmaps; closing twice is fine. */
  close(): void;
}

export interface NativeDoorbell {
  /** The eventfd that the peer rings. */
  readonly fd: number;
  adoptPeer(fd: number): void;
  ring(): void;
  watch(segment: NativeSegment, byteOffset: number, seen: number): number;
  unwatch(slot: number): void;
  listen(callback: () => boolean): void;
  again(): void;
  close(): void;
}

/** One session's part in what the keep-alive thread of this process does. */
export interface NativePulse {
  /** Whether the peer has given no sign of life for `idleMs`; now, whatever was called back. */
  readonly idle: boolean;
  /**
   * Called back when the peer turns idle; when its event loop has not answered its own thread for `reportMs`; and, with 0,
   * when that loop turns again.
   */
  listen(callback: (stalledMs: number, idle: boolean) => void): void;
  close(): void;
}

/** A bell with a path: whoever may enter its folder rings it. */
export interface NativeBell {
  /** @returns false if nobody has that bell. `why` is a byte. */
  ring(path: string, why: number): boolean;
  /** Called once for all rings that have come: their bytes or-ed, and how many they were. Does not hold the process. */
  listen(onRung: (why: number, count: number) => void): void;
  hold(on: boolean): void;
  /** Does not remove the path. */
  close(): void;
}

/** A process as the kernel vouches for it. */
export interface Credentials {
  readonly pid: number;
  readonly uid: number;
  readonly gid: number;
}

/** Why a socket's stream of packets ended. */
export type SocketEnd = 'CLOSED' | 'RESET' | 'BAD_PACKET' | 'SYSTEM';

export interface NativeSocket {
  readonly fd: number;
  peer(): Credentials;
  send(bytes: Uint8Array, fds?: number[]): boolean;
  listen(
    onPacket: (bytes: Buffer, fds: number[], sender: Credentials) => void,
    onEnd: (end: SocketEnd) => void,
    onRoom: () => void,
  ): void;
  wantRoom(): void;
  /** Hands over what is there now, as the loop's next turn would. */
  read(): void;
  hold(on: boolean): void;
  close(): void;
}

export interface NativeListener {
  readonly fd: number;
  listen(onConnection: (fd: number) => void): void;
  hold(on: boolean): void;
  close(): void;
}

export interface NativeProcess {
  readonly ended: boolean;
  signal(number: number): boolean;
  listen(onEnd: () => void): void;
  close(): void;
}

/** What dequeue() fills. The caller keeps one and uses it again. */
export interface NativePacket {
  /** What ack(), reject(), view() and release() take; 0 if nothing of the packet stays ours. */
  block: number;
  /** A private copy; null after dequeueBlock(). */
  bytes: Uint8Array | null;
  /** How often this packet has been handed out, this time included: 1 unless a consumer died or rejected it. */
  deliveries: number;
}

/** 0: done. 1: no room, or empty. 2: the lock is held by somebody else; try again on a later turn. */
export type NativeAnswer = 0 | 1 | 2;
/** Of `enqueue`: done, and somebody is to be told: call takeRings(). */
export const doneRingsDue = 3;
/** Added to what `take` answers, for the same. */
export const tookRingsDue = 2 ** 30;

/**
 * A region of shared memory: user slots, a pool of blocks, pipes by name. One mutex guards all of it; every call answers
 * at once (it spins for at most 50 us) and runs no JavaScript while it has the lock. `code` of what is thrown: LOCKED
 * where no number says so, CLOSED before join() or after close(), GONE if others have taken us for dead, BAD_LAYOUT if
 * what stands in the region makes no sense. Numbers that name no pipe or no block of ours are a RangeError.
 */
export interface NativeRegion {
  readonly fd: number;
  readonly bytes: number;
  /** 32 hex digits, new for each creation. */
  readonly generation: string;
  /** Our user slot, 0 to 63, -1 before join(). */
  readonly slot: number;
  /** Takes a user slot for this process; a second join() does nothing. Throws FULL, LOCKED. */
  join(): void;
  /** Gives back slot, blocks, unacknowledged packets; without a slot it does nothing. Throws LOCKED: nothing is lost, try again. */
  leave(): void;
  /**
   * Where the bell of each user is: `prefix`, its slot and `.bell`. An end without leave(), as of a worker thread, then gives
   * all of it back too and rings those who wait for it.
   */
  bells(prefix: string): void;
  /** Throws LOCKED. */
  users(): { slot: number; pid: number; startTicks: number }[];
  /**
   * Finds the pipe, or makes it if `capacityPackets` > 0; -1 if it is not there. `name` has 1 to 64 bytes of UTF-8.
   * Throws FULL (64 pipes are there), NO_MEMORY, LOCKED, MISMATCH (it has another capacity).
   */
  pipe(name: string, capacityPackets: number): number;
  /** 1: no room, and we are told once there is some if `wait`. Throws NO_MEMORY. */
  enqueue(pipe: number, bytes: Uint8Array, wait: boolean): NativeAnswer | typeof doneRingsDue;
  /** 1: empty, and we are told once there is a packet if `wait`. With `ack` the packet stays ours until ack() or reject(). */
  dequeue(pipe: number, packet: NativePacket, ack: boolean, wait: boolean): NativeAnswer;
  /**
   * The same without ack, and faster: the number of bytes that are now in `scratch` (plus `tookRingsDue`), a Buffer of its
   * own for a packet that has no room there, -1 for an empty pipe, -2 while the lock is held.
   */
  take(pipe: number, scratch: Uint8Array, wait: boolean): number | Uint8Array;
  /** The same without a copy: the packet is gone from the pipe, its block is ours until release(). */
  dequeueBlock(pipe: number, packet: NativePacket, wait: boolean): NativeAnswer;
  /** The packet is dealt with and never handed out again. */
  ack(block: number): 0 | 2;
  /** The packet goes back to the front. */
  reject(block: number): 0 | 2;
  /** No longer waiting, in either direction; if we had been told already, another waiting user is told instead. */
  unwait(pipe: number): 0 | 2;
  /** A block of our own with a copy of `bytes`. Throws NO_MEMORY, LOCKED. */
  construct(bytes: Uint8Array): number;
  /** Puts a block that we hold into a pipe, without a copy. It stays ours too until release(). */
  enqueueBlock(pipe: number, block: number, wait: boolean): NativeAnswer;
  /** The bytes of a block that we hold; not to be written, not to be used after release(), ack() or reject(). */
  view(block: number): Uint8Array;
  release(block: number): 0 | 2;
  /**
   * User slots to ring for what the last calls have made available, each once; to be asked after every call that
   * changes a pipe. One waiting user is told for each packet and for each room; all are told after a recovery.
   */
  takeRings(): number[];
  /** Gives back what a dead user had; nothing if the slot is no longer theirs. Throws BUSY if that process is alive. */
  recover(slot: number, pid: number, startTicks: number): 0 | 2;
  /** `used` and `free` are bytes of the pool, headers of blocks included. Pristine: no block is in use. Throws LOCKED. */
  stats(): {
    bytes: number;
    used: number;
    free: number;
    largest: number;
    blocks: number;
    pristine: boolean;
    repairs: number;
    users: number;
  };
  /** enqueued - dequeued = packets (waiting) + unacknowledged <= capacity. Throws LOCKED. */
  pipeStats(pipe: number): {
    capacity: number;
    packets: number;
    unacknowledged: number;
    enqueued: number;
    dequeued: number;
  };
  /**
   * Leaves, detaches all views and unmaps; closing twice is fine. Never throws. Nobody is told of the packets that it puts
   * back: who cares calls leave() and takeRings() first.
   */
  close(): void;
}

interface Native {
  readonly layout: Layout;
  probe(): { feature: string; message: string }[];
  socketPair(): [number, number];
  /** A copy of the descriptor, for those who take over what they are given. */
  dupFd(fd: number): number;
  closeFd(fd: number): void;
  /**
   * Detaches a window. In a view of it an index reads `undefined` from then on and is ignored when written; methods,
   * Atomics and new views throw. Closing twice is fine.
   */
  closeWindow(window: ArrayBuffer): void;
  /**
   * From now on a fault in a segment that has a name is told on stderr before the process dies by it. For the whole process,
   * with all its threads; calling it again changes nothing.
   */
  installLastWord(): void;
  ensureFolder(path: string, mode: number): void;
  lockFile(path: string): { fd: number } | { fd?: undefined; holder: number };
  startTicks(pid: number): number;
  bootId(): string;
  /** Sends a datagram to the socket at `path`, `@name` for one without a file; false if nobody takes it. */
  sendText(path: string, text: string): boolean;
  /** Takes the status of a child that has ended and that Node does not know of; false if it has not ended. */
  reapChild(pid: number): boolean;
  readonly Segment: {
    new (kind: number, capacities: number[], firstPosition: number): NativeSegment;
    new (kind: number, fd: number, bytes: number, bytesMax: number): NativeSegment;
    /** One of an arena; its `fd` can only be read. */
    new (bytes: number): NativeSegment;
  };
  readonly Region: {
    /** Creates a region of at least `bytes`. Throws TOO_LARGE (out of 64 KiB to 16 GiB), SYSTEM. */
    new (bytes: number): NativeRegion;
    /** Attaches and takes fd. Throws BAD_SEGMENT, BAD_LAYOUT, TOO_LARGE, SYSTEM. */
    new (fd: number, bytesMax: number): NativeRegion;
  };
  readonly Cache: NativeCacheClass;
  readonly Doorbell: new (segment: NativeSegment, spinUs: number) => NativeDoorbell;
  /** Gives signs of life in `own` from now on. 2^32 - 1 ms: never. */
  readonly Pulse: new (
    own: NativeSegment,
    peer: NativeSegment,
    beatMs: number,
    idleMs: number,
    reportMs: number,
  ) => NativePulse;
  readonly Bell: new (path: string) => NativeBell;
  readonly Socket: { new (fd: number): NativeSocket; new (path: string): NativeSocket };
  readonly Listener: {
    new (path: string, mode: number, backlog: number): NativeListener;
    new (fd: number): NativeListener;
  };
  readonly Process: new (pid: number, startTicks: number) => NativeProcess;
}

/** The package, seen from this file in src/ and in dist/. */
const root = new URL('../../', import.meta.url);

let loaded: { readonly native: Native; readonly folder: URL } | undefined;

/**
 * The addon, loaded at the first call.
 * @throws {IpcError} `ERR_ADDON_MISSING`.
 */
export function native(): Native {
  loaded ??= load();
  return loaded.native;
}

/**
 * The minder that was built together with the addon.
 * @throws {IpcError} `ERR_ADDON_MISSING`.
 */
export function minderPath(): string {
  loaded ??= load();
  return fileURLToPath(new URL('actor-ipc-minder', loaded.folder));
}

function load(): { native: Native; folder: URL } {
  const folder = nativeFolder();
  const path = fileURLToPath(new URL(addonName, folder));
  try {
    return { native: createRequire(import.meta.url)(path) as Native, folder };
  } catch (error) {
    throw IpcError.from(error, 'ERR_ADDON_MISSING', path, messageOf(error).split('\n')[0]!);
  }
}

const addonName = 'actor_ipc.node';

/** A build from source goes before what came with the package: somebody made it because that did not fit. */
function nativeFolder(): URL {
  const built = new URL('build/Release/', root);
  if (existsSync(new URL(addonName, built))) return built;
  const prebuilt = new URL(`prebuilds/${prebuildName()}/`, root);
  return existsSync(new URL(addonName, prebuilt)) ? prebuilt : built;
}

/** As scripts/prebuild-name.mjs, which runs where this file does not exist yet. */
function prebuildName(): string {
  const libc = readFileSync('/proc/self/maps', 'latin1').includes('/ld-musl-') ? 'musl' : 'glibc';
  return `${process.platform}-${process.arch}-${libc}`;
}

/**
 * Refuses to go on where the kernel lacks what the transport stands on.
 * @throws {IpcError} `ERR_ADDON_MISSING`, `ERR_KERNEL_UNSUPPORTED`.
 */
export function requireKernel(): void {
  const missing = native().probe()[0];
  if (missing) throw IpcError.of('ERR_KERNEL_UNSUPPORTED', missing.feature, missing.message);
}

/** The code that the addon gave an error, or undefined if it is not one of the addon's. */
export function nativeCode(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}
