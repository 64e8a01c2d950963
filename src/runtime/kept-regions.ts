// Kept regions: the persistent regions of a tree, held by the root and handed to whoever opens them. When all users of one
// are gone, its packets are still there for the next ones.

import { IpcError } from '../errors.ts';
import type { NativeRegion } from '../transport/native.ts';
import { type RegionPlace, regionPlace } from '../transport/region-place.ts';

interface Kept {
  readonly region: NativeRegion;
  readonly place: RegionPlace<NativeRegion>;
}

/** A user that asks us to keep a region hands it on himself. */
const findTimeoutMs = 5_000;
/** More than a topology has use for. */
const keptMax = 256;

export class KeptRegions {
  readonly #directory: string;
  readonly #kept = new Map<string, Kept>();
  #released = false;

  constructor(directory: string) {
    this.#directory = directory;
  }

  /** Holds that region from now on. @throws {IpcError} ERR_REGION_MISSING, ERR_REGION_REPLACED. */
  async keep(name: string, generation: string): Promise<void> {
    if (this.#kept.get(name)?.region.generation === generation) return;
    if (this.#kept.size >= keptMax)
      throw IpcError.of('ERR_SYSTEM', `keeping region ${name}`, `${keptMax} are kept already`);
    const place = regionPlace(this.#directory, name);
    try {
      const { region, bytes } = await place.find(undefined, generation, {
        timeoutMs: findTimeoutMs,
        missing: (timeoutMs) => IpcError.of('ERR_REGION_MISSING', name, timeoutMs),
      });
      if (this.#released || this.#kept.get(name)?.region.generation === generation) {
        // Somebody else asked at the same time, or the tree ends.
        region.close();
        place.close();
        return;
      }
      this.#drop(name);
      place.handOut({ fd: region.fd, generation, bytes });
      place.hold(false);
      this.#kept.set(name, { region, place });
      place.onChange(() => {
        // Taken over: nobody can open the old one any more.
        if (place.currentGeneration() !== generation && this.#kept.get(name)?.place === place)
          this.#drop(name);
      });
    } catch (error) {
      place.close();
      throw error;
    }
  }

  release(): void {
    this.#released = true;
    for (const name of [...this.#kept.keys()]) this.#drop(name);
  }

  #drop(name: string): void {
    const kept = this.#kept.get(name);
    this.#kept.delete(name);
    kept?.place.close();
    kept?.region.close();
  }
}
