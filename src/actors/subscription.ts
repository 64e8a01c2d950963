// Subscription: the subscription machine with a real reading end of a broadcast.
import { IpcError } from '../errors.ts';
import { type SubscriptionEvent, subscriptionMachine } from '../machines/subscription.ts';
import type { Address } from '../names.ts';
import type { BroadcastOptions } from '../spec/broadcast-spec.ts';
import { BroadcastSubscription } from '../transport/broadcast-subscription.ts';
import type { Link } from '../transport/link.ts';
import { Handles, type Host, type Hosted } from './hosting.ts';

export interface RunningSubscription {
  readonly hosted: Hosted<typeof subscriptionMachine>;
  readonly end: BroadcastSubscription;
}

interface Settings {
  readonly address: Address;
  readonly name: string;
  readonly options: BroadcastOptions;
  readonly link: Link;
  readonly lane: number;
  /** Asks the server for the memory of the broadcast. */
  readonly ask: (number: number) => void;
  /** Tells the server that nothing is read any more. */
  readonly leave: () => void;
  readonly onBroken: (why: string) => void;
  /** The session's error, once it is hosed. */
  readonly errorOf: () => IpcError | undefined;
}

interface Live {
  readonly end: BroadcastSubscription;
  readonly settings: Settings;
  /** What its handle still does is nobody's news. */
  over: boolean;
}
const lives = new Handles<Live>('subscription');

const subscriptionLogic = subscriptionMachine.provide({
  actions: {
    ask: ({ self }, { number }) => lives.of(self).settings.ask(number),
    leave: ({ self }) => lives.of(self).settings.leave(),
    finish: ({ self }, { how }) => {
      const live = lives.of(self);
      const { end, settings } = live;
      const error = settings.errorOf();
      live.over = true;
      if (how === 'closed') end.unsubscribe();
      end.finish(
        how === 'hosed' && error
          ? IpcError.from(error.cause, 'ERR_CHANNEL_HOSED', end.name, error.message)
          : IpcError.of('ERR_CHANNEL_CLOSED', end.name),
      );
    },
  },
});

export function startSubscription(host: Host, settings: Settings): RunningSubscription {
  const { address, name, options, link, lane } = settings;
  const post = (event: SubscriptionEvent) => {
    if (!live.over) hosted.post(event);
  };
  const end = new BroadcastSubscription(name, options, link, lane, {
    ask: (number) => post({ type: 'subscribe', number }),
    admitted: (number) => post({ type: 'server.admitted', number }),
    dropped: (number) => post({ type: 'reader.dropped', number }),
    leave: () => post({ type: 'unsubscribe' }),
    broken: settings.onBroken,
  });
  const live: Live = { end, settings, over: false };
  const hosted: Hosted<typeof subscriptionMachine> = host.start(subscriptionLogic, {
    address,
    input: { name },
    bind: (actor) => lives.bind(actor, live),
  });
  return { hosted, end };
}
