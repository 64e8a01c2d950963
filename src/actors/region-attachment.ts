// RegionAttachment: the machine of an attachment with a real region.
import { IpcError, messageOf } from '../errors.ts';
import { type RegionAttachmentContext, regionAttachmentMachine } from '../machines/region-attachment.ts';
import type { Address } from '../names.ts';
import type { RegionOptions } from '../spec/region.ts';
import { openRegion, type Region } from '../transport/region.ts';
import { Handles, type Host, type Hosted, type Log, type ResourceFigures } from './hosting.ts';

interface Settings {
  readonly address: Address;
  readonly runDirectory: string;
  readonly name: string;
  readonly options: RegionOptions | undefined;
  /** The region can be used no more. */
  readonly onClosed: (region: Region) => void;
}

interface Live {
  readonly host: Host;
  readonly settings: Settings;
  readonly hosted: Hosted<typeof regionAttachmentMachine>;
  readonly log: Log;
  readonly opened: (region: Promise<Region>) => void;
}
const lives = new Handles<Live>('region attachment');

const regionAttachmentLogic = regionAttachmentMachine.provide({
  actions: {
    attach: ({ self }) => attach(lives.of(self)),
    logAttached: ({ self }, { region, attached }) =>
      lives.of(self).log.debug({ region, ...attached }, `region ${region}: attached`),
    logEnded: ({ self }, facts) => logEnded(lives.of(self).log, facts),
  },
});

/**
 * Opens a region, whose attachment is an actor from then on.
 * @throws {IpcError} as openRegion.
 */
export function attachRegion(host: Host, settings: Settings): Promise<Region> {
  return new Promise((opened) => {
    host.start(regionAttachmentLogic, {
      address: settings.address,
      input: { region: settings.name },
      bind: (actor, hosted) => lives.bind(actor, { host, settings, hosted, log: host.log, opened }),
    });
  });
}

function attach({ host, settings, hosted, opened }: Live): void {
  const { runDirectory, name, options, onClosed } = settings;
  const opening = openRegion(runDirectory, name, options);
  opening.then(
    (region) => {
      const { generation, bytes } = region;
      const hide = host.showResources(() => figuresOf(region));
      region.onClosed = () => {
        hide();
        const error = region.ended;
        const ours = error === undefined || error.code === 'ERR_REGION_CLOSED';
        hosted.post({ type: 'region.ended', error: ours ? null : error.toJSON() });
        onClosed(region);
      };
      hosted.post({ type: 'region.attached', attached: { generation, bytes, slot: region.native.slot } });
    },
    (error) => hosted.post({ type: 'attach.failed', error: asIpcError(name, error).toJSON() }),
  );
  opened(opening);
}

/** The region and the pipes of it that are open here. */
async function figuresOf(region: Region): Promise<ResourceFigures[]> {
  const { stats, pids, pipes } = await region.figures();
  const { bytes, used, blocks, repairs } = stats;
  const shown = { region: region.name, pids, counts: 'packets', drops: null } as const;
  return [
    {
      ...{ kind: 'region', name: region.name, region: null, pids, counts: 'bytes', drops: null },
      ...{ depth: used, capacity: bytes, facts: { generation: region.generation, blocks, repairs } },
    },
    ...pipes.map(({ name, capacity, packets, unacknowledged, enqueued, dequeued }) => ({
      ...shown,
      ...{ kind: 'pipe' as const, name, depth: packets, capacity },
      facts: { unacknowledged, enqueued, dequeued },
    })),
  ];
}

function logEnded(log: Log, { region, attached, error }: RegionAttachmentContext): void {
  const facts = { region, ...attached, ...(error && { error }) };
  if (!error) log.debug(facts, `region ${region}: closed`);
  else if (!attached) log.debug(facts, `region ${region}: not attached: ${error.message}`);
  else log.warn(facts, `region ${region} can be used no more: ${error.message}`);
}

/** An abort or a wrong argument is no error of ours; the caller gets it as it is. */
function asIpcError(name: string, error: unknown): IpcError {
  return error instanceof IpcError
    ? error
    : IpcError.from(error, 'ERR_SYSTEM', `region ${name}`, messageOf(error));
}
