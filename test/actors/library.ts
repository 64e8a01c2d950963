// A universe whose sessions have memory: large messages, loans, values by handle. With one session opened between two
// runtimes, in this process or in two.
import { channel, defineUniverse, type Handle, type Session } from '../../src/index.ts';
import { type Court, holder } from './pair.ts';

export const arenaBytes = 8 * 1024 * 1024;

const channels = {
  pages: channel<{ up: Uint8Array; down: Uint8Array }>({
    codec: 'bytes',
    capacityBytes: 16_384,
    maxMessageBytes: 2 * 1024 * 1024,
    maxLoans: 4,
    maxBorrows: 4,
  }),
  notes: channel<{ up: Note; down: Note }>({
    capacityBytes: 16_384,
    maxMessageBytes: 4 * 1024 * 1024,
  }),
  cards: channel<{ up: Handle<Uint8Array>; down: Handle<Uint8Array>; requests: Questions }>({
    capacityBytes: 16_384,
    maxLoans: 8,
  }),
};

/** @param sharedBytes what each side may show the other of shared arenas. */
function libraryWith(sharedBytes: number) {
  return defineUniverse('library', {
    shelf: { allow: ['reader'], arenaBytes, sharedBytes, channels },
    reader: {},
  });
}

export const library = libraryWith(2 * 1024 * 1024 * 1024);

export interface Note {
  n: number;
  text: string;
}

/** What the reader of another process is asked to do. */
type Questions = {
  /** Borrows and reads the byte at that place; keeps the borrow if told so. */
  byte: [{ handle: Handle<Uint8Array>; at: number; keep: boolean }, number];
  /** Borrows the next page and keeps it; answers the sum of its first and last byte. */
  page: [null, number];
  /** The bytes of private memory that the process has. */
  memory: [null, number];
};

export type ShelfSession = Session<typeof library.shelf, 'server'>;
export type ReaderSession = Session<typeof library.shelf, 'client'>;

interface End {
  type: string;
  reason?: string;
  error?: { code: string; message: string; cause?: unknown };
  unread?: Record<string, number>;
}

/** Opens one session with both ends in this process. */
export async function openLibrary(court: Court, sharedBytes?: number) {
  const { shelf, reader } = sharedBytes === undefined ? library : libraryWith(sharedBytes);
  const server = court.runtime();
  const client = court.runtime();
  const ends = { server: [] as End[], client: [] as End[] };
  const { promise: served, resolve: accepted } = deferred<ShelfSession>();
  const { promise: connected, resolve: opened } = deferred<ReaderSession>();
  await server.serve(
    shelf,
    holder<ShelfSession>(accepted, (end) => ends.server.push(end as End)),
  );
  client.connect(
    reader,
    shelf,
    holder<ReaderSession>(opened, (end) => ends.client.push(end as End)),
  );
  return { server, client, ends, atServer: await served, atClient: await connected };
}

export function deferred<T>() {
  let resolve: (value: T) => void = () => {};
  const promise = new Promise<T>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}
