// Flight recorder: the last transitions of a process, in shared memory that its supervisor still holds when the process has
// been killed. One record of 32 bytes per transition, names told once; written always, read only after a death.
//
// It stands in a segment of two rings without a reader: the records, of which only the newest are kept, and the names, which
// are never moved. The tail of each says how far it has been written.
import { messageOf } from '../errors.ts';
import { segmentKind } from './link.ts';
import { type NativeSegment, native } from './native.ts';

const recordBytes = 32;
const recordWords = recordBytes >> 2;
const recordsBytes = 64 * 1024;
const namesBytes = 64 * 1024;
/** Stands for every name that found no room any more. */
const unnamed = 0;

export interface FlightRecord {
  /** Milliseconds since 1970. */
  readonly atMs: number;
  readonly actor: string;
  readonly event: string;
  /** Where the transition led: a state value as text, or `crashed`, `done`, `stopped`. */
  readonly state: string;
}

/** Which word of a record is what. */
const word = { sequence: 0, timeLow: 1, timeHigh: 2, actor: 3, event: 4, state: 5 } as const;

/** Where the two tails stand, as indexes of 32-bit words. */
function tailWords(): { records: number; names: number } {
  const { lanesOffset, laneStride, tailOffset } = native().layout;
  return { records: (lanesOffset + tailOffset) >> 2, names: (lanesOffset + laneStride + tailOffset) >> 2 };
}

export class FlightRecorder {
  readonly #segment: NativeSegment;
  readonly #words: Int32Array;
  readonly #records: Int32Array;
  readonly #names: Uint8Array;
  readonly #tails: { records: number; names: number };
  readonly #ids = new Map<string, number>();
  readonly #textEncoder = new TextEncoder();
  #sequence = 0;
  #namesEnd = 0;
  #full = false;
  #closed = false;

  constructor() {
    const segment = new (native().Segment)(segmentKind.recorder, [recordsBytes, namesBytes], 0);
    const [recordsOffset, , namesOffset] = segment.rings as [number, number, number, number];
    this.#segment = segment;
    this.#words = new Int32Array(segment.buffer);
    this.#records = new Int32Array(segment.buffer, recordsOffset, recordsBytes >> 2);
    this.#names = new Uint8Array(segment.buffer, namesOffset, namesBytes);
    this.#tails = tailWords();
    this.name('(name not kept)');
  }

  /** For the supervisor. */
  get offer(): { bytes: number; fd: number } {
    return { bytes: this.#segment.bytes, fd: this.#segment.fd };
  }

  /** The number under which records refer to that name. */
  name(text: string): number {
    const known = this.#ids.get(text);
    if (known !== undefined) return known;
    if (this.#closed || this.#full) return unnamed;
    const bytes = this.#textEncoder.encode(text.slice(0, 200));
    const end = (this.#namesEnd + 4 + bytes.length + 3) & ~3;
    // A process of very many actors must not try anew for each.
    this.#full = end > namesBytes;
    if (this.#full) return unnamed;
    this.#names.set(bytes, this.#namesEnd + 4);
    this.#names[this.#namesEnd] = bytes.length & 0xff;
    this.#names[this.#namesEnd + 1] = bytes.length >> 8;
    this.#namesEnd = end;
    Atomics.store(this.#words, this.#tails.names, end);
    const id = this.#ids.size;
    this.#ids.set(text, id);
    return id;
  }

  /** Numbers are those of `name`. Costs some tens of nanoseconds. */
  record(actor: number, event: number, state: number): void {
    if (this.#closed) return;
    const sequence = ++this.#sequence;
    const at = (sequence * recordWords) & ((recordsBytes >> 2) - 1);
    const nowUs = performance.now() * 1000;
    const records = this.#records;
    // A reader takes a record only if its number is what it must be at that place; 0 while it is being written.
    records[at + word.sequence] = 0;
    // The low 32 bits, as `|` takes them.
    records[at + word.timeLow] = nowUs | 0;
    records[at + word.timeHigh] = nowUs / 2 ** 32;
    records[at + word.actor] = actor;
    records[at + word.event] = event;
    records[at + word.state] = state;
    Atomics.store(records, at + word.sequence, sequence);
    Atomics.store(this.#words, this.#tails.records, sequence);
  }

  close(): void {
    this.#closed = true;
    this.#segment.close();
  }
}

/**
 * The last records of another process, oldest first; it may be dead or go on writing. Everything in its memory is input.
 * @param fd of its recorder; stays the caller's.
 * @param timeOriginMs when that process began to count, in milliseconds since 1970.
 * @returns at most `max` records; none, with the reason, if the memory makes no sense.
 */
export function readFlight(
  fd: number,
  bytes: number,
  timeOriginMs: number,
  max: number,
): { records: FlightRecord[]; problem?: string } {
  let segment: NativeSegment;
  try {
    segment = new (native().Segment)(segmentKind.recorder, native().dupFd(fd), bytes, 1 << 20);
  } catch (error) {
    return { records: [], problem: messageOf(error) };
  }
  try {
    return { records: readRecords(segment, timeOriginMs, max) };
  } finally {
    segment.close();
  }
}

function readRecords(segment: NativeSegment, timeOriginMs: number, max: number): FlightRecord[] {
  const [recordsOffset, recordsSize, namesOffset, namesSize] = segment.rings as [
    number,
    number,
    number,
    number,
  ];
  const words = new Int32Array(segment.buffer);
  const tails = tailWords();
  const names = readNames(
    new Uint8Array(segment.buffer, namesOffset, namesSize),
    Atomics.load(words, tails.names),
  );
  const records = new Int32Array(segment.buffer, recordsOffset, recordsSize >> 2);
  const last = Atomics.load(words, tails.records) >>> 0;
  const kept = recordsSize / recordBytes - 1;
  const found: FlightRecord[] = [];
  for (let sequence = Math.max(1, last - Math.min(kept, max) + 1); sequence <= last; sequence++) {
    const at = (sequence * recordWords) & ((recordsSize >> 2) - 1);
    const copy = records.slice(at, at + recordWords);
    const stored = sequence | 0;
    if (copy[word.sequence] !== stored || Atomics.load(records, at + word.sequence) !== stored) continue;
    const nameOf = (index: number) => names[copy[index]!] ?? names[unnamed] ?? '';
    const us = (copy[word.timeLow]! >>> 0) + copy[word.timeHigh]! * 2 ** 32;
    found.push({
      atMs: timeOriginMs + us / 1000,
      actor: nameOf(word.actor),
      event: nameOf(word.event),
      state: nameOf(word.state),
    });
  }
  return found;
}

function readNames(bytes: Uint8Array, end: number): string[] {
  const names: string[] = [];
  const decoder = new TextDecoder();
  for (let at = 0; at + 4 <= Math.min(end, bytes.length); ) {
    const length = bytes[at]! | (bytes[at + 1]! << 8);
    if (at + 4 + length > bytes.length) break;
    names.push(decoder.decode(bytes.slice(at + 4, at + 4 + length)));
    at = (at + 4 + length + 3) & ~3;
  }
  return names;
}
