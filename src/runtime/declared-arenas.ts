// Declared arenas: the arenas of a topology, held by the root, and what its children ask about them by their control sockets.
// Everything that a child says is input: what makes no sense throws, which puts that child's control socket out of use.
import type { ArenaAsked } from '../actors/child-control.ts';
import type { ResourceFigures } from '../actors/hosting.ts';
import { IpcError, messageOf } from '../errors.ts';
import { isName } from '../names.ts';
import type { ArenaSpec } from '../spec/child.ts';
import { type Frame, textOf, wholeOf } from '../transport/frame.ts';
import { native } from '../transport/native.ts';
import { closeAll, takeFds } from '../transport/packet-socket.ts';
import { whenEnded } from '../transport/peer-process.ts';
import { type ArenaPlace, type ArenaUser, arenaBorrowsMax, DeclaredArena } from './declared-arena.ts';

/** A process that has asked for an arena, until it is proven dead. */
interface User extends ArenaUser {
  readonly startTicks: number;
  unwatch: () => void;
}

type Answer = { readonly fields?: Record<string, unknown>; readonly fd?: number };

export class DeclaredArenas {
  readonly #arenas = new Map<string, DeclaredArena>();
  /** By what belongs to one run of a child alone: its control socket. */
  readonly #users = new Map<object, User>();

  constructor(specs: Readonly<Record<string, ArenaSpec>>) {
    for (const [name, { bytes }] of Object.entries(specs))
      this.#arenas.set(name, new DeclaredArena(name, bytes));
  }

  /** Handles a frame of a child. @throws an Error for one that makes no sense. */
  handle(asked: ArenaAsked, frame: Frame, fds: number[]): void {
    const user = this.#userOf(asked);
    const name = textOf(frame, 'arena', 64);
    const fd = frame.t === 'arena.segment' ? takeFds(fds, 1, frame.t)[0]! : undefined;
    if (fd === undefined) takeFds(fds, 0, frame.t);
    const arena = this.#arenas.get(name);
    if (!user || !arena) {
      if (fd !== undefined) native().closeFd(fd);
      if (user) answer(asked, frame, () => refuseUnknown(name, [...this.#arenas.keys()]));
      return;
    }
    switch (frame.t) {
      case 'arena.release':
        for (const publication of publicationsIn(frame)) arena.release(user, publication);
        return;
      case 'arena.leave':
        return arena.leave(user);
      case 'arena.resign':
        return arena.resign(user);
      case 'arena.segment':
        return answer(asked, frame, () => ({
          fields: { segment: arena.addSegment(user, bytesIn(frame, fd!), fd!) },
        }));
      default:
        if (frame.t === 'arena.write') this.#endDead();
        return answer(asked, frame, () => ask(arena, user, frame));
    }
  }

  /** For those who look on. */
  figures(): ResourceFigures[] {
    return [...this.#arenas.values()].map((arena) => arena.figures());
  }

  release(): void {
    for (const { unwatch } of this.#users.values()) unwatch();
    this.#users.clear();
    for (const arena of this.#arenas.values()) arena.close();
  }

  /** Undefined if that process is dead by now: nobody waits for an answer. @throws an Error if it is not the child's own. */
  #userOf({ port, sender, send }: ArenaAsked): User | undefined {
    const known = this.#users.get(port);
    if (known) {
      if (known.pid !== sender.pid) throw new Error(`a frame of process ${sender.pid}, not of ${known.pid}`);
      return known;
    }
    let startTicks: number;
    try {
      startTicks = native().startTicks(sender.pid);
    } catch {
      return undefined;
    }
    const user: User = {
      pid: sender.pid,
      startTicks,
      notify: (arena) => send({ t: 'arena.changed', arena }),
      unwatch: () => {},
    };
    let over = false;
    user.unwatch = whenEnded(user, () => {
      over = true;
      this.#ended(port, user);
    });
    if (over) return undefined;
    this.#users.set(port, user);
    return user;
  }

  #ended(port: object, user: User): void {
    if (!this.#users.delete(port)) return;
    for (const arena of this.#arenas.values()) arena.ended(user);
  }

  /** A writer's next life may ask before we are told that the last one is over. */
  #endDead(): void {
    for (const [port, user] of [...this.#users])
      if (!isAlive(user)) {
        user.unwatch();
        this.#ended(port, user);
      }
  }
}

function isAlive({ pid, startTicks }: User): boolean {
  try {
    return native().startTicks(pid) === startTicks;
  } catch {
    return false;
  }
}

function ask(arena: DeclaredArena, user: User, frame: Frame): Answer {
  switch (frame.t) {
    case 'arena.open':
      arena.open(user);
      return { fields: { ...arena.news(user) } };
    case 'arena.write':
      arena.write(user);
      return { fields: { ...arena.news(user) } };
    case 'arena.news':
      return { fields: { ...arena.news(user) } };
    case 'arena.publish':
      return { fields: { publication: arena.publish(user, valueNameIn(frame), placeIn(frame)) } };
    case 'arena.unpublish':
      return { fields: { was: arena.unpublish(user, valueNameIn(frame)) } };
    case 'arena.borrow': {
      const borrowed = arena.borrow(user, valueNameIn(frame));
      if (!borrowed) return { fields: { publication: null } };
      const { publication, place, segmentBytes, fd } = borrowed;
      return { fields: { publication, ...place, segmentBytes }, fd };
    }
    default:
      throw new Error(`a frame of unknown type ${frame.t}`);
  }
}

/** What is the child's to hear, as an answer; everything else is thrown on. */
function answer({ send }: ArenaAsked, frame: Frame, find: () => Answer): void {
  const id = wholeOf(frame, 'id');
  try {
    const { fields = {}, fd } = find();
    send({ t: 'answer', id, ...fields }, fd === undefined ? [] : [fd]);
  } catch (error) {
    if (!(error instanceof IpcError)) throw error;
    send({ t: 'answer', id, error: { code: error.code, message: messageOf(error) } });
  }
}

function refuseUnknown(name: string, known: string[]): never {
  throw IpcError.of('ERR_ARENA_UNKNOWN', name, known.length === 0 ? 'none' : known.join(', '));
}

/** @throws an Error; the descriptor is closed then. */
function bytesIn(frame: Frame, fd: number): number {
  try {
    return wholeOf(frame, 'bytes');
  } catch (error) {
    closeAll([fd]);
    throw error;
  }
}

function valueNameIn(frame: Frame): string {
  const name = textOf(frame, 'name', 64);
  if (!isName(name)) throw new Error(`frame ${frame.t}: ${JSON.stringify(name)} is no name`);
  return name;
}

function publicationsIn(frame: Frame): number[] {
  const { t, publications } = frame;
  if (!Array.isArray(publications) || publications.length > arenaBorrowsMax)
    throw new Error(`frame ${t}: publications is not a list of at most ${arenaBorrowsMax}`);
  return publications.map((publication) => wholeOf({ t, publication }, 'publication'));
}

const wordMax = 2 ** 32 - 1;

export function placeIn(frame: Frame): ArenaPlace {
  return {
    segment: wholeOf(frame, 'segment'),
    offset: wholeOf(frame, 'offset', wordMax),
    start: wholeOf(frame, 'start', wordMax),
    bytes: wholeOf(frame, 'bytes', wordMax),
    generation: wholeOf(frame, 'generation', wordMax),
  };
}
