// Output: what a program writes, cut into lines. It is always read to the end, so that no program ever waits for its log;
// what comes faster than it may is counted and not kept.
import type { Readable } from 'node:stream';
import { StringDecoder } from 'node:string_decoder';

export type OutputStream = 'out' | 'err';

/** A longer line is cut here; the rest follows as a line of its own. */
const lineLengthMax = 16 * 1024;

/** @param dropped lines that came after these and were not kept. */
export type OnLines = (lines: readonly string[], dropped: number) => void;

/** So many bytes may come at once, and so many in each second after that. */
export class FloodLimit {
  readonly #bytesPerSecond: number;
  readonly #now: () => number;
  #room: number;
  #atMs: number;

  constructor(bytesPerSecond: number, now: () => number) {
    this.#bytesPerSecond = bytesPerSecond;
    this.#now = now;
    this.#room = bytesPerSecond;
    this.#atMs = now();
  }

  /** Whether that much may be kept. */
  takes(bytes: number): boolean {
    const nowMs = this.#now();
    const gained = ((nowMs - this.#atMs) / 1_000) * this.#bytesPerSecond;
    this.#room = Math.min(this.#bytesPerSecond, this.#room + gained);
    this.#atMs = nowMs;
    // A line that is longer than all that there may be passes when there is all of it.
    if (this.#room < Math.min(bytes, this.#bytesPerSecond)) return false;
    this.#room -= bytes;
    return true;
  }
}

/**
 * Calls `onLines` for the lines of each portion, without their end marks, and for a last one that has none.
 * @param heard gets every line, also those that are not kept.
 */
export function readLines(
  stream: Readable,
  limit: FloodLimit,
  onLines: OnLines,
  heard?: (line: string) => void,
): void {
  const decoder = new StringDecoder('utf8');
  let rest = '';
  let dropped = 0;
  const tell = (lines: readonly string[]) => {
    const kept: string[] = [];
    for (const line of lines) {
      heard?.(line);
      if (limit.takes(line.length + 1)) {
        // What was lost stands where it was lost.
        if (dropped > 0) {
          onLines(kept.splice(0), dropped);
          dropped = 0;
        }
        kept.push(line);
      } else dropped++;
    }
    if (kept.length > 0) onLines(kept, 0);
  };
  const take = (text: string) => {
    rest += text;
    const lines: string[] = [];
    let from = 0;
    for (let end = rest.indexOf('\n'); end >= 0; end = rest.indexOf('\n', from)) {
      pushCut(lines, rest.slice(from, end > from && rest[end - 1] === '\r' ? end - 1 : end));
      from = end + 1;
    }
    rest = rest.slice(from);
    for (; rest.length > lineLengthMax; rest = rest.slice(lineLengthMax))
      lines.push(rest.slice(0, lineLengthMax));
    if (lines.length > 0) tell(lines);
  };
  stream.on('data', (chunk: Buffer) => take(decoder.write(chunk)));
  // A pipe of a killed program can end with an error; what was read is all there is.
  stream.on('error', () => {});
  stream.on('close', () => {
    take(decoder.end());
    if (rest !== '') tell([rest]);
    rest = '';
    if (dropped > 0) onLines([], dropped);
    dropped = 0;
  });
}

function pushCut(lines: string[], line: string): void {
  let rest = line;
  for (; rest.length > lineLengthMax; rest = rest.slice(lineLengthMax))
    lines.push(rest.slice(0, lineLengthMax));
  lines.push(rest);
}
