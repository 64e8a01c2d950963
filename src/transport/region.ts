// Region: memory that several processes share, seen from one of its users. Names, waiting and the care for users that
// died; what stands in the memory is the addon's business (cpp/shm/region.h).
//
// Waiting: a call that can't be done now is registered in the region under its lock; who makes it possible rings our bell
// by one byte. A user that is killed between its change and its ring strands nobody: while calls wait here, the other
// users are watched by pidfd, and at the death of one everything is looked at again. One that was rung and is stopped takes
// nothing and says nothing, so whoever waits also looks now and then by himself.
// The lock: no call blocks. Where the lock is held, the call is tried again on later turns until its limit.
import { IpcError, messageOf } from '../errors.ts';
import { isName, nameRule } from '../names.ts';
import type {
  PacketCodec,
  PipeOptions,
  PipeStats,
  RegionOptions,
  RegionStats,
  Pipe as SomePipe,
  Region as SomeRegion,
} from '../spec/region.ts';
import type { WaitOptions } from '../spec/waiting.ts';
import { type NativeRegion, native, nativeCode } from './native.ts';
import { packetCodecs, pathOutside } from './packet-codec.ts';
import { Pipe } from './pipe.ts';
import { type RegionPlace, regionPlace } from './region-place.ts';
import { type RegionUser, RegionUsers } from './region-users.ts';
import { type RegionUse, SharedValue } from './region-value.ts';
import { ensureRunDirectory } from './run-directory.ts';
import { waiting } from './waiting.ts';

/** A holder that has not let go for this long is stopped, or the machine is out of its depth. */
export const lockTimeoutDefaultMs = 5_000;
/** Where the lock is held, it is tried again on the next turn at first, then after up to this. */
const lockPauseMaxMs = 8;
/** How long a stopped user that was rung in our place may keep us waiting. */
const lookAgainMs = 250;

/** Why a bell was rung. */
const whyRung = { room: 1, users: 2 } as const;

/**
 * Opens a region, attached or created.
 * @throws {IpcError} ERR_REGION_MISSING, ERR_REGION_MISMATCH, ERR_REGION_REFUSED, ERR_REGION_REPLACED, ERR_REGION_FULL,
 * ERR_LOCK_TIMEOUT, ERR_RUN_DIRECTORY, ERR_SYSTEM.
 */
export async function openRegion(
  runDirectory: string,
  name: string,
  options: RegionOptions = {},
): Promise<Region> {
  if (!isName(name)) throw new TypeError(`${name} is no name of a region: ${nameRule}`);
  const { bytes, takeOver = false, generation } = options;
  if (takeOver && (bytes === undefined || generation !== undefined))
    throw new TypeError('takeOver needs bytes, and takes no generation');
  if (bytes !== undefined && !Number.isSafeInteger(bytes)) throw new TypeError('bytes is not a whole number');
  ensureRunDirectory(runDirectory);
  const place = regionPlace(runDirectory, name);
  let region: NativeRegion | undefined;
  let opened: Region | undefined;
  try {
    const create =
      bytes === undefined ? undefined : { bytes, takeOver, make: () => new (native().Region)(bytes) };
    const found = await place.find(create, generation, {
      ...waitOptions(options),
      missing: (timeoutMs) => IpcError.of('ERR_REGION_MISSING', name, timeoutMs),
    });
    region = found.region;
    if (bytes !== undefined && found.bytes !== bytes)
      throw IpcError.of('ERR_REGION_MISMATCH', `region ${name}`, `it has ${found.bytes} bytes, not ${bytes}`);
    opened = new Region(place, region, found.bytes, options.lockTimeoutMs ?? lockTimeoutDefaultMs);
    await opened.join();
    return opened;
  } catch (error) {
    await opened?.close();
    region?.close();
    place.close();
    throw error;
  }
}

export class Region implements SomeRegion, RegionUse {
  readonly name: string;
  readonly generation: string;
  readonly bytes: number;
  readonly native: NativeRegion;
  /** For whoever keeps a list of open regions. */
  onClosed: (() => void) | undefined;

  readonly #place: RegionPlace<NativeRegion>;
  readonly #lockTimeoutMs: number;
  readonly #pipes = new Map<string, Pipe<unknown>>();
  /** Calls for a pipe that nobody has created yet. */
  readonly #lookups = new Set<() => void>();
  /** What must be done once the lock is free: acknowledgements, releases. */
  #undone: (() => 0 | 2)[] = [];
  readonly #users: RegionUsers;
  #watchesUsers = false;
  #waiting = 0;
  #lockHeldSince: number | undefined;
  #lookTimer: NodeJS.Timeout | NodeJS.Immediate | undefined;
  #lookPauseMs = 0;
  #lookAgainTimer: NodeJS.Timeout | undefined;
  #ended: IpcError | undefined;
  #closing: Promise<void> | undefined;

  constructor(place: RegionPlace<NativeRegion>, region: NativeRegion, bytes: number, lockTimeoutMs: number) {
    this.name = place.name;
    this.generation = region.generation;
    this.bytes = bytes;
    this.native = region;
    this.#place = place;
    this.#lockTimeoutMs = lockTimeoutMs;
    this.#users = new RegionUsers(
      region,
      (slot) => place.bellPath(this.generation, slot),
      (user) => this.#userDied(user),
    );
  }

  /** Becomes a user. @throws {IpcError} ERR_REGION_FULL, ERR_LOCK_TIMEOUT, ERR_REGION_REPLACED, ERR_SYSTEM. */
  async join(): Promise<void> {
    await this.whenUnlocked(() => this.native.join(), 'another user');
    try {
      this.#users.listen((why, count) => this.#rung(why, count));
      this.native.bells(this.#place.bellPrefix(this.generation));
    } catch (error) {
      throw IpcError.from(error, 'ERR_SYSTEM', `the bell of region ${this.name}`, messageOf(error));
    }
    this.#place.stopHandingOut();
    this.#place.handOut({ fd: this.native.fd, generation: this.generation, bytes: this.bytes });
    this.#place.onChange(() => this.#checkGeneration());
    this.#place.hold(false);
    this.#checkGeneration();
    this.check();
    // Those who wait must watch us too, before we put anything in.
    await this.#ringUsers(whyRung.users);
  }

  async pipe<T>(name: string, options: PipeOptions = {}): Promise<SomePipe<T>> {
    this.check();
    if (!isName(name)) throw new TypeError(`${name} is no name of a pipe: ${nameRule}`);
    const { capacityPackets = 0, codec = 'msgpack' } = options;
    if (!Number.isSafeInteger(capacityPackets) || capacityPackets < 0)
      throw new TypeError('capacityPackets is not a whole number');
    if (!Object.hasOwn(packetCodecs, codec)) throw new TypeError(`${codec} is no codec of packets`);
    const index = await this.#findPipe(name, capacityPackets, options);
    this.check();
    const open = this.#pipes.get(name) ?? new Pipe<unknown>(this, name, index, codec);
    if (open.codec !== codec)
      throw IpcError.of(
        'ERR_REGION_MISMATCH',
        open.path,
        `it is open here with codec ${open.codec}, not ${codec}`,
      );
    this.#pipes.set(name, open);
    return open as unknown as SomePipe<T>;
  }

  async construct<T>(value: T, codec: PacketCodec = 'msgpack'): Promise<SharedValue<T>> {
    this.check();
    if (!Object.hasOwn(packetCodecs, codec)) throw new TypeError(`${codec} is no codec of packets`);
    const bytes = packetCodecs[codec].encode(value, `region ${this.name}`);
    // The encoder may use its memory again before the lock is free.
    const copy = Uint8Array.from(bytes);
    const block = await this.whenUnlocked(
      () => this.native.construct(copy),
      `a value of ${copy.length} bytes`,
    );
    return new SharedValue<T>(this, block, codec);
  }

  outside(value: unknown): string | undefined {
    return pathOutside(value, (part) => part instanceof SharedValue && part.isIn(this));
  }

  stats(): Promise<RegionStats> {
    return this.whenUnlocked(() => this.native.stats(), 'its figures');
  }

  /** What those see who look on: who uses it, and the pipes that are open here. @throws {IpcError} as stats. */
  async figures(): Promise<{ stats: RegionStats; pids: number[]; pipes: ({ name: string } & PipeStats)[] }> {
    const stats = await this.stats();
    const users = await this.whenUnlocked(() => this.native.users(), 'its users');
    const pipes: ({ name: string } & PipeStats)[] = [];
    for (const pipe of [...this.#pipes.values()]) pipes.push({ name: pipe.name, ...(await pipe.stats()) });
    return { stats, pids: [...new Set(users.map(({ pid }) => pid))], pipes };
  }

  close(): Promise<void> {
    this.#closing ??= this.#close(IpcError.of('ERR_REGION_CLOSED', `region ${this.name}`));
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  // ---- for pipes and values

  /** Why nothing can be done with this region any more. */
  get ended(): IpcError | undefined {
    return this.#ended;
  }

  /** Throws if nothing can be done with this region any more. */
  check(): void {
    if (this.#ended) throw this.#ended;
  }

  /** What a call of the addon threw, as an error of ours. Errors of the program itself stay as they are. */
  refusal(error: unknown, what: string): unknown {
    const code = nativeCode(error);
    if (code === 'NO_MEMORY' || code === 'FULL')
      return IpcError.from(error, 'ERR_REGION_FULL', this.name, what);
    if (code === 'MISMATCH')
      return IpcError.from(error, 'ERR_REGION_MISMATCH', `${what} of region ${this.name}`, messageOf(error));
    if (code === 'GONE' || code === 'BAD_LAYOUT' || code === 'CLOSED') {
      if (!this.#ended) this.#end(IpcError.from(error, 'ERR_REGION_BROKEN', this.name, messageOf(error)));
      return this.#ended;
    }
    return error;
  }

  /** The answer of a call that waits (0 or 1) or found the lock held (2): another look follows on a later turn. */
  noteAnswer(answer: number): void {
    if (answer === 2) this.lookLater();
    else this.#lockHeldSince = undefined;
  }

  lookLater(): void {
    this.#lockHeldSince ??= performance.now();
    if (this.#lookTimer) return;
    const look = () => {
      this.#lookTimer = undefined;
      this.#look();
    };
    this.#lookTimer = this.#lookPauseMs === 0 ? setImmediate(look) : setTimeout(look, this.#lookPauseMs);
    this.#lookPauseMs = Math.min(lockPauseMaxMs, this.#lookPauseMs * 2 || 1);
  }

  /** Another look on the next turn, not because of the lock. */
  lookSoon(): void {
    if (this.#lookTimer) return;
    this.#lookTimer = setImmediate(() => {
      this.#lookTimer = undefined;
      this.#look();
    });
  }

  /** What a call's own limit means now: nothing came, or nobody could look. @throws {IpcError} ERR_LOCK_TIMEOUT. */
  checkLock(timeoutMs: number): void {
    if (this.#lockHeldSince !== undefined)
      throw IpcError.of('ERR_LOCK_TIMEOUT', `region ${this.name}`, timeoutMs);
  }

  /** One more or one less call waits: while some do, the process is held and the other users are watched. */
  waits(more: 1 | -1): void {
    this.#waiting += more;
    if (this.#waiting === 1 && more === 1) this.#users.hold(true);
    if (this.#waiting === 0) this.#users.hold(false);
    // It outlives short waits, so that those cost no timer each.
    if (more === 1) this.#lookAgainTimer ??= setInterval(() => this.#lookAgain(), lookAgainMs).unref();
    if (more === 1 && !this.#watchesUsers) {
      this.#watchesUsers = true;
      this.doSometime(() => this.#users.refresh());
    }
  }

  /** Rings those who wait for what our calls have made available. To be called after each of them. */
  ringOthers(): void {
    const slots = this.native.takeRings();
    for (let i = 0; i < slots.length; i++) {
      const slot = slots[i]!;
      if (slot === this.native.slot) this.lookSoon();
      else if (!this.#users.ring(slot, whyRung.room)) this.doSometime(() => this.#users.suspect(slot));
    }
  }

  /** Does it now or, while the lock is held, later. */
  doSometime(change: () => 0 | 2): void {
    if (this.#undone.length === 0 && this.#attempt(change) === 0) return this.ringOthers();
    this.#undone.push(change);
    this.lookLater();
  }

  /** Repeats a call that throws LOCKED, until it does not. @throws {IpcError} ERR_LOCK_TIMEOUT and those of `refusal`. */
  async whenUnlocked<T>(call: () => T, what: string): Promise<T> {
    const since = performance.now();
    for (let pauseMs = 0; ; pauseMs = Math.min(lockPauseMaxMs, pauseMs * 2 || 1)) {
      this.check();
      try {
        const answer = call();
        this.ringOthers();
        return answer;
      } catch (error) {
        if (nativeCode(error) !== 'LOCKED') throw this.refusal(error, what);
        if (performance.now() - since > this.#lockTimeoutMs)
          throw IpcError.from(error, 'ERR_LOCK_TIMEOUT', `region ${this.name}`, this.#lockTimeoutMs);
        await new Promise<void>((resolve) => {
          if (pauseMs === 0) setImmediate(resolve);
          else setTimeout(resolve, pauseMs);
        });
      }
    }
  }

  forget(pipe: Pipe<unknown>): void {
    if (this.#pipes.get(pipe.name) === pipe) this.#pipes.delete(pipe.name);
  }

  // ---- what happens to us

  #rung(why: number, count: number): void {
    // A full bell keeps the first rings only: of many, one may have said something that we have not seen.
    if (this.#watchesUsers && (why & whyRung.users || count > 1))
      this.doSometime(() => this.#users.refresh());
    this.#look();
  }

  #lookAgain(): void {
    if (this.#waiting > 0) return this.#look();
    clearInterval(this.#lookAgainTimer);
    this.#lookAgainTimer = undefined;
  }

  /** Tries everything that waits here. */
  #look(): void {
    if (this.#ended) return;
    const heldSince = this.#lockHeldSince;
    this.#lockHeldSince = undefined;
    while (this.#undone.length > 0) {
      if (this.#attempt(this.#undone[0]!) === 2) break;
      this.#undone.shift();
    }
    for (const pipe of [...this.#pipes.values()]) pipe.look();
    for (const lookup of [...this.#lookups]) lookup();
    if (this.#ended) return;
    if (this.#undone.length > 0) this.lookLater();
    if (this.#lockHeldSince === undefined) this.#lookPauseMs = 0;
    else if (heldSince !== undefined) {
      // Still held, by whomever.
      this.#lockHeldSince = heldSince;
      if (performance.now() - heldSince > this.#lockTimeoutMs) {
        const error = IpcError.of('ERR_LOCK_TIMEOUT', `region ${this.name}`, this.#lockTimeoutMs);
        for (const pipe of [...this.#pipes.values()]) pipe.rejectAll(error);
        this.#lockHeldSince = performance.now();
      }
    }
    this.ringOthers();
  }

  /** A change that was put off; a block that is no longer ours needs none. */
  #attempt(change: () => 0 | 2): 0 | 2 {
    try {
      return change();
    } catch (error) {
      if (!(error instanceof RangeError)) this.refusal(error, 'a release');
      return 0;
    }
  }

  #checkGeneration(): void {
    const current = this.#place.currentGeneration();
    if (current === undefined || current === this.generation || this.#ended) return;
    this.#end(IpcError.of('ERR_REGION_REPLACED', this.name, this.generation));
  }

  #userDied({ slot, pid, startTicks }: RegionUser): void {
    if (this.#ended) return;
    this.#undone.push(() => {
      try {
        return this.native.recover(slot, pid, startTicks);
      } catch (error) {
        // Alive after all: then it rings for itself.
        if (nativeCode(error) === 'BUSY') return 0;
        throw error;
      }
    });
    this.lookSoon();
  }

  async #ringUsers(why: number): Promise<void> {
    const users = await this.whenUnlocked(() => this.native.users(), 'its users');
    for (const { slot } of users)
      if (slot !== this.native.slot && !this.#users.ring(slot, why))
        this.doSometime(() => this.#users.suspect(slot));
  }

  /** The number of a pipe, found or created. */
  async #findPipe(name: string, capacityPackets: number, options: PipeOptions): Promise<number> {
    const find = () => this.native.pipe(name, capacityPackets);
    const index = await this.whenUnlocked(find, `pipe ${name}`);
    if (index >= 0) {
      // Somebody may wait for it.
      if (capacityPackets > 0) await this.#ringUsers(whyRung.room);
      return index;
    }
    return waiting<number>(
      '',
      waitOptions(options),
      (call) => {
        const lookup = () => {
          try {
            this.check();
            const found = find();
            if (found < 0) return;
            leave();
            call.resolve(found);
          } catch (error) {
            if (nativeCode(error) === 'LOCKED') return this.lookLater();
            leave();
            call.reject(this.refusal(error, `pipe ${name}`));
          }
        };
        const leave = () => {
          if (this.#lookups.delete(lookup)) this.waits(-1);
        };
        this.#lookups.add(lookup);
        this.waits(1);
        // It may have been created before we were in the list.
        lookup();
        return leave;
      },
      (timeoutMs) => {
        this.checkLock(timeoutMs);
        throw IpcError.of('ERR_PIPE_MISSING', name, this.name, timeoutMs);
      },
    );
  }

  /** Nothing can be done any more: those who wait hear why. What we hold is given back. */
  #end(why: IpcError): void {
    this.#closing ??= this.#close(why);
  }

  async #close(why: IpcError): Promise<void> {
    const pipes = [...this.#pipes.values()];
    const undone = this.#undone.splice(0);
    this.#ended = why;
    for (const pipe of pipes) pipe.end(why);
    // They look, see that it is over, and say so.
    for (const lookup of [...this.#lookups]) lookup();
    if (this.#lookTimer) {
      clearImmediate(this.#lookTimer as NodeJS.Immediate);
      clearTimeout(this.#lookTimer as NodeJS.Timeout);
    }
    clearInterval(this.#lookAgainTimer);
    this.#users.unwatchAll();
    this.#place.close();
    await this.#leave(undone);
    this.#users.close();
    this.native.close();
    this.onClosed?.();
  }

  /** Gives back what is ours. What the lock keeps us from, others give back once this process has ended. */
  async #leave(undone: (() => 0 | 2)[]): Promise<void> {
    const { slot } = this.native;
    if (slot < 0) return;
    const until = performance.now() + this.#lockTimeoutMs;
    for (let pauseMs = 1; performance.now() < until; pauseMs = Math.min(lockPauseMaxMs, pauseMs * 2)) {
      try {
        while (undone.length > 0 && undone[0]!() === 0) undone.shift();
        if (undone.length === 0) {
          // Before the slot is given back: its next user has a bell of the same name.
          this.#place.removeBell(this.generation, slot);
          this.native.leave();
          for (const other of this.native.takeRings()) this.#users.ring(other, whyRung.room);
          return;
        }
      } catch (error) {
        if (nativeCode(error) !== 'LOCKED') return;
      }
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
    }
  }
}

function waitOptions({ timeoutMs, signal }: WaitOptions): WaitOptions {
  return { ...(timeoutMs !== undefined && { timeoutMs }), ...(signal && { signal }) };
}
