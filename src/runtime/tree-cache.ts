// A cache of a running tree, for somebody outside of it: the command line.
import type { Cache, CacheOptions } from '../spec/cache.ts';
import { openCache } from '../transport/cache-opening.ts';
import { askTree } from './control-client.ts';
import { treeRunDirectory } from './place.ts';

/** A cache that is there at all is handed out at once. */
const findTimeoutMs = 1_000;

/**
 * Opens a cache of the tree that runs in a workspace.
 * @throws {IpcError} ERR_NO_TREE, ERR_CACHE_MISSING and the others of `cache`.
 */
export async function openTreeCache(
  workspace: string,
  name: string,
  options: CacheOptions = {},
): Promise<Cache> {
  await askTree(workspace, 'status', {});
  return openCache(treeRunDirectory(workspace), name, { timeoutMs: findTimeoutMs, ...options });
}
