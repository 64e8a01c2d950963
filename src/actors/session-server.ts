// Session server: the session server machine with a real listening socket.
import { type ErrorData, IpcError, messageOf } from '../errors.ts';
import type { incomingSessionMachine } from '../machines/incoming-session.ts';
import { type SessionServerReport, sessionServerMachine } from '../machines/session-server.ts';
import { type Address, addressOf } from '../names.ts';
import type { Claim } from '../transport/run-directory.ts';
import { Handles, type Host, type Hosted } from './hosting.ts';
import { type AcceptedLogin, type LoginSettings, refuseConnection, startLogin } from './incoming-session.ts';

interface Settings {
  readonly address: Address;
  readonly login: LoginSettings;
  /** Log-ins that may be under way at once. */
  readonly pendingMax: number;
  /** Asks for the right to serve the app. @throws {IpcError} */
  readonly claim: () => Promise<Claim>;
  readonly onReport: (report: SessionServerReport) => void;
  readonly onAccepted: (number: number, login: AcceptedLogin) => void;
  /** Each refused log-in, for the log. */
  readonly onRefused: (error: ErrorData) => void;
}

interface Live {
  readonly host: Host;
  readonly settings: Settings;
  hosted: Hosted<typeof sessionServerMachine> | undefined;
  readonly logins: Set<Hosted<typeof incomingSessionMachine>>;
  claim: Claim | undefined;
  released: boolean;
}
const lives = new Handles<Live>('listener');

const sessionServerLogic = sessionServerMachine.provide({
  actions: {
    report: ({ self }, report) => lives.of(self).settings.onReport(report),
    claim: ({ self }) => void claim(lives.of(self)),
    listen: ({ self }) => listen(lives.of(self)),
    beginLogin: ({ self }, { connection, number }) => beginLogin(lives.of(self), connection, number),
    refuseConnection: ({ self, context }, { connection }) => {
      const error = IpcError.of('ERR_SERVER_BUSY', context.app, context.pendingMax);
      lives.of(self).settings.onRefused(error.toJSON());
      refuseConnection(connection, error);
    },
    release: ({ self }) => release(lives.of(self)),
  },
});

export function startSessionServer(host: Host, settings: Settings): Hosted<typeof sessionServerMachine> {
  const live: Live = {
    host,
    settings,
    hosted: undefined,
    logins: new Set(),
    claim: undefined,
    released: false,
  };
  return host.start(sessionServerLogic, {
    address: settings.address,
    input: { app: settings.login.policy.app.name, pendingMax: settings.pendingMax },
    bind(actor, self) {
      live.hosted = self;
      lives.bind(actor, live);
    },
    onEnd: () => release(live),
  });
}

async function claim(live: Live): Promise<void> {
  try {
    const claimed = await live.settings.claim();
    // Stopped in the meantime.
    if (live.released) return claimed.release();
    live.claim = claimed;
    live.hosted!.post({ type: 'claim.granted' });
  } catch (error) {
    live.hosted!.post({ type: 'claim.refused', error: asIpcError(error).toJSON() });
  }
}

function listen(live: Live): void {
  live.claim!.listener.listen((connection) => {
    if (connection >= 0) live.hosted!.post({ type: 'connection.accepted', connection });
    else {
      const error = IpcError.of('ERR_SYSTEM', 'accepting a connection', `system error ${-connection}`);
      live.hosted!.post({ type: 'listener.failed', error: error.toJSON() });
    }
  });
}

function beginLogin(live: Live, connection: number, number: number): void {
  const { host, settings } = live;
  const login = startLogin(host, settings.login, {
    address: addressOf(settings.address, `login#${number}`),
    number,
    connection,
    onEnd(end, accepted) {
      live.logins.delete(login);
      if (accepted) settings.onAccepted(number, accepted);
      else if (end.how !== 'accepted') settings.onRefused(end.error);
      live.hosted!.post({ type: accepted ? 'login.accepted' : 'login.refused' });
    },
  });
  live.logins.add(login);
}

function release(live: Live): void {
  live.released = true;
  for (const login of live.logins) login.post({ type: 'stop' });
  live.claim?.release();
  live.claim = undefined;
}

function asIpcError(error: unknown): IpcError {
  return error instanceof IpcError
    ? error
    : IpcError.from(error, 'ERR_SYSTEM', 'claiming the app', messageOf(error));
}
