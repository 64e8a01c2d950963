// Channel: the channel machine with a real end of a lane.
import { IpcError } from '../errors.ts';
import { type ChannelReport, channelMachine } from '../machines/channel.ts';
import type { Address } from '../names.ts';
import type { Peer, Side, Stray } from '../spec/session.ts';
import type { ChannelSpec } from '../spec/universe.ts';
import { ChannelEnd } from '../transport/channel-end.ts';
import type { Link } from '../transport/link.ts';
import type { SessionMemory } from '../transport/session-memory.ts';
import { Handles, type Host, type Hosted } from './hosting.ts';

export interface RunningChannel {
  readonly hosted: Hosted<typeof channelMachine>;
  readonly end: ChannelEnd;
}

interface Settings {
  readonly address: Address;
  readonly name: string;
  readonly options: ChannelSpec;
  readonly side: Side;
  readonly peerOf: () => Peer;
  readonly link: Link;
  readonly lane: number;
  readonly memory: SessionMemory | undefined;
  readonly drainTimeoutMs: number;
  readonly onReport: (report: ChannelReport) => void;
  readonly onBroken: (why: string) => void;
  readonly sendHandle: (number: number, fd: number) => void;
  /** The session's error, once it is hosed. */
  readonly errorOf: () => IpcError | undefined;
}

interface Live {
  readonly end: ChannelEnd;
  readonly hosted: Hosted<typeof channelMachine>;
  readonly settings: Settings;
}
const lives = new Handles<Live>('channel');

const channelLogic = channelMachine.provide({
  actions: {
    report: ({ self }, report) => lives.of(self).settings.onReport(report),
    drain: ({ self }, limit) => {
      const { end, hosted } = lives.of(self);
      end.drain(limit).then(
        () => hosted.post({ type: 'lane.drained' }),
        () => hosted.post({ type: 'drain.failed' }),
      );
    },
    openForUse: ({ self }) => lives.of(self).end.openForUse(),
    finish: ({ self }, { how }) => {
      const { end, settings } = lives.of(self);
      const error = settings.errorOf();
      end.finish(
        how === 'hosed' && error
          ? IpcError.from(error.cause, 'ERR_CHANNEL_HOSED', end.name, error.message)
          : IpcError.of('ERR_CHANNEL_CLOSED', end.name),
      );
    },
  },
});

export function startChannel(host: Host, settings: Settings): RunningChannel {
  const { address, name, options, link, lane, memory, drainTimeoutMs } = settings;
  const observer = {
    peerEnded: () => hosted.post({ type: 'peer.ended' }),
    broken: settings.onBroken,
    stray: logStrays(host, settings),
    sendHandle: settings.sendHandle,
  };
  const end = new ChannelEnd(name, options, link, lane, observer, memory, settings);
  const hosted: Hosted<typeof channelMachine> = host.start(channelLogic, {
    address,
    input: { name, drainTimeoutMs },
    bind: (actor, self) => lives.bind(actor, { end, settings, hosted: self }),
  });
  return { hosted, end };
}

const strayWords: Record<Stray['type'], string> = {
  'reply.late': 'a reply came after its request was given up',
  'reply.unknown': 'a reply came to what was never asked',
  'reply.refused': 'the peer had no use for a reply',
  'message.rejected': 'a message did not fit its schema',
  'message.unexpected': 'a message was dropped because nobody takes any',
  'request.unhandled': 'nobody answered a request',
};

/** Logs the first of each type; how many there were is in the channel's `stats()`. */
function logStrays({ log }: Host, { name, peerOf }: Settings): (stray: Stray) => void {
  const logged = new Set<Stray['type']>();
  return (stray) => {
    if (logged.has(stray.type)) return;
    logged.add(stray.type);
    const request = 'request' in stray && stray.request !== undefined ? { request: stray.request } : {};
    const why = stray.type === 'message.rejected' ? `: ${stray.error.message}` : '';
    const peer = peerOf().app;
    log.warn(
      { channel: name, peer, stray: stray.type, ...request },
      `channel ${name} with ${peer}: ${strayWords[stray.type]}${why}; further ones are only counted`,
    );
  };
}
