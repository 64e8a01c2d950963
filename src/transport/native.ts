// Loads the native addon and declares everything it offers. The rest of the program sees only this module of it.
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { IpcError, messageOf } from '../errors.ts';

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
  readonly headOffset: number;
  readonly recordHeaderBytes: number;
  readonly recordAlign: number;
  readonly wrapKind: number;
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

interface Native {
  readonly layout: Layout;
  probe(): { feature: string; message: string }[];
  socketPair(): [number, number];
  /** A copy of the descriptor, for those who take over what they are given. */
  dupFd(fd: number): number;
  closeFd(fd: number): void;
  ensureFolder(path: string, mode: number): void;
  lockFile(path: string): { fd: number } | { fd?: undefined; holder: number };
  startTicks(pid: number): number;
  bootId(): string;
  readonly Segment: {
    new (kind: number, capacities: number[], firstPosition: number): NativeSegment;
    new (kind: number, fd: number, bytes: number, bytesMax: number): NativeSegment;
  };
  readonly Doorbell: new (segment: NativeSegment, spinUs: number) => NativeDoorbell;
  readonly Bell: new (path: string) => NativeBell;
  readonly Socket: { new (fd: number): NativeSocket; new (path: string): NativeSocket };
  readonly Listener: {
    new (path: string, mode: number, backlog: number): NativeListener;
    new (fd: number): NativeListener;
  };
  readonly Process: new (pid: number, startTicks: number) => NativeProcess;
}

/** Where the build puts the addon and the minder, seen from this file in src/ and in dist/. */
const buildFolder = new URL('../../build/Release/', import.meta.url);

export const minderPath = fileURLToPath(new URL('actor-ipc-minder', buildFolder));

let loaded: Native | undefined;

/**
 * The addon, loaded at the first call.
 * @throws {IpcError} `ERR_ADDON_MISSING`.
 */
export function native(): Native {
  loaded ??= load();
  return loaded;
}

function load(): Native {
  const path = fileURLToPath(new URL('actor_ipc.node', buildFolder));
  try {
    return createRequire(import.meta.url)(path) as Native;
  } catch (error) {
    throw IpcError.from(error, 'ERR_ADDON_MISSING', path, messageOf(error).split('\n')[0]!);
  }
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
