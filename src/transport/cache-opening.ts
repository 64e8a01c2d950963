// Cache opening: how a process comes to a cache of a name: by another user who hands it on, or by making it.
import { IpcError, messageOf } from '../errors.ts';
import { isName, nameRule } from '../names.ts';
import { type CacheOptions, type CacheShape, cacheDefaults } from '../spec/cache.ts';
import { Cache, monotonicMs } from './cache.ts';
import { native, nativeCode } from './native.ts';
import type { NativeCache } from './native-cache.ts';
import { type MemoryKind, RegionPlace } from './region-place.ts';
import { cacheDirectory, ensureRunDirectory } from './run-directory.ts';

export const cacheLockTimeoutDefaultMs = 5_000;

export const cacheKind: MemoryKind<NativeCache> = {
  what: 'cache',
  folder: cacheDirectory,
  attach: (fd) => new (native().Cache)(fd),
  refused: (cause, name) => IpcError.from(cause, 'ERR_CACHE_REFUSED', name, messageOf(cause)),
  replaced: (name, generation) => IpcError.of('ERR_CACHE_REPLACED', name, generation),
};

/** Makes the memory of a cache. @throws the addon's error. */
export function createCache(shape: CacheShape, seed: number): NativeCache {
  const { capacity, recordBytes, shards, tombstones, agedOutMs } = shape;
  return new (native().Cache)(capacity, recordBytes, shards, tombstones, seed, agedOutMs);
}

/**
 * Opens a cache, attached or created.
 * @throws {IpcError} ERR_CACHE_MISSING, ERR_CACHE_MISMATCH, ERR_CACHE_REFUSED, ERR_CACHE_REPLACED, ERR_CACHE_FULL,
 * ERR_LOCK_TIMEOUT, ERR_OPTIONS_INVALID, ERR_RUN_DIRECTORY, ERR_SYSTEM.
 */
export async function openCache<V>(
  runDirectory: string,
  name: string,
  options: CacheOptions = {},
  clock: () => number = monotonicMs(),
): Promise<Cache<V>> {
  if (!isName(name)) throw new TypeError(`${name} is no name of a cache: ${nameRule}`);
  const { capacity, takeOver = false, generation, seed } = options;
  if (takeOver && (capacity === undefined || generation !== undefined))
    throw IpcError.of(
      'ERR_OPTIONS_INVALID',
      `cache ${name}`,
      'takeOver needs capacity, and takes no generation',
    );
  const wanted = checkShape(name, options);
  ensureRunDirectory(runDirectory);
  const place = new RegionPlace(runDirectory, name, cacheKind);
  let found: NativeCache | undefined;
  let opened: Cache<V> | undefined;
  try {
    const make = () => makeCache(name, { ...cacheDefaults, ...wanted }, seed ?? randomSeed());
    const create = capacity === undefined ? undefined : { bytes: 0, takeOver, make };
    const { timeoutMs, signal } = options;
    ({ region: found } = await place.find(create, generation, {
      ...(timeoutMs !== undefined && { timeoutMs }),
      ...(signal && { signal }),
      missing: (ms) => IpcError.of('ERR_CACHE_MISSING', name, ms),
    }));
    for (const [key, value] of Object.entries({ ...wanted, ...(seed !== undefined && { seed }) })) {
      const there = found.shape[key as keyof CacheShape];
      if (there !== value)
        throw IpcError.of('ERR_CACHE_MISMATCH', name, `its ${key} is ${there}, not ${value}`);
    }
    opened = new Cache<V>(place, found, options.lockTimeoutMs ?? cacheLockTimeoutDefaultMs, clock);
    await opened.join();
    if (options.sweepMs !== undefined) opened.sweepEvery(options.sweepMs);
    return opened;
  } catch (error) {
    if (opened) await opened.close();
    found?.close();
    place.close();
    throw error;
  }
}

function randomSeed(): number {
  return crypto.getRandomValues(new Uint32Array(1))[0]!;
}

function makeCache(name: string, shape: CacheShape, seed: number): NativeCache {
  try {
    return createCache(shape, seed);
  } catch (error) {
    if (nativeCode(error) !== 'TOO_LARGE') throw error;
    throw IpcError.from(
      error,
      'ERR_OPTIONS_INVALID',
      `cache ${name}`,
      'capacity is 1 to 16,777,216, recordBytes 1 to 1,048,576, shards 1 to 64 and at most capacity, all of it below 4 GiB',
    );
  }
}

/** What was asked for explicitly. */
function checkShape(name: string, options: CacheOptions): Partial<CacheShape> {
  const wanted: Record<string, number> = {};
  for (const key of Object.keys(cacheDefaults) as (keyof CacheShape)[]) {
    const value = options[key];
    if (value === undefined) continue;
    if (!Number.isSafeInteger(value) || value < 0)
      throw IpcError.of('ERR_OPTIONS_INVALID', `cache ${name}`, `${key} is not a whole number`);
    wanted[key] = value;
  }
  if (options.seed !== undefined && options.seed >>> 0 !== options.seed)
    throw IpcError.of('ERR_OPTIONS_INVALID', `cache ${name}`, 'seed is not a whole number of 32 bits');
  return wanted;
}
