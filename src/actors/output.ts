// Output: what a program writes, cut into lines. It is always read to the end, so that no program ever waits for its log.
import type { Readable } from 'node:stream';
import { StringDecoder } from 'node:string_decoder';

export type OutputStream = 'out' | 'err';

/** A longer line is cut here; the rest follows as a line of its own. */
const lineLengthMax = 16 * 1024;

/** Calls `onLine` for each line of the stream, without its end mark, and for a last one that has none. */
export function readLines(stream: Readable, onLine: (line: string) => void): void {
  const decoder = new StringDecoder('utf8');
  let rest = '';
  const take = (text: string) => {
    rest += text;
    let from = 0;
    for (let end = rest.indexOf('\n'); end >= 0; end = rest.indexOf('\n', from)) {
      onLine(rest.slice(from, rest[end - 1] === '\r' ? end - 1 : end));
      from = end + 1;
    }
    rest = rest.slice(from);
    for (; rest.length > lineLengthMax; rest = rest.slice(lineLengthMax))
      onLine(rest.slice(0, lineLengthMax));
  };
  stream.on('data', (chunk: Buffer) => take(decoder.write(chunk)));
  // A pipe of a killed program can end with an error; what was read is all there is.
  stream.on('error', () => {});
  stream.on('close', () => {
    take(decoder.end());
    if (rest !== '') onLine(rest);
    rest = '';
  });
}
