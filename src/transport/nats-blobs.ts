// NATS blobs: bytes that are too many for one message, in an object store of the engine. It is opened by the first use.
import type { ObjectStore } from '@nats-io/obj';
import { IpcError, messageOf } from '../errors.ts';
import type { Blobs } from '../spec/relay.ts';
import { natsBucket, natsKey } from '../spec/relay-nats.ts';
import type { WaitOptions } from '../spec/waiting.ts';
import type { NatsConnection } from './nats-connection.ts';
import { waiting } from './waiting.ts';

/** Of all blobs of a cluster. */
const bytesMax = 256 * 1024 * 1024;
/** A large one takes its time. */
const blobTimeoutMs = 30_000;

export class NatsBlobs implements Blobs {
  readonly #link: NatsConnection;
  readonly #bucket: string;
  readonly #replicas: number;
  readonly #refuseIfClosed: () => void;
  #store: Promise<ObjectStore> | undefined;

  constructor(
    link: NatsConnection,
    { cluster, replicas }: { cluster: string; replicas: number },
    refuseIfClosed: () => void,
  ) {
    this.#link = link;
    this.#bucket = natsBucket(cluster, 'blob');
    this.#replicas = replicas;
    this.#refuseIfClosed = refuseIfClosed;
  }

  async put(name: string, bytes: Uint8Array, options?: WaitOptions): Promise<void> {
    if (bytes.length > bytesMax)
      throw IpcError.of(
        'ERR_RELAY_FULL',
        `blob ${name} of ${bytes.length} bytes`,
        `${bytesMax} bytes are kept in all`,
      );
    await this.#use(`writing blob ${name}`, options, (store) =>
      store.putBlob({ name: natsKey(name) }, bytes),
    );
  }

  async get(name: string, options?: WaitOptions): Promise<Uint8Array | undefined> {
    const bytes = await this.#use(`reading blob ${name}`, options, (store) => store.getBlob(natsKey(name)));
    return bytes ?? undefined;
  }

  async delete(name: string, options?: WaitOptions): Promise<void> {
    await this.#use(`deleting blob ${name}`, options, async (store) => {
      if (await store.info(natsKey(name))) await store.delete(natsKey(name));
    });
  }

  async #use<T>(
    what: string,
    options: WaitOptions | undefined,
    use: (store: ObjectStore) => Promise<T>,
  ): Promise<T> {
    this.#refuseIfClosed();
    const wait = { timeoutMs: blobTimeoutMs, ...options };
    return waiting<T>(what, wait, ({ resolve, reject }) => {
      this.#store ??= this.#open();
      const ended = new AbortController();
      // Asked again what an election leaves without an answer: a blob that is put twice is the same.
      const used = this.#store.then((store) =>
        this.#link.ask(what, () => use(store), { timeoutMs: wait.timeoutMs, signal: ended.signal }),
      );
      used.then(resolve, (error: unknown) => {
        if (error instanceof IpcError) this.#store = undefined;
        const full = /maximum bytes exceeded/i.test(messageOf(error));
        reject(
          error instanceof IpcError
            ? error
            : full
              ? IpcError.from(error, 'ERR_RELAY_FULL', what, `${bytesMax} bytes are kept in all`)
              : IpcError.from(error, 'ERR_RELAY_UNAVAILABLE', what, messageOf(error)),
        );
      });
      return () => ended.abort(new Error('nobody waits for it any more'));
    });
  }

  async #open(): Promise<ObjectStore> {
    const { Objm } = await import('@nats-io/obj');
    const what = `bucket OBJ_${this.#bucket}`;
    const objm = new Objm(this.#link.js);
    let store: ObjectStore;
    try {
      store = await this.#link.ask(what, () =>
        objm.create(this.#bucket, {
          storage: 'file' as never,
          replicas: this.#replicas,
          max_bytes: bytesMax,
        }),
      );
    } catch (error) {
      if (error instanceof IpcError) throw error;
      throw IpcError.from(error, 'ERR_RELAY_CONFIG', what, messageOf(error));
    }
    const { replicas, storage, streamInfo } = await store.status();
    const differences = [
      replicas !== this.#replicas && `replicas is ${replicas}, and ${this.#replicas} is needed`,
      storage !== 'file' && `storage is ${storage}, and file is needed`,
      streamInfo.config.max_bytes !== bytesMax &&
        `max_bytes is ${streamInfo.config.max_bytes}, and ${bytesMax} is needed`,
    ].filter((line) => line !== false);
    if (differences.length > 0)
      throw IpcError.of(
        'ERR_RELAY_CONFIG',
        what,
        [...differences, 'remove the bucket so that it is made anew'].join('\n  '),
      );
    return store;
  }
}
