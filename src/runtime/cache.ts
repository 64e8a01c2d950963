// Caches of shared memory. The entry `actor-ipc/cache`.
import { DownstreamGroup, type GroupOptions } from '../actors/downstream-group.ts';
import { type ManagerOptions, SessionCacheManager } from '../actors/session-cache-manager.ts';
import type { Cache, CacheOptions } from '../spec/cache.ts';
import type { Downstream } from '../spec/downstream.ts';
import { currentRuntime } from './process-runtime.ts';

export { DownstreamGroup, type GroupOptions } from '../actors/downstream-group.ts';
export { type ManagerOptions, SessionCacheManager } from '../actors/session-cache-manager.ts';
export type {
  Cache,
  CacheEvent,
  CacheOptions,
  CacheRecord,
  CacheShape,
  CacheStats,
  DeleteOptions,
  EvictedRecord,
  SetOptions,
} from '../spec/cache.ts';
export { cacheDefaults } from '../spec/cache.ts';
export type {
  CacheEntry,
  CacheForm,
  CacheNews,
  CacheTombstone,
  Downstream,
  Forgotten,
} from '../spec/downstream.ts';
export { textHash } from '../transport/key-hash.ts';

/** As `Runtime.cache`, by the runtime of this process. */
export async function cache<V = unknown>(name: string, options?: CacheOptions): Promise<Cache<V>> {
  return currentRuntime().cache<V>(name, options);
}

/** How the cache of a session cache is opened, and how it behaves. */
export interface SessionCacheOptions extends CacheOptions, ManagerOptions, GroupOptions {}

/**
 * A session cache over the cache of that name, opened by the runtime of this process, and what is downstream of it, if anything:
 * one relay, or several in the order in which they are asked. Without `tombstones`, as many deleted keys are remembered as there are records.
 */
export async function sessionCache(
  name: string,
  options: SessionCacheOptions = {},
  downstream?: Downstream | readonly Downstream[],
): Promise<SessionCacheManager> {
  const { askTimeoutMs, wantedMs, sessionMaxMs, maxStaleMs, heardFrom, ...rest } = options;
  const behind =
    downstream && 'length' in downstream
      ? new DownstreamGroup(downstream, { ...(heardFrom !== undefined && { heardFrom }) })
      : downstream;
  const tombstones = rest.tombstones ?? rest.capacity;
  const opened = await currentRuntime().cache(name, {
    ...rest,
    ...(tombstones !== undefined && { tombstones }),
  });
  return new SessionCacheManager(opened, behind, {
    ...(askTimeoutMs !== undefined && { askTimeoutMs }),
    ...(wantedMs !== undefined && { wantedMs }),
    ...(sessionMaxMs !== undefined && { sessionMaxMs }),
    ...(maxStaleMs !== undefined && { maxStaleMs }),
  });
}
