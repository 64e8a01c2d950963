// Region value: a value whose bytes stand in a region, held by us; and what values and pipes need of their region.
import { IpcError } from '../errors.ts';
import type { PacketCodec, RegionValue } from '../spec/region.ts';
import type { NativeRegion } from './native.ts';
import { packetCodecs } from './packet-codec.ts';

/** A region as its pipes and values see it. */
export interface RegionUse {
  readonly name: string;
  readonly native: NativeRegion;
  /** Why nothing can be done any more. */
  readonly ended: IpcError | undefined;
  /** Throws `ended` if there is one. */
  check(): void;
  /** What a call of the addon threw, as an error of ours; the program's own mistakes stay as they are. */
  refusal(error: unknown, what: string): unknown;
  /** To be told each answer of the addon: after a 2 everything that waits is looked at again on a later turn. */
  noteAnswer(answer: number): void;
  /** Looks again on the next turn. */
  lookSoon(): void;
  /** Throws ERR_LOCK_TIMEOUT if the lock is held by somebody else. */
  checkLock(timeoutMs: number): void;
  /** One more or one less call waits. */
  waits(more: 1 | -1): void;
  /** Rings those for whom our last call has made something available. */
  ringOthers(): void;
  /** Does it now or, while the lock is held, later. */
  doSometime(change: () => 0 | 2): void;
  /** Repeats a call that throws LOCKED. @throws {IpcError} ERR_LOCK_TIMEOUT and those of `refusal`. */
  whenUnlocked<T>(call: () => T, what: string): Promise<T>;
}

export class SharedValue<T> implements RegionValue<T> {
  readonly #region: RegionUse;
  readonly #codec: PacketCodec;
  readonly #block: number;
  readonly #view: Uint8Array;
  #released = false;

  /** @param block that we hold. */
  constructor(region: RegionUse, block: number, codec: PacketCodec) {
    this.#region = region;
    this.#codec = codec;
    this.#block = block;
    this.#view = region.native.view(block);
  }

  get bytes(): number {
    return this.#view.byteLength;
  }

  get value(): T {
    const copy = this.view().slice();
    return packetCodecs[this.#codec].decode(copy, `region ${this.#region.name}`) as T;
  }

  view(): Uint8Array {
    this.#check();
    return this.#view;
  }

  release(): void {
    if (this.#released) return;
    this.#released = true;
    if (!this.#region.ended) this.#region.doSometime(() => this.#region.native.release(this.#block));
  }

  [Symbol.dispose](): void {
    this.release();
  }

  /** A value of a region can't be a part of another value. */
  toJSON(): never {
    throw new TypeError('a value of a region can only be a packet by itself');
  }

  /** Whether it is held and stands in that region. */
  isIn(region: RegionUse): boolean {
    return this.#region === region && !this.#released && !region.ended;
  }

  /** Its block, for a pipe. @throws {IpcError} ERR_PACKET_INVALID, ERR_REGION_CLOSED. */
  blockFor(region: RegionUse, codec: PacketCodec, pipe: string): number {
    this.#check();
    if (this.#region !== region)
      throw IpcError.of('ERR_PACKET_INVALID', pipe, `$ is a value of region ${this.#region.name}`);
    if (this.#codec !== codec)
      throw IpcError.of(
        'ERR_PACKET_INVALID',
        pipe,
        `$ was constructed with codec ${this.#codec}, not ${codec}`,
      );
    return this.#block;
  }

  #check(): void {
    if (this.#released) throw IpcError.of('ERR_REGION_CLOSED', `a value of region ${this.#region.name}`);
    this.#region.check();
  }
}
