// NATS dial: opens a connection to a server of the engine, or says in one sentence why there is none and what to change.
import { readFileSync } from 'node:fs';
import type { Authenticator, NatsConnection as Client } from '@nats-io/transport-node';
import { IpcError, messageOf } from '../errors.ts';
import { natsInbox } from '../spec/nats-grants.ts';
import { type NatsAuth, type NatsOptions, natsDefaults, natsVersionMin } from '../spec/relay-nats.ts';

/** How often a silent connection is tried, and how many tries may go without an answer. */
const pingMs = 2_000;
const pingsMax = 2;

export const jetStreamOff =
  'JetStream is off there; start nats-server with -js, or with jetstream { store_dir: ... } in its configuration';

/**
 * Connects to one of the servers; `alone`: to none but those that are named, whatever others there are.
 * @throws {IpcError} ERR_RELAY_UNAVAILABLE, ERR_RELAY_REFUSED, ERR_RELAY_CONFIG.
 */
export async function dialNats(options: NatsOptions, { alone = false } = {}): Promise<Client> {
  const core = await import('@nats-io/transport-node');
  const { servers, node, tls, role = 'front' } = options;
  try {
    return await core.connect({
      servers: [...servers],
      name: node,
      inboxPrefix: natsInbox(role),
      reconnectTimeWait: 100,
      reconnectJitter: 100,
      maxReconnectAttempts: -1,
      pingInterval: pingMs,
      maxPingOut: pingsMax,
      timeout: Math.min(5_000, options.timeoutMs ?? natsDefaults.openTimeoutMs),
      ...(alone && { ignoreClusterUpdates: true, reconnect: false }),
      ...(options.auth && { authenticator: authenticatorOf(core, options.auth) }),
      ...(tls && {
        tls: {
          caFile: tls.ca,
          ...(tls.cert !== undefined && { certFile: tls.cert }),
          ...(tls.key !== undefined && { keyFile: tls.key }),
          ...(tls.serverName !== undefined && { servername: tls.serverName }),
        },
      }),
    });
  } catch (error) {
    if (error instanceof IpcError) throw error;
    throw refused(error, servers.join(', '), core);
  }
}

/** What is to be done about a server of that version; undefined: nothing. */
export function tooOld(version: string): string | undefined {
  if (!olderThan(version, natsVersionMin)) return undefined;
  return `it is nats-server ${version}, and ${natsVersionMin} or later is needed; upgrade it`;
}

type Core = typeof import('@nats-io/transport-node');

function authenticatorOf(core: Core, auth: NatsAuth): Authenticator {
  const read = (file: string) => {
    try {
      return readFileSync(file, 'utf8').trimEnd();
    } catch (error) {
      throw IpcError.from(error, 'ERR_RELAY_CONFIG', `auth with ${file}`, messageOf(error));
    }
  };
  if ('user' in auth) return core.usernamePasswordAuthenticator(auth.user, read(auth.passwordFile));
  if ('tokenFile' in auth) return core.tokenAuthenticator(read(auth.tokenFile));
  return core.nkeyAuthenticator(new TextEncoder().encode(read(auth.nkeySeedFile)));
}

function refused(error: unknown, where: string, core: Core): IpcError {
  const why = messageOf(error);
  if (error instanceof core.AuthorizationError || /authorization|authentication/i.test(why))
    return IpcError.from(
      error,
      'ERR_RELAY_REFUSED',
      where,
      `${why}; look at "auth" and at the server's users`,
    );
  if (/certificate|self.signed|tls|ssl|CERT/i.test(why))
    return IpcError.from(
      error,
      'ERR_RELAY_REFUSED',
      where,
      `${why}; look at "tls" and at the server's certificates`,
    );
  return IpcError.from(
    error,
    'ERR_RELAY_UNAVAILABLE',
    `nats-server at ${where}`,
    `${why}; start it there, or say "managed: true" for one on this machine`,
  );
}

function olderThan(version: string, wanted: string): boolean {
  const [found, least] = [version, wanted].map((text) =>
    text.split('.').map((part) => Number.parseInt(part, 10) || 0),
  );
  for (const [index, part] of least!.entries()) {
    if ((found![index] ?? 0) !== part) return (found![index] ?? 0) < part;
  }
  return false;
}
