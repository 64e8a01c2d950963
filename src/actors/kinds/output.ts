// Output: what one kind emits, to all who read it.
import type { EventObject } from 'xstate';
import { IpcError } from '../../errors.ts';
import type { Stream } from './stream.ts';
import type { Waits } from './waits.ts';

export class Output {
  readonly #streams = new Set<Stream<unknown>>();
  #hadReader = false;
  #emitted = 0;
  #gone: IpcError | undefined;
  #end: { readonly error: unknown; readonly clean: boolean } | undefined;

  get emitted(): number {
    return this.#emitted;
  }

  /** What `emit` fails with once all readers have gone; undefined before. */
  get gone(): IpcError | undefined {
    return this.#gone;
  }

  /** One more reads it, from now on. */
  add(stream: Stream<unknown>): void {
    if (this.#end) {
      stream.finish(this.#end.error, this.#end.clean);
      return;
    }
    this.#hadReader = true;
    this.#streams.add(stream);
    stream.onClosed = () => this.#streams.delete(stream);
  }

  /** Gives it to all streams, each as soon as it has room. @throws {IpcError} ERR_CONSUMER_GONE. */
  async emit(
    item: EventObject,
    owner: string,
    waits: Waits,
    tell: (item: EventObject) => void,
  ): Promise<void> {
    this.#refuseWithoutReader(owner);
    this.#emitted++;
    tell(item);
    for (const stream of this.#streams) {
      const room = stream.put(item, waits);
      if (room) await room;
    }
    this.#refuseWithoutReader(owner);
  }

  finish(error: unknown, clean: boolean): void {
    this.#end = { error, clean };
    for (const stream of this.#streams) stream.finish(error, clean);
    this.#streams.clear();
  }

  #refuseWithoutReader(owner: string): void {
    if (!this.#hadReader || this.#streams.size > 0) return;
    this.#gone ??= IpcError.of('ERR_CONSUMER_GONE', owner);
    throw this.#gone;
  }
}
