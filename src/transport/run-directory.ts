// Run directory: where the sockets and locks of one user's programs meet, and who serves an app when no supervisor says.
import { createHash } from 'node:crypto';
import { chmodSync, lstatSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { IpcError, messageOf } from '../errors.ts';
import { type NativeListener, native } from './native.ts';

/** Clients that may wait to be accepted while a server starts again. */
const backlog = 128;

const ownerOnly = 0o700;
/** The group may enter: what an app with the permissions `group` makes of the folder. Other sockets in it stay the owner's. */
const groupMayEnter = 0o750;

/**
 * Creates the folder if need be and checks that nobody else can reach into it, but the group where an app was opened to it.
 * Its parent must exist.
 * @throws {IpcError} ERR_RUN_DIRECTORY.
 */
export function ensureRunDirectory(path: string): string {
  try {
    native().ensureFolder(path, isOpenToGroup(path) ? groupMayEnter : ownerOnly);
  } catch (error) {
    throw IpcError.from(error, 'ERR_RUN_DIRECTORY', path, messageOf(error));
  }
  return path;
}

function isOpenToGroup(path: string): boolean {
  const facts = lstatSync(path, { throwIfNoEntry: false });
  return facts !== undefined && (facts.mode & 0o777) === groupMayEnter;
}

/**
 * Lets the processes of our group connect to an app that we serve: its socket becomes 0660, the folders on the way 0750.
 * @throws {IpcError} ERR_RUN_DIRECTORY.
 */
export function openToGroup(directory: string, universe: string, app: string): void {
  try {
    chmodSync(appSocketPath(directory, universe, app), 0o660);
    chmodSync(directory, groupMayEnter);
    if (basename(directory).startsWith(treePrefix)) chmodSync(dirname(directory), groupMayEnter);
  } catch (error) {
    throw IpcError.from(error, 'ERR_RUN_DIRECTORY', directory, messageOf(error));
  }
}

/** A short name for anything, since a socket's path has room for 107 bytes. */
function shortName(text: string): string {
  return createHash('sha1').update(text).digest('hex').slice(0, 16);
}

const treePrefix = 'w-';

/** The folder of one workspace's tree below the run directory. */
export function treeDirectory(runDirectory: string, workspace: string): string {
  return join(runDirectory, `${treePrefix}${shortName(workspace)}`);
}

/** Where clients of an app connect. */
export function appSocketPath(directory: string, universe: string, app: string): string {
  return join(directory, `${shortName(`${universe}/${app}`)}.sock`);
}

/** Where the users of a region find each other. */
export function regionDirectory(directory: string, region: string): string {
  return join(directory, `r-${shortName(region)}`);
}

/** Where the users of a cache find each other. */
export function cacheDirectory(directory: string, cache: string): string {
  return join(directory, `c-${shortName(cache)}`);
}

/** Where the command line talks to the root of a tree. */
export function controlSocketPath(directory: string): string {
  return join(directory, 'control.sock');
}

/** A lock that the kernel frees when its holder ends, however that happens. */
export class FileLock {
  #fd: number;

  private constructor(fd: number) {
    this.#fd = fd;
  }

  /** @returns the lock, or the pid of the one who has it (0: not known). @throws {IpcError} ERR_RUN_DIRECTORY. */
  static take(path: string): FileLock | { holder: number } {
    try {
      const taken = native().lockFile(path);
      return taken.fd === undefined ? { holder: taken.holder } : new FileLock(taken.fd);
    } catch (error) {
      throw IpcError.from(error, 'ERR_RUN_DIRECTORY', path, messageOf(error));
    }
  }

  release(): void {
    if (this.#fd < 0) return;
    native().closeFd(this.#fd);
    this.#fd = -1;
  }
}

/** The right to serve an app: a listening socket, and the lock that goes with it. */
export interface Claim {
  readonly listener: NativeListener;
  release(): void;
}

/**
 * Claims an app in a run directory: one process at a time serves it.
 * @throws {IpcError} ERR_APP_ALREADY_SERVED, ERR_RUN_DIRECTORY, ERR_SYSTEM.
 */
export function claimApp(directory: string, universe: string, app: string): Claim {
  const path = appSocketPath(directory, universe, app);
  const lock = FileLock.take(`${path}.lock`);
  if (!(lock instanceof FileLock)) throw IpcError.of('ERR_APP_ALREADY_SERVED', app, lock.holder);
  try {
    const listener = new (native().Listener)(path, 0o600, backlog);
    return {
      listener,
      release() {
        listener.close();
        lock.release();
      },
    };
  } catch (error) {
    lock.release();
    throw IpcError.from(error, 'ERR_SYSTEM', `listening for app ${app}`, messageOf(error));
  }
}
