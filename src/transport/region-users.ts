// RegionUsers: the users of a region, as one of them sees them: how to ring each, and by pidfd when one dies.
//
// Only whoever waits needs to watch: a user that tries finds what the dead had by himself.
import { type NativeBell, type NativeProcess, type NativeRegion, native, nativeCode } from './native.ts';

export interface RegionUser {
  readonly slot: number;
  readonly pid: number;
  readonly startTicks: number;
}

interface Watched extends RegionUser {
  readonly process: NativeProcess;
}

export class RegionUsers {
  readonly #region: NativeRegion;
  readonly #bellPath: (slot: number) => string;
  readonly #onDeath: (user: RegionUser) => void;
  readonly #watched = new Map<number, Watched>();
  #bell: NativeBell | undefined;

  constructor(region: NativeRegion, bellPath: (slot: number) => string, onDeath: (user: RegionUser) => void) {
    this.#region = region;
    this.#bellPath = bellPath;
    this.#onDeath = onDeath;
  }

  /** Hangs up our own bell. REQUIRES: we have joined. @throws the addon's error. */
  listen(onRung: (why: number, count: number) => void): void {
    this.#bell = new (native().Bell)(this.#bellPath(this.#region.slot));
    this.#bell.listen(onRung);
  }

  /** Whether listening keeps the process running; it does not by default. */
  hold(on: boolean): void {
    this.#bell?.hold(on);
  }

  /** @returns false if nobody answers that bell. */
  ring(slot: number, why: number): boolean {
    return this.#bell?.ring(this.#bellPath(slot), why) ?? true;
  }

  /** Watches all users from now on; one that is gone already is told at once. @returns 2 while the lock is held. */
  refresh(): 0 | 2 {
    const users = this.#list();
    if (!users) return 2;
    const there = new Map(users.map((user) => [user.slot, user]));
    for (const [slot, watched] of this.#watched) {
      const user = there.get(slot);
      if (user && user.pid === watched.pid && user.startTicks === watched.startTicks) there.delete(slot);
      else this.#unwatch(slot);
    }
    for (const user of there.values()) this.#watch(user);
    return 0;
  }

  /** Nobody answers the bell of that slot: its user joins or leaves at this moment, or is dead. @returns as refresh(). */
  suspect(slot: number): 0 | 2 {
    const users = this.#list();
    if (!users) return 2;
    const user = users.find((one) => one.slot === slot);
    if (user && user.pid !== process.pid) this.#dead(user);
    return 0;
  }

  unwatchAll(): void {
    for (const slot of [...this.#watched.keys()]) this.#unwatch(slot);
  }

  close(): void {
    this.unwatchAll();
    this.#bell?.close();
  }

  /** Undefined while the lock is held. */
  #list(): RegionUser[] | undefined {
    try {
      return this.#region.users();
    } catch (error) {
      if (nativeCode(error) === 'LOCKED') return undefined;
      throw error;
    }
  }

  #watch(user: RegionUser): void {
    const { slot, pid, startTicks } = user;
    // Our own process, maybe another thread of it: we die with it.
    if (pid === process.pid) return;
    let watched: NativeProcess | undefined;
    try {
      watched = new (native().Process)(pid, startTicks);
      watched.listen(() => this.#dead(user));
    } catch (error) {
      watched?.close();
      if (nativeCode(error) === 'GONE') this.#dead(user);
      return;
    }
    this.#watched.set(slot, { ...user, process: watched });
  }

  #dead(user: RegionUser): void {
    this.#unwatch(user.slot);
    this.#onDeath(user);
  }

  #unwatch(slot: number): void {
    this.#watched.get(slot)?.process.close();
    this.#watched.delete(slot);
  }
}
