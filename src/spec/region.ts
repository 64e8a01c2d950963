// What regions of shared memory and their pipes look like to those who use them.
import type { WaitOptions } from './waiting.ts';

/** How a packet becomes bytes: any data that msgpack can carry, or a Uint8Array as it is. */
export type PacketCodec = 'msgpack' | 'bytes';

/** Options of `region()`. */
export interface RegionOptions extends WaitOptions {
  /** Size of the region, which is created if it is not there; 64 KiB to 16 GiB. Without it we wait for somebody else to create it. */
  bytes?: number;
  /** Under `actor-ipc run`: kept by the supervisor when all its users are gone, with what is in it. */
  persistent?: boolean;
  /** Creates the region anew even if it is there. Whoever uses the old one gets ERR_REGION_REPLACED. Needs `bytes`. */
  takeOver?: boolean;
  /** Attaches to exactly this creation of the region, else ERR_REGION_REPLACED. */
  generation?: string;
  /** How long another process may hold the lock of the region before calls fail with ERR_LOCK_TIMEOUT; default 5000. */
  lockTimeoutMs?: number;
}

/** Options of `region.pipe()`. */
export interface PipeOptions extends WaitOptions {
  /** Packets that may be in the pipe; it is created if it is not there. Without it we wait for somebody else to create it. */
  capacityPackets?: number;
  /** The same for all who use the pipe; default msgpack. */
  codec?: PacketCodec;
}

/** How the memory of a region is used, in bytes. */
export interface RegionStats {
  /** Size of the pool of blocks. */
  readonly bytes: number;
  readonly used: number;
  readonly free: number;
  /** The largest packet or value that has room now. */
  readonly largest: number;
  readonly blocks: number;
  /** Nothing is in use. */
  readonly pristine: boolean;
  /** How often a user died within a change of the region that the next one had to complete or undo. */
  readonly repairs: number;
  readonly users: number;
}

/** Counts of the packets of a pipe. */
export interface PipeStats {
  readonly capacity: number;
  /** Waiting to be taken. */
  readonly packets: number;
  /** Taken with `ack` and neither acknowledged nor rejected. */
  readonly unacknowledged: number;
  readonly enqueued: number;
  readonly dequeued: number;
}

/** A value that stands in the region, and our hold on it. Leaving a `using` block releases it. */
export interface RegionValue<T = unknown> extends Disposable {
  readonly bytes: number;
  /** The value, made anew from its bytes at each look. Throws ERR_REGION_CLOSED after release. */
  readonly value: T;
  /** Its bytes in shared memory: not to be written, not to be used after release. */
  view(): Uint8Array;
  /** Gives our hold back; the memory is free once nobody holds it. Releasing twice is fine. */
  release(): void;
}

/** A packet that comes back to the pipe unless it is acknowledged: when it is rejected, or its consumer dies. */
export interface Packet<T = unknown> extends Disposable {
  readonly value: T;
  /** How often it was handed out, this time included. */
  readonly deliveries: number;
  /** Done with it. */
  ack(): void;
  /** Puts it back to the front, for anybody. So does leaving a `using` block without ack(). */
  reject(): void;
}

/** Options of `dequeue`. */
export interface DequeueOptions extends WaitOptions {
  /** Gives a Packet, which is ours only once it is acknowledged. */
  ack?: boolean;
  /** Gives a RegionValue: the bytes stay where they are until release(). */
  borrow?: boolean;
}

/**
 * First in, first out; any number of processes put packets in and take them out, each packet goes to one of them.
 * A limit that is over answers false or undefined; an aborted call rejects with the signal's reason.
 */
export interface Pipe<T = unknown> {
  readonly name: string;
  /** Puts a packet in now or not at all. @throws {IpcError} those of enqueue. */
  tryEnqueue(packet: T | RegionValue<T>): boolean;
  /**
   * Puts a packet in as soon as there is room. A RegionValue goes in without a copy and stays ours too.
   * @returns whether it is in; false once `timeoutMs` is over. Without a limit it waits.
   * @throws {IpcError} ERR_REGION_FULL, ERR_LOCK_TIMEOUT, ERR_PACKET_INVALID, ERR_PIPE_BUSY, ERR_REGION_CLOSED,
   * ERR_REGION_REPLACED.
   */
  enqueue(packet: T | RegionValue<T>, options?: WaitOptions): Promise<boolean>;
  /** The next packet, or undefined if there is none now. @throws {IpcError} those of dequeue. */
  tryDequeue(): T | undefined;
  /**
   * The next packet, or undefined once `timeoutMs` is over. Without a limit it waits.
   * @throws {IpcError} ERR_LOCK_TIMEOUT, ERR_PACKET_INVALID, ERR_PIPE_BUSY, ERR_REGION_CLOSED, ERR_REGION_REPLACED.
   */
  dequeue(options: DequeueOptions & { ack: true }): Promise<Packet<T> | undefined>;
  /** As below, without a copy. */
  dequeue(options: DequeueOptions & { borrow: true }): Promise<RegionValue<T> | undefined>;
  /** The next packet, or undefined after `timeoutMs`. */
  dequeue(options?: WaitOptions): Promise<T | undefined>;
  /** Takes packets as they come, after the calls that wait already; the fastest way. @returns a function that ends it. */
  onPacket(handler: (packet: T) => void): () => void;
  /** Ends when the pipe or the region is closed here. */
  [Symbol.asyncIterator](): AsyncIterator<T, void>;
  /** Counts of its packets, now and so far. */
  stats(): Promise<PipeStats>;
  /** No longer used by this process; what is in it stays. */
  close(): void;
}

/** Memory that several processes share, with pipes in it. Who is killed at whatever instruction harms no other user. */
export interface Region extends AsyncDisposable {
  readonly name: string;
  readonly bytes: number;
  /** 32 hex digits, others for each creation. */
  readonly generation: string;
  /**
   * A pipe of this region, found or created.
   * @throws {IpcError} ERR_PIPE_MISSING once `timeoutMs` is over, ERR_REGION_MISMATCH for another capacity or codec,
   * ERR_REGION_FULL.
   */
  pipe<T = unknown>(name: string, options?: PipeOptions): Promise<Pipe<T>>;
  /**
   * Puts a value into the region, to be enqueued any number of times without a copy.
   * @throws {IpcError} ERR_PACKET_INVALID with the path of what can't be shared, ERR_REGION_FULL.
   */
  construct<T>(value: T, codec?: PacketCodec): Promise<RegionValue<T>>;
  /**
   * Whether a value stands wholly in this region: a RegionValue of it, or arrays and objects of nothing else.
   * @returns undefined if it does, else the path of the first part that does not, as `$.orders[3]`.
   */
  outside(value: unknown): string | undefined;
  /** How its memory is used, in bytes, and by how many. */
  stats(): Promise<RegionStats>;
  /** Gives back what we hold. With the last user the region is gone. Closing twice is fine. */
  close(): Promise<void>;
}
