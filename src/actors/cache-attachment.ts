// CacheAttachment: the machine of an attachment with a real cache.
import { IpcError, messageOf } from '../errors.ts';
import { type CacheAttachmentContext, cacheAttachmentMachine } from '../machines/cache-attachment.ts';
import type { Address } from '../names.ts';
import type { CacheOptions, CacheStats } from '../spec/cache.ts';
import type { Cache } from '../transport/cache.ts';
import { openCache } from '../transport/cache-opening.ts';
import { Handles, type Host, type Hosted, type Log, type ResourceFigures } from './hosting.ts';

interface Settings {
  readonly address: Address;
  readonly runDirectory: string;
  readonly name: string;
  readonly options: CacheOptions | undefined;
  /** The cache can be used no more. */
  readonly onClosed: (cache: Cache<unknown>) => void;
}

interface Live {
  readonly host: Host;
  readonly settings: Settings;
  readonly hosted: Hosted<typeof cacheAttachmentMachine>;
  readonly log: Log;
  readonly opened: (cache: Promise<Cache<unknown>>) => void;
}
const lives = new Handles<Live>('cache attachment');

const cacheAttachmentLogic = cacheAttachmentMachine.provide({
  actions: {
    attach: ({ self }) => attach(lives.of(self)),
    logAttached: ({ self }, { cache, attached }) =>
      lives.of(self).log.debug({ cache, ...attached }, `cache ${cache}: attached`),
    logEnded: ({ self }, facts) => logEnded(lives.of(self).log, facts),
  },
});

/**
 * Opens a cache, whose attachment is an actor from then on.
 * @throws {IpcError} as openCache.
 */
export function attachCache(host: Host, settings: Settings): Promise<Cache<unknown>> {
  return new Promise((opened) => {
    host.start(cacheAttachmentLogic, {
      address: settings.address,
      input: { cache: settings.name },
      bind: (actor, hosted) => lives.bind(actor, { host, settings, hosted, log: host.log, opened }),
    });
  });
}

function attach({ host, settings, hosted, opened }: Live): void {
  const { runDirectory, name, options, onClosed } = settings;
  const opening = openCache<unknown>(runDirectory, name, options);
  opening.then(
    (cache) => {
      const { generation, shape, native } = cache;
      const hide = host.showResources(async () => [cacheFigures(name, cache.pids, await cache.stats())]);
      cache.onClosed = () => {
        hide();
        const error = cache.ended;
        const ours = error === undefined || error.code === 'ERR_CACHE_CLOSED';
        hosted.post({ type: 'cache.ended', error: ours ? null : error.toJSON() });
        onClosed(cache);
      };
      hosted.post({
        type: 'cache.attached',
        attached: { generation, capacity: shape.capacity, slot: native.slot },
      });
    },
    (error) => hosted.post({ type: 'attach.failed', error: asIpcError(name, error).toJSON() }),
  );
  opened(opening);
}

/** What those see of a cache who look on. */
export function cacheFigures(
  name: string,
  pids: readonly number[],
  stats: Pick<
    CacheStats,
    'records' | 'capacity' | 'hits' | 'misses' | 'evicted' | 'expired' | 'aged' | 'repairs'
  >,
): ResourceFigures {
  const { records, capacity, evicted, hits, misses, expired, aged, repairs } = stats;
  return {
    ...{
      kind: 'cache',
      name,
      region: null,
      pids,
      counts: 'entries',
      depth: records,
      capacity,
      drops: evicted,
    },
    facts: { hits, misses, expired, aged, repairs },
  };
}

function logEnded(log: Log, { cache, attached, error }: CacheAttachmentContext): void {
  const facts = { cache, ...attached, ...(error && { error }) };
  if (!error) log.debug(facts, `cache ${cache}: closed`);
  else if (!attached) log.debug(facts, `cache ${cache}: not attached: ${error.message}`);
  else log.warn(facts, `cache ${cache} can be used no more: ${error.message}`);
}

/** An abort or a wrong argument is no error of ours; the caller gets it as it is. */
function asIpcError(name: string, error: unknown): IpcError {
  return error instanceof IpcError
    ? error
    : IpcError.from(error, 'ERR_SYSTEM', `cache ${name}`, messageOf(error));
}
