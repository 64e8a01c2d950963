// Hub blobs: bytes that are too many for one message, kept by the hub. Written piece by piece and seen only when all are there.
import { IpcError } from '../errors.ts';
import type { RelayHandler } from '../spec/relay.ts';
import { type Frame, mapOf, textOf, wholeOf } from './frame.ts';

const bytesMax = 256 * 1024 * 1024;
const blobsMax = 10_000;
/** Those that are being written; the oldest gives way, since its writer may be dead. */
const writingMax = 64;
const pieceBytesMax = 512 * 1024;

interface Blob {
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly version: number;
  /** Up to here the pieces have come. */
  written: number;
}

export class HubBlobs {
  readonly #blobs = new Map<string, Blob>();
  readonly #writing = new Map<number, Blob>();
  #bytes = 0;
  #number = 0;

  services(): [string, RelayHandler][] {
    return [
      ['$blob.begin', (body) => this.#begin(asked(body))],
      ['$blob.piece', (body) => this.#piece(asked(body))],
      ['$blob.end', (body) => this.#end(asked(body))],
      ['$blob.look', (body) => this.#look(asked(body))],
      ['$blob.read', (body) => this.#read(asked(body))],
      ['$blob.delete', (body) => this.#delete(textOf(asked(body), 'name', 255))],
    ];
  }

  #begin(frame: Frame): { id: number } {
    const name = textOf(frame, 'name', 255);
    const bytes = wholeOf(frame, 'bytes');
    const oldest = this.#writing.keys().next();
    if (this.#writing.size >= writingMax && !oldest.done) this.#drop(oldest.value);
    if (this.#bytes + bytes > bytesMax || this.#blobs.size >= blobsMax)
      throw IpcError.of(
        'ERR_RELAY_FULL',
        `blob ${name} of ${bytes} bytes`,
        `${this.#bytes} of ${bytesMax} bytes are kept`,
      );
    const id = ++this.#number;
    this.#bytes += bytes;
    this.#writing.set(id, { name, bytes: new Uint8Array(bytes), version: id, written: 0 });
    return { id };
  }

  #piece(frame: Frame): null {
    const blob = this.#writingOf(frame);
    const at = wholeOf(frame, 'at');
    const { bytes } = frame;
    if (!(bytes instanceof Uint8Array) || bytes.length > pieceBytesMax)
      throw new Error('a piece that is none');
    if (at !== blob.written || at + bytes.length > blob.bytes.length)
      throw new Error(`a piece at ${at}, where ${blob.written} of ${blob.bytes.length} bytes are there`);
    blob.bytes.set(bytes, at);
    blob.written += bytes.length;
    return null;
  }

  #end(frame: Frame): null {
    const blob = this.#writingOf(frame);
    if (blob.written !== blob.bytes.length)
      throw new Error(`blob ${blob.name} has ${blob.written} of ${blob.bytes.length} bytes`);
    this.#writing.delete(blob.version);
    this.#delete(blob.name);
    this.#blobs.set(blob.name, blob);
    return null;
  }

  #look(frame: Frame): { bytes: number; version: number } | null {
    const blob = this.#blobs.get(textOf(frame, 'name', 255));
    return blob ? { bytes: blob.bytes.length, version: blob.version } : null;
  }

  #read(frame: Frame): Uint8Array {
    const name = textOf(frame, 'name', 255);
    const blob = this.#blobs.get(name);
    if (blob?.version !== wholeOf(frame, 'version')) throw new Error(`blob ${name} has changed meanwhile`);
    const at = wholeOf(frame, 'at', blob.bytes.length);
    return blob.bytes.subarray(at, at + wholeOf(frame, 'bytes', pieceBytesMax));
  }

  #delete(name: string): null {
    const blob = this.#blobs.get(name);
    if (blob && this.#blobs.delete(name)) this.#bytes -= blob.bytes.length;
    return null;
  }

  #drop(id: number): void {
    const blob = this.#writing.get(id);
    if (blob && this.#writing.delete(id)) this.#bytes -= blob.bytes.length;
  }

  #writingOf(frame: Frame): Blob {
    const id = wholeOf(frame, 'id');
    const blob = this.#writing.get(id);
    if (!blob) throw new Error('a blob that nobody has begun, or whose writer was too slow');
    return blob;
  }
}

function asked(body: unknown): Frame {
  return mapOf({ t: 'blob', body }, 'body') as Frame;
}
