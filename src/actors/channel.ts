// Channel: the channel machine with a real end of a lane, once there is one.
import { type ErrorData, IpcError } from '../errors.ts';
import { type ChannelInput, type ChannelReport, channelMachine } from '../machines/channel.ts';
import type { Address } from '../names.ts';
import type { Stray } from '../spec/conversation.ts';
import type { Peer } from '../spec/peer.ts';
import type { ChannelEnd } from '../transport/channel-end.ts';
import { Handles, type Host, type Hosted } from './hosting.ts';

export interface RunningChannel {
  readonly hosted: Hosted<typeof channelMachine>;
  readonly end: ChannelEnd;
}

/** What a channel says to the peer's side of it. */
export interface ChannelWire {
  offer(): void;
  withdraw(): void;
  reject(error: ErrorData): void;
  part(): void;
}

interface Settings extends ChannelInput {
  readonly address: Address;
  /** Our end; an on-demand channel has none before it is accepted. */
  readonly endOf: () => ChannelEnd | undefined;
  readonly wire: ChannelWire;
  readonly onReport: (report: ChannelReport) => void;
  /** The session's error, once it is hosed. */
  readonly errorOf: () => IpcError | undefined;
}

interface Live {
  readonly hosted: Hosted<typeof channelMachine>;
  readonly settings: Settings;
}
const lives = new Handles<Live>('channel');

const channelLogic = channelMachine.provide({
  actions: {
    report: ({ self }, report) => lives.of(self).settings.onReport(report),
    sendOffer: ({ self }) => lives.of(self).settings.wire.offer(),
    sendWithdrawal: ({ self }) => lives.of(self).settings.wire.withdraw(),
    sendRejection: ({ self }, error) => lives.of(self).settings.wire.reject(error),
    part: ({ self }) => lives.of(self).settings.wire.part(),
    drain: ({ self }, limit) => {
      const { hosted, settings } = lives.of(self);
      settings
        .endOf()!
        .drain(limit)
        .then(
          () => hosted.post({ type: 'lane.drained' }),
          () => hosted.post({ type: 'drain.failed' }),
        );
    },
    openForUse: ({ self }) => lives.of(self).settings.endOf()!.openForUse(),
    finish: ({ self, context }, { how }) => {
      const { settings } = lives.of(self);
      const end = settings.endOf()!;
      const error = settings.errorOf();
      if (how === 'hosed' && error)
        end.finish(IpcError.from(error.cause, 'ERR_CHANNEL_HOSED', end.name, error.message));
      else end.finish(IpcError.of('ERR_CHANNEL_CLOSED', end.name), context.opening !== 'init');
    },
  },
});

export function startChannel(host: Host, settings: Settings): Hosted<typeof channelMachine> {
  const { address, name, drainTimeoutMs, opening } = settings;
  return host.start(channelLogic, {
    address,
    input: { name, drainTimeoutMs, opening },
    bind: (actor, self) => lives.bind(actor, { settings, hosted: self }),
  });
}

const strayWords: Record<Stray['type'], string> = {
  'reply.late': 'a reply came after its request was given up',
  'reply.unknown': 'a reply came to what was never asked',
  'reply.refused': 'the peer had no use for a reply',
  'message.rejected': 'a message did not fit its schema',
  'message.unexpected': 'a message was dropped because nobody takes any',
  'request.unhandled': 'nobody answered a request',
};

/** Nobody's mistake: whoever gives up a request, or reads no further, leaves replies on their way. */
const expected: ReadonlySet<Stray['type']> = new Set(['reply.late', 'reply.refused']);

/** Logs the first of each type; how many there were is in the channel's `stats()`. */
export function logStrays({ log }: Host, name: string, peerOf: () => Peer): (stray: Stray) => void {
  const logged = new Set<Stray['type']>();
  return (stray) => {
    if (logged.has(stray.type)) return;
    logged.add(stray.type);
    const request = 'request' in stray && stray.request !== undefined ? { request: stray.request } : {};
    const why = stray.type === 'message.rejected' ? `: ${stray.error.message}` : '';
    const peer = peerOf().app;
    log[expected.has(stray.type) ? 'debug' : 'warn'](
      { channel: name, peer, stray: stray.type, ...request },
      `channel ${name} with ${peer}: ${strayWords[stray.type]}${why}; further ones are only counted`,
    );
  };
}
