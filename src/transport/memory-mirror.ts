// Memory mirror: what the two sides of a session lend each other when they are on different machines. Each segment of the lender
// has one of the same number and size on the reader's machine, and each block that is lent is copied to the same place there
// before its record becomes visible. Records and releases pass as they are.
import { type BlockReference, checkBlock } from './block-reference.ts';
import { segmentsMax } from './lent-memory.ts';
import { segmentKind } from './link.ts';
import { type NativeSegment, native } from './native.ts';

export class MemoryMirror {
  readonly #bytesMax: number;
  /** What the local program lends. */
  readonly #theirs: NativeSegment[] = [];
  readonly #theirWords: Uint32Array[] = [];
  #theirBytes = 0;
  /** Our copies of what is lent on the other machine. */
  readonly #ours: NativeSegment[] = [];
  #ourBytes = 0;

  /** @param bytesMax of each direction: `arenaBytes` of the app. */
  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** A segment of the local program; the descriptor is ours from now on. @throws an Error that says what is wrong with it. */
  receive(number: number, bytes: number, fd: number): void {
    if (
      number !== this.#theirs.length ||
      number >= segmentsMax ||
      this.#theirBytes + bytes > this.#bytesMax
    ) {
      native().closeFd(fd);
      throw new Error('a segment out of order, or more memory than agreed');
    }
    const segment = new (native().Segment)(segmentKind.arena, fd, bytes, this.#bytesMax);
    segment.closeFile();
    this.#theirs.push(segment);
    this.#theirWords.push(new Uint32Array(segment.buffer));
    this.#theirBytes += bytes;
  }

  /** Makes the copy of a segment of the other machine. @returns its descriptor. @throws an Error. */
  open(number: number, bytes: number): number {
    if (number !== this.#ours.length || number >= segmentsMax || this.#ourBytes + bytes > this.#bytesMax)
      throw new Error('a segment out of order, or more memory than agreed');
    const segment = new (native().Segment)(bytes);
    if (segment.bytes !== bytes) {
      segment.close();
      throw new Error('a segment of a size that this machine does not make');
    }
    this.#ours.push(segment);
    this.#ourBytes += bytes;
    return segment.fd;
  }

  /** Whether the block's segment has come. @throws an Error if the reference makes no sense. */
  has(reference: BlockReference): boolean {
    if (reference.segment >= segmentsMax) throw new Error('a reference beyond all limits');
    const words = this.#theirWords[reference.segment];
    if (!words) return false;
    checkBlock(reference, words, words.length * 4, native().layout);
    return true;
  }

  /** A copy of that part of what the local program lends. */
  read(segment: number, at: number, length: number): Uint8Array {
    return new Uint8Array(this.#theirs[segment]!.buffer, at, length).slice();
  }

  /** @throws an Error if that part is not there. */
  write(segment: number, at: number, bytes: Uint8Array): void {
    const into = this.#ours[segment];
    if (!into || at < native().layout.lineBytes || at + bytes.length > into.bytes)
      throw new Error('a block outside its segment');
    new Uint8Array(into.buffer, at, bytes.length).set(bytes);
  }

  close(): void {
    for (const segment of [...this.#theirs.splice(0), ...this.#ours.splice(0)]) segment.close();
    this.#theirWords.length = 0;
  }
}
