// App session: the app session machine with the user's machine inside, and the way from an actor to its session.
import { createHash } from 'node:crypto';
import type { AnyActorLogic, AnyEventObject } from 'xstate';
import { type ErrorData, IpcError, messageOf } from '../errors.ts';
import { appSessionMachine, type SessionEnd } from '../machines/app-session.ts';
import { type Address, addressOf } from '../names.ts';
import { Handles, type Host, type Hosted, sharedHandles } from './hosting.ts';
import type { RunningSession } from './live-session.ts';

/** How an app session ended, for the process that it belongs to. */
export interface AppSessionResult {
  readonly end: SessionEnd | undefined;
  readonly crash: ErrorData | null;
}

interface Settings {
  readonly address: Address;
  readonly number: number;
  readonly running: RunningSession;
  /** The user's machine, or a session kind. */
  readonly machine: AnyActorLogic;
  readonly onEnd: (result: AppSessionResult) => void;
}

interface Live {
  readonly host: Host;
  readonly settings: Settings;
  hosted: Hosted<typeof appSessionMachine> | undefined;
  user: Hosted<AnyActorLogic> | undefined;
  /** Ends that those who look on see it. */
  hide: (() => void) | undefined;
}
const lives = new Handles<Live>('app session');

const appSessionLogic = appSessionMachine.provide({
  actions: {
    attach: ({ self }) => lives.of(self).settings.running.hosted.post({ type: 'attach' }),
    begin: ({ self }) => begin(lives.of(self)),
    closeSession: ({ self }, close) =>
      lives.of(self).settings.running.hosted.post({ type: 'close', ...close }),
    tellUser: ({ self }, end) => tellUser(lives.of(self), end),
    stopUser: ({ self }) => lives.of(self).user?.stop(),
    tellChannelClosed: ({ self }, closed) => tell(lives.of(self), { type: 'channel.closed', ...closed }),
    tellLife: ({ self }, life) => tell(lives.of(self), life),
    releaseSession: ({ self }) => lives.of(self).settings.running.hosted.post({ type: 'release' }),
  },
});

export function startAppSession(host: Host, settings: Settings): Hosted<typeof appSessionMachine> {
  const live: Live = { host, settings, hosted: undefined, user: undefined, hide: undefined };
  return host.start(appSessionLogic, {
    address: settings.address,
    input: { number: settings.number, peerApp: settings.running.session.peer.app },
    bind(actor, self) {
      live.hosted = self;
      lives.bind(actor, live);
    },
    onEnd(end) {
      live.hide?.();
      settings.onEnd(end.how === 'done' ? end.output : { end: undefined, crash: null });
    },
  });
}

function begin(live: Live): void {
  const { host, settings } = live;
  const { session } = settings.running;
  const address = addressOf(settings.address, 'machine');
  live.hide = host.showSession({
    machine: address,
    link: linkOf(session.token),
    peer: session.peer,
    channels: () => session.openChannels(),
  });
  live.user = host.start(settings.machine, {
    address,
    input: { peer: session.peer },
    bind: (actor) => sessions.bind(actor, session),
    onEnd(end) {
      if (end.how === 'crashed') {
        const error = IpcError.from(end.error, 'ERR_MACHINE_CRASHED', session.peer.app, messageOf(end.error));
        live.hosted!.post({ type: 'user.crashed', error: error.toJSON() });
      } else if (end.how === 'done') live.hosted!.post({ type: 'user.done' });
    },
  });
  const { user } = live;
  // A machine gets messages as events only where it asks for them; the other channels are the faster for it.
  const wanted = new Set(eventsOf(settings.machine));
  const wants = (type: string) => wanted.has(type) || wanted.has(`${type.slice(0, type.indexOf('.'))}.*`);
  for (const [name, channel] of Object.entries(session.channels)) {
    const type = `message.${name}`;
    if (!wants(type)) continue;
    channel.deliverTo((message, request, requestId, handle) => {
      // Written out: spreading what is not there takes as long as all the rest of the event.
      if (handle === undefined) user.post({ type, message, request, requestId });
      else user.post({ type, message, request, requestId, handle });
    });
  }
  for (const [broadcast, subscription] of Object.entries(session.subscriptions)) {
    subscription.onDropped((error) => tell(live, { type: 'subscription.dropped', broadcast, error }));
    const type = `broadcast.${broadcast}`;
    if (!wants(type)) continue;
    subscription.deliverTo((message, gap) => user.post({ type, message, gap }));
  }
  // After the machine's first step, which may already send.
  host.later(() =>
    session.listen({
      offered: wants('channel.offered')
        ? (offer) => user.post({ type: 'channel.offered', ...offer })
        : undefined,
      opened(via) {
        const type = `message.${via.name}`;
        if (!wants(type)) return;
        via.deliverTo((message, request, requestId, handle) => {
          if (handle === undefined) user.post({ type, message, request, requestId, via });
          else user.post({ type, message, request, requestId, via, handle });
        });
      },
      closed: (via) => tell(live, { type: 'channel.closed', channel: via.name, via }),
    }),
  );
}

/** Names a session for those who look on, who need not know its token. */
function linkOf(token: string): string {
  return createHash('sha256').update(token).digest('hex').slice(0, 16);
}

/** A machine leaves out what it has no use for; a kind would keep it in its inbox, so it gets only what it names. */
function tell({ user, settings: { machine } }: Live, event: AnyEventObject): void {
  if (!('kindName' in machine) || eventsOf(machine).includes(event.type)) user?.post(event);
}

/** The events that it names; what is no machine may have such a list. */
function eventsOf(logic: AnyActorLogic): readonly string[] {
  return 'events' in logic && Array.isArray(logic.events) ? logic.events : [];
}

function tellUser({ user, settings }: Live, end: SessionEnd): void {
  const { session } = settings.running;
  const { side } = session;
  if (end.how === 'closed') user?.post({ type: 'session.closed', side, reason: end.reason });
  else {
    const error = session.error ?? IpcError.of('ERR_SESSION_HOSED', session.peer.app, end.why);
    user?.post({ type: 'session.hosed', side, reason: end.reason, error, unread: session.unread() });
  }
}

/** The session of each user's machine, and of the kinds that such a machine has spawned. */
const sessions = sharedHandles<RunningSession['session']>('session');

/** Makes the session of one actor that of another one, which it has started by the host. */
export function passSession(from: object, to: object): void {
  const session = sessionOfActor(from);
  if (session) sessions.bind(to, session);
}

/** The session of an actor: its own, or that of the machine which invoked or spawned it. */
export function sessionOfActor(actor: object): RunningSession['session'] | undefined {
  for (let at: object | undefined = actor; at; at = (at as { _parent?: object })._parent) {
    const session = sessions.find(at);
    if (session) return session;
  }
  return undefined;
}
