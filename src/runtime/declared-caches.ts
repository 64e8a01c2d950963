// Declared caches: those of a topology, made and held by the root, so that what is in them stays when all their users are gone.
import { randomBytes } from 'node:crypto';
import { cacheFigures } from '../actors/cache-attachment.ts';
import type { Log, ResourceFigures } from '../actors/hosting.ts';
import { messageOf } from '../errors.ts';
import type { CacheSpec } from '../spec/cache.ts';
import { cacheKind, createCache } from '../transport/cache-opening.ts';
import { nativeCode } from '../transport/native.ts';
import { type NativeCache, pidsOf } from '../transport/native-cache.ts';
import { RegionPlace } from '../transport/region-place.ts';
import type { CacheStatus } from './status.ts';

type Figures = NativeCache['shape'] & ReturnType<NativeCache['stats']>;

interface Held {
  readonly place: RegionPlace<NativeCache>;
  cache: NativeCache | undefined;
}

export class DeclaredCaches {
  readonly #held: Held[] = [];
  #released = false;

  /** Makes them; who opens one meanwhile waits. */
  constructor(directory: string, caches: Readonly<Record<string, CacheSpec>>, log: Log) {
    for (const [name, spec] of Object.entries(caches)) {
      const place = new RegionPlace(directory, name, cacheKind);
      // The root stays for other reasons.
      place.hold(false);
      const held: Held = { place, cache: undefined };
      this.#held.push(held);
      this.#make(held, spec).catch((error) =>
        log.error(
          { cache: name, error: messageOf(error) },
          `cache ${name} can't be made: ${messageOf(error)}`,
        ),
      );
    }
  }

  /** What those see who look on. */
  figures(): ResourceFigures[] {
    return this.#look(({ name }, cache, stats) => cacheFigures(name, pidsOf(cache), stats));
  }

  status(): CacheStatus[] {
    return this.#look(({ name }, _, { users, records, capacity, hits, misses, evicted }) => {
      return { name, users, entries: records, capacity, hits, misses, evictions: evicted };
    });
  }

  release(): void {
    this.#released = true;
    for (const { place, cache } of this.#held.splice(0)) {
      place.close();
      cache?.close();
    }
  }

  async #make(held: Held, spec: CacheSpec): Promise<void> {
    const { seed = randomBytes(4).readUInt32LE(), ...shape } = spec;
    // No other process is in a run directory that is new with us, so this neither waits nor finds any.
    const { region } = await held.place.find(
      { bytes: 0, takeOver: true, make: () => createCache(shape, seed) },
      undefined,
      {
        missing: (ms) => {
          throw new Error(`not made within ${ms} ms`);
        },
      },
    );
    if (this.#released) region.close();
    else held.cache = region;
  }
  /** Each that has been made, but one whose lock is held by somebody who was stopped with it. */
  #look<T>(see: (place: RegionPlace<NativeCache>, cache: NativeCache, stats: Figures) => T): T[] {
    return this.#held.flatMap(({ place, cache }) => {
      if (!cache) return [];
      let stats: Figures;
      try {
        stats = { ...cache.shape, ...cache.stats() };
      } catch (error) {
        if (nativeCode(error) === 'LOCKED' || nativeCode(error) === 'BAD_LAYOUT') return [];
        throw error;
      }
      return [see(place, cache, stats)];
    });
  }
}
