// Broadcast spec: what a universe says about one broadcast.
import { channelDefaults } from './channel-spec.ts';
import { invalid, isRingSize, timerMaxMs, unknownKey } from './description.ts';

/** Options of `broadcast()`. */
export interface BroadcastOptions {
  /** How messages become bytes: `msgpack` takes any data, `bytes` a Uint8Array as it is. */
  readonly codec: 'msgpack' | 'bytes';
  /** Size of the one ring that all readers share: a power of two from 1 KiB to 1 GiB. A message fits half of it. */
  readonly capacityBytes: number;
  /** Latest messages with which a new reader begins, as far as the ring still has them. */
  readonly history: number;
  /** What a slow reader does: `drop-oldest` misses messages and is told how many, `block` holds up the writer. */
  readonly reader: 'drop-oldest' | 'block';
  /** A reader that holds up the writer is dropped if it takes longer than this for what stands in the ring. */
  readonly slowAfterMs: number | 'never';
}

export const broadcastOptionKeys = ['codec', 'capacityBytes', 'history', 'reader', 'slowAfterMs'] as const;

export const broadcastDefaults: BroadcastOptions = {
  codec: 'msgpack',
  capacityBytes: channelDefaults.capacityBytes,
  history: 0,
  reader: 'drop-oldest',
  slowAfterMs: 'never',
};

/** The writer remembers four bytes for each message of the history. */
const historyMax = 65_536;

declare const published: unique symbol;

/** A broadcast of an app, with the type of its messages. */
export interface BroadcastSpec<M = unknown> extends BroadcastOptions {
  readonly [published]?: M;
}

export type Published<B> = B extends BroadcastSpec<infer M> ? M : never;

/**
 * Describes a broadcast: the process that serves the app publishes, every session of it may read.
 * @throws {IpcError} `ERR_UNIVERSE_INVALID` for options that make no sense.
 */
export function broadcast<M>(options: Partial<BroadcastOptions> = {}): BroadcastSpec<M> {
  const fail = (why: string) => invalid('broadcast()', why);
  const known: readonly string[] = broadcastOptionKeys;
  for (const key of Object.keys(options)) if (!known.includes(key)) throw fail(unknownKey(key, known));
  const { codec, capacityBytes, history, reader, slowAfterMs } = { ...broadcastDefaults, ...options };
  if (!isRingSize(capacityBytes))
    throw fail(`capacityBytes is ${capacityBytes}; it must be a power of two from 1024 to 2^30`);
  if (codec !== 'msgpack' && codec !== 'bytes')
    throw fail(`codec is ${codec}; it must be "msgpack" or "bytes"`);
  if (reader !== 'drop-oldest' && reader !== 'block')
    throw fail(`reader is ${reader}; it must be "drop-oldest" or "block"`);
  if (!Number.isInteger(history) || history < 0 || history > historyMax)
    throw fail(`history is ${history}; it must be a whole number from 0 to ${historyMax}`);
  if (slowAfterMs !== 'never' && !(slowAfterMs >= 1 && slowAfterMs <= timerMaxMs))
    throw fail(`slowAfterMs is ${slowAfterMs}; it must be "never" or a number of milliseconds from 1 on`);
  if (slowAfterMs !== 'never' && reader !== 'block')
    throw fail('slowAfterMs is for readers that block; a reader that drops the oldest holds up nobody');
  return { codec, capacityBytes, history, reader, slowAfterMs };
}
