// Fingerprint: taken from /proc, of a program with all that it has started: a shell's child listens as well as the shell.
// Sockets are those that the process's own network namespace lists, found by their inodes among its descriptors.
import { readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import { IpcError, messageOf } from '../errors.ts';
import { type Fingerprint, type FingerprintKey, fingerprintKeys } from '../spec/fingerprint.ts';
import { maskedArguments } from '../spec/secret.ts';
import { ProcessTable } from './process-table.ts';
import { SocketTables } from './socket-table.ts';

/** Who belongs together. */
export interface ProcessPlace {
  /** The program itself. */
  readonly pid: number;
  /** The process below which all that it started stands, also what has lost its parent; itself no part of it. */
  readonly minder?: number;
  /** The program leads this group, and who is in it belongs to it. */
  readonly group?: number;
}

const everything: ReadonlySet<FingerprintKey> = new Set(fingerprintKeys);

/** @throws {IpcError} ERR_SYSTEM if there is no such process, or it may not be looked at. */
export function takeFingerprint(of: number | ProcessPlace): Fingerprint {
  return new FingerprintLook(new ProcessTable()).at(typeof of === 'number' ? { pid: of } : of, everything);
}

/** One look at any number of programs, which share what is read of the machine as a whole. */
export class FingerprintLook {
  readonly #processes: ProcessTable;
  readonly #sockets = new SocketTables();
  #fresh = false;

  /** @param processes may be that of an earlier look. */
  constructor(processes: ProcessTable) {
    this.#processes = processes;
  }

  /**
   * @param keys the parts that are wanted; all others are empty.
   * @throws {IpcError} ERR_SYSTEM if there is no such process, or it may not be looked at.
   */
  at(place: ProcessPlace, keys: ReadonlySet<FingerprintKey>): Fingerprint {
    try {
      return this.#at(place, keys);
    } catch (error) {
      throw IpcError.from(error, 'ERR_SYSTEM', `looking at process ${place.pid}`, messageOf(error));
    }
  }

  #at({ pid, minder, group }: ProcessPlace, keys: ReadonlySet<FingerprintKey>): Fingerprint {
    const cmdline = keys.has('cmdline') ? argumentsOf(pid) : [];
    const open = new OpenThings(keys, this.#sockets);
    if (open.wanted) {
      if (!this.#fresh) this.#processes.refresh();
      this.#fresh = true;
      const others = this.#processes.below(minder ?? pid, group).filter((each) => each !== pid);
      open.addOf(pid);
      for (const other of others) {
        try {
          open.addOf(other);
        } catch {
          // It has ended meanwhile, or has become another user: the program itself says whether it can be looked at.
        }
      }
    }
    return { cmdline, ...open.found() };
  }
}

function argumentsOf(pid: number): string[] {
  return maskedArguments(readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').slice(0, -1));
}

/** What processes have open; what they share counts once. */
class OpenThings {
  readonly wanted: boolean;
  readonly #keys: ReadonlySet<FingerprintKey>;
  readonly #tables: SocketTables;
  readonly #inodes = new Set<string>();
  readonly #files = new Set<string>();
  readonly #listen: string[] = [];
  readonly #established: string[] = [];
  readonly #udp: string[] = [];

  constructor(keys: ReadonlySet<FingerprintKey>, tables: SocketTables) {
    this.#keys = keys;
    this.#tables = tables;
    this.wanted = keys.size > (keys.has('cmdline') ? 1 : 0);
  }

  addOf(pid: number): void {
    const folder = `/proc/${pid}`;
    const fresh: string[] = [];
    for (const fd of readdirSync(`${folder}/fd`)) {
      const path = `${folder}/fd/${fd}`;
      try {
        const target = readlinkSync(path);
        if (target.startsWith('socket:[')) {
          const inode = target.slice('socket:['.length, -1);
          if (!this.#inodes.has(inode)) fresh.push(inode);
          this.#inodes.add(inode);
        } else if (this.#keys.has('files') && isFile(target, path)) this.#files.add(target);
      } catch {
        // Closed between the two looks.
      }
    }
    if (fresh.length > 0) this.#addSockets(folder, fresh);
  }

  found(): Omit<Fingerprint, 'cmdline'> {
    return {
      listen: this.#listen.sort(),
      established: this.#established.sort(),
      udp: this.#udp.sort(),
      files: [...this.#files].sort(),
    };
  }

  #addSockets(folder: string, inodes: readonly string[]): void {
    const keys = this.#keys;
    if (keys.has('listen') || keys.has('established'))
      for (const { local, remote, state } of this.#tables.of(folder, 'tcp', inodes)) {
        if (state === 'listening' && keys.has('listen')) this.#listen.push(local);
        if (state === 'established' && keys.has('established')) this.#established.push(remote);
      }
    if (keys.has('udp'))
      for (const { local } of this.#tables.of(folder, 'udp', inodes)) this.#udp.push(local);
  }
}

/** Memory files have no place in the file system. */
function isFile(target: string, path: string): boolean {
  return target.startsWith('/') && !target.startsWith('/memfd:') && statSync(path).isFile();
}
