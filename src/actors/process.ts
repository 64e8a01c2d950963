// Process: the two process machines with real sessions: a program that serves an app, and one that connects to it.
import type { AnyActorLogic } from 'xstate';
import type { ErrorData } from '../errors.ts';
import type { appSessionMachine } from '../machines/app-session.ts';
import { type LoginPolicy, protocolVersions } from '../machines/login.ts';
import { clientProcessMachine, type Reconnect, serverProcessMachine } from '../machines/process.ts';
import type { SessionReport } from '../machines/session.ts';
import type { sessionServerMachine } from '../machines/session-server.ts';
import { type Address, addressOf } from '../names.ts';
import type { AppSpec } from '../spec/universe.ts';
import type { BroadcastPublisher } from '../transport/broadcast-publisher.ts';
import { native } from '../transport/native.ts';
import type { Claim } from '../transport/run-directory.ts';
import { AppScopes } from './app-scope.ts';
import { type AppSessionResult, startAppSession } from './app-session.ts';
import { Handles, type Host, type Hosted } from './hosting.ts';
import type { AcceptedLogin } from './incoming-session.ts';
import type { RunningSession, SessionLimits } from './live-session.ts';
import { acceptSession, dialSession } from './session.ts';
import { startSessionServer } from './session-server.ts';

// ---- server

export interface ServerSettings {
  readonly address: Address;
  readonly app: AppSpec;
  /** The machine for the sessions of each client app. */
  readonly machineFor: (clientApp: string) => AnyActorLogic;
  /** What runs for all sessions of a client app, where the program wants that. */
  readonly appScope: Readonly<Record<string, AnyActorLogic>>;
  readonly limits: SessionLimits;
  readonly pendingMax: number;
  readonly metadata: unknown;
  readonly stopTimeoutMs: number;
  readonly claim: () => Promise<Claim>;
  readonly runs: (app: string, pid: number, startTicks: number) => Promise<boolean | undefined>;
  /** The writing ends of the app's broadcasts; whoever gives them ends them. */
  readonly publishers: Readonly<Record<string, BroadcastPublisher>>;
  readonly onServing: () => void;
  readonly onEnd: (error: ErrorData | null) => void;
}

interface ServedSession {
  readonly running: RunningSession;
  app: Hosted<typeof appSessionMachine> | undefined;
}

interface Server {
  readonly host: Host;
  readonly settings: ServerSettings;
  readonly sessions: Map<number, ServedSession>;
  readonly scopes: AppScopes;
  hosted: Hosted<typeof serverProcessMachine> | undefined;
  listener: Hosted<typeof sessionServerMachine> | undefined;
  stopping: boolean;
}
const servers = new Handles<Server>('server');

const serverProcessLogic = serverProcessMachine.provide({
  actions: {
    startServer: ({ self }) => startListening(servers.of(self)),
    reportServing: ({ self }) => servers.of(self).settings.onServing(),
    stopServer: ({ self }) => servers.of(self).listener?.post({ type: 'stop' }),
    closeSessions: ({ self }) => closeSessions(servers.of(self)),
  },
});

export function startServerProcess(
  host: Host,
  settings: ServerSettings,
): Hosted<typeof serverProcessMachine> {
  const server: Server = {
    host,
    settings,
    sessions: new Map(),
    scopes: new AppScopes(host, {
      address: settings.address,
      app: settings.app,
      logicFor: settings.appScope,
    }),
    hosted: undefined,
    listener: undefined,
    stopping: false,
  };
  return host.start(serverProcessLogic, {
    address: settings.address,
    input: { app: settings.app.name, stopTimeoutMs: settings.stopTimeoutMs },
    bind(actor, self) {
      server.hosted = self;
      servers.bind(actor, server);
    },
    onEnd(end) {
      server.scopes.close();
      settings.onEnd(end.how === 'done' ? end.output.error : null);
    },
  });
}

function startListening(server: Server): void {
  const { host, settings } = server;
  const { log } = host;
  const app = settings.app.name;
  server.listener = startSessionServer(host, {
    address: addressOf(settings.address, 'listener'),
    login: {
      policy: policyOf(settings.app),
      limits: settings.limits,
      metadata: settings.metadata,
      runs: settings.runs,
    },
    pendingMax: settings.pendingMax,
    claim: settings.claim,
    onReport: (report) => server.hosted!.post(report),
    onAccepted: (number, login) => serveSession(server, number, login),
    onRefused: (error) => log.warn({ app, ...error }, `a log-in to app ${app} was refused: ${error.message}`),
  });
}

/** Who may log in, as the universe says. Apps without a uid of their own run as we do. */
function policyOf(app: AppSpec): LoginPolicy {
  return {
    app,
    versions: protocolVersions,
    layoutHash: native().layout.hash,
    own: { uid: process.getuid!(), gid: process.getgid!() },
  };
}

function serveSession(server: Server, number: number, login: AcceptedLogin): void {
  const { host, settings } = server;
  const address = addressOf(settings.address, `session#${number}`);
  const served: ServedSession = {
    app: undefined,
    running: acceptSession(host, {
      address,
      server: settings.app,
      limits: settings.limits,
      publishers: settings.publishers,
      scope: server.scopes.of(login.peer.app),
      ...login,
      onReport: (report) => onServed(server, number, served, report),
    }),
  };
  server.sessions.set(number, served);
}

function onServed(server: Server, number: number, served: ServedSession, report: SessionReport): void {
  const { host, settings } = server;
  if (report.type !== 'session.opened')
    return passOn(host, settings.app.name, served.running, served.app, report);
  server.hosted!.post({ type: 'session.opened' });
  served.app = startAppSession(host, {
    address: addressOf(settings.address, `app-session#${number}`),
    number,
    running: served.running,
    machine: settings.machineFor(served.running.session.peer.app),
    onEnd(result) {
      server.sessions.delete(number);
      logCrash(host, settings.app.name, result);
      server.hosted!.post({ type: 'session.ended' });
    },
  });
  // A log-in that was under way when we began to stop.
  if (server.stopping) served.app.post({ type: 'close', reason: stoppingReason });
}

const stoppingReason = 'its process stops';

function closeSessions(server: Server): void {
  server.stopping = true;
  for (const { app, running } of [...server.sessions.values()].reverse()) {
    if (app) app.post({ type: 'close', reason: stoppingReason });
    else running.hosted.post({ type: 'close', reason: stoppingReason });
  }
}

// ---- client

export interface ClientSettings {
  readonly address: Address;
  readonly client: AppSpec;
  readonly server: AppSpec;
  readonly machine: AnyActorLogic;
  readonly limits: SessionLimits;
  readonly metadata: unknown;
  readonly reconnect: Reconnect;
  readonly stopTimeoutMs: number;
  readonly socketPath: string;
  readonly onOpen: () => void;
  readonly onEnd: (error: ErrorData | null) => void;
}

interface Client {
  readonly host: Host;
  readonly settings: ClientSettings;
  hosted: Hosted<typeof clientProcessMachine> | undefined;
  number: number;
  openedAtMs: number;
  running: RunningSession | undefined;
  app: Hosted<typeof appSessionMachine> | undefined;
  waitingFor: string;
}
const clients = new Handles<Client>('client');

const clientProcessLogic = clientProcessMachine.provide({
  actions: {
    openSession: ({ self }) => openSession(clients.of(self)),
    reportOpen: ({ self }) => clients.of(self).settings.onOpen(),
    reportWaiting: ({ self }, error) => reportWaiting(clients.of(self), error),
    closeSession: ({ self }) => {
      const { app, running } = clients.of(self);
      if (app) app.post({ type: 'close', reason: stoppingReason });
      else running?.hosted.post({ type: 'close', reason: stoppingReason });
    },
  },
});

export function startClientProcess(
  host: Host,
  settings: ClientSettings,
): Hosted<typeof clientProcessMachine> {
  const client: Client = {
    host,
    settings,
    hosted: undefined,
    number: 0,
    openedAtMs: 0,
    running: undefined,
    app: undefined,
    waitingFor: '',
  };
  return host.start(clientProcessLogic, {
    address: settings.address,
    input: {
      app: settings.client.name,
      server: settings.server.name,
      reconnect: settings.reconnect,
      stopTimeoutMs: settings.stopTimeoutMs,
      seed: (Math.random() * 2 ** 32) | 0,
    },
    bind(actor, self) {
      client.hosted = self;
      clients.bind(actor, client);
    },
    onEnd: (end) => settings.onEnd(end.how === 'done' ? end.output.error : null),
  });
}

/** A fresh actor for each try: what an earlier one had begun can't get in its way. */
function openSession(client: Client): void {
  const { host, settings } = client;
  const number = ++client.number;
  client.app = undefined;
  const running: RunningSession = dialSession(host, {
    address: addressOf(settings.address, `session#${number}`),
    server: settings.server,
    client: settings.client,
    limits: settings.limits,
    metadata: settings.metadata,
    socketPath: settings.socketPath,
    onReport: (report) => onClientReport(client, number, running, report),
  });
  client.running = running;
}

function onClientReport(
  client: Client,
  number: number,
  running: RunningSession,
  report: SessionReport,
): void {
  const { host, settings } = client;
  if (report.type === 'session.failed') {
    client.hosted!.post({ type: 'session.failed', error: report.error, atMs: host.clock.now() });
    return;
  }
  if (report.type !== 'session.opened')
    return passOn(host, settings.client.name, running, client.app, report);
  client.openedAtMs = host.clock.now();
  client.app = startAppSession(host, {
    address: addressOf(settings.address, `app-session#${number}`),
    number,
    running,
    machine: settings.machine,
    onEnd: (result) => onClientSessionEnd(client, result),
  });
  client.waitingFor = '';
  client.hosted!.post({ type: 'session.opened' });
}

function onClientSessionEnd(client: Client, result: AppSessionResult): void {
  const { host, settings } = client;
  logCrash(host, settings.client.name, result);
  client.app = undefined;
  const atMs = host.clock.now();
  // A peer that died comes back as soon as it can; one that sends us away again and again is left in peace for a while.
  const refused =
    result.crash !== null || (result.end?.how === 'hosed' && result.end.reason === 'peer.goodbye');
  client.hosted!.post({ type: 'session.ended', atMs, refused, lastedMs: atMs - client.openedAtMs });
}

function reportWaiting(client: Client, error: ErrorData): void {
  const { host, settings } = client;
  // The same reason again is no news.
  const level = client.waitingFor === error.message ? 'debug' : 'info';
  client.waitingFor = error.message;
  host.log[level](
    { app: settings.client.name, ...error },
    `no session with ${settings.server.name} yet: ${error.message}`,
  );
}

// ---- both

/** Logs what a session reports, and tells its app session. */
function passOn(
  host: Host,
  own: string,
  { session }: RunningSession,
  app: Hosted<typeof appSessionMachine> | undefined,
  report: Exclude<SessionReport, { type: 'session.opened' }>,
): void {
  const { peer } = session;
  const facts = { app: own, peer: peer.app, pid: peer.pid };
  if (report.type === 'session.hosed')
    // A goodbye is how an orderly end looks from the other side.
    host.log[report.reason === 'peer.goodbye' ? 'info' : 'warn'](
      { ...facts, reason: report.reason },
      `session of ${own} with ${peer.app} hosed: ${report.reason}: ${report.why}`,
    );
  else if (report.type === 'session.closed')
    host.log.info(facts, `session of ${own} with ${peer.app} closed: ${report.reason}`);
  else if (report.type === 'peer.stalled')
    host.log.warn(facts, `the event loop of ${peer.app} has not turned for ${report.ms} ms`);
  else if (report.type === 'peer.resumed') host.log.info(facts, `the event loop of ${peer.app} turns again`);
  if (report.type !== 'session.failed') app?.post(report);
}

function logCrash({ log }: Host, app: string, { crash }: AppSessionResult): void {
  if (crash) log.error({ app, ...crash }, crash.message);
}
