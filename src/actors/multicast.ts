// Multicast: the multicast machine with real pipes of one region.
import { type ErrorData, IpcError, messageOf } from '../errors.ts';
import {
  type MulticastInput,
  type MulticastReport,
  multicastMachine,
  type ReaderView,
} from '../machines/multicast.ts';
import type { Address } from '../names.ts';
import type { Pipe, RegionValue } from '../spec/region.ts';
import { type ActorEnd, Handles, type Host, type Hosted } from './hosting.ts';

interface Settings {
  readonly address: Address;
  readonly input: Pipe;
  readonly readers: readonly Pipe[];
  readonly policy: MulticastInput['policy'];
  readonly slowAfterMs: number;
  readonly onReport: (report: MulticastReport) => void;
  readonly onEnd: (end: ActorEnd<{ error: ErrorData | null }>) => void;
}

interface Live {
  readonly settings: Settings;
  readonly hosted: Hosted<typeof multicastMachine>;
  /** The actor, for its figures. */
  readonly actor: { getSnapshot(): { context: { readers: readonly ReaderView[] } } };
  readonly abort: AbortController;
  packet: RegionValue | undefined;
}
const lives = new Handles<Live>('multicast');

export interface RunningMulticast {
  readonly hosted: Hosted<typeof multicastMachine>;
  readers(): readonly ReaderView[];
}

const multicastLogic = multicastMachine.provide({
  actions: {
    take: ({ self }) => take(lives.of(self)),
    offer: ({ self }, { reader, timeoutMs }) => offer(lives.of(self), reader, timeoutMs),
    giveUp: ({ self }) => lives.of(self).abort.abort(),
    letGo: ({ self }) => {
      const live = lives.of(self);
      live.packet?.release();
      live.packet = undefined;
    },
    report: ({ self }, report) => lives.of(self).settings.onReport(report),
  },
});

export function startMulticast(host: Host, settings: Settings): RunningMulticast {
  const { address, readers, policy, slowAfterMs, onEnd } = settings;
  let live: Live | undefined;
  const hosted = host.start(multicastLogic, {
    address,
    input: { readers: readers.map(({ name }) => name), policy, slowAfterMs },
    bind(actor, self) {
      live = {
        settings,
        hosted: self,
        actor: actor as Live['actor'],
        abort: new AbortController(),
        packet: undefined,
      };
      lives.bind(actor, live);
    },
    onEnd,
  });
  return { hosted, readers: () => live!.actor.getSnapshot().context.readers };
}

function take(live: Live): void {
  const { signal } = live.abort;
  live.settings.input.dequeue({ borrow: true, signal }).then(
    (packet) => {
      if (signal.aborted) return packet?.release();
      live.packet = packet;
      live.hosted.post({ type: 'packet.taken' });
    },
    (error) => fail(live, error),
  );
}

function offer(live: Live, reader: number, timeoutMs: number | null): void {
  const { signal } = live.abort;
  live.settings.readers[reader]!.enqueue(live.packet!, {
    signal,
    ...(timeoutMs !== null && { timeoutMs }),
  }).then(
    (taken) => live.hosted.post({ type: taken ? 'reader.took' : 'reader.late', reader }),
    (error) => fail(live, error),
  );
}

function fail(live: Live, error: unknown): void {
  if (live.abort.signal.aborted) return;
  const known =
    error instanceof IpcError ? error : IpcError.from(error, 'ERR_SYSTEM', 'a multicast', messageOf(error));
  live.hosted.post({ type: 'pipe.failed', error: known.toJSON() });
}
