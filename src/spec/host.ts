// Host: the machines of a topology whose units run on several. Each has a root of its own for its units; the roots reach each other
// by a relay, of links or of NATS.
import type { LinkTls, RelayEndpoint } from './relay-link.ts';
import type { NatsAuth, NatsTls } from './relay-nats.ts';

export interface HostSpec {
  /** What the machine calls itself, for `run` without `--host`. */
  readonly hostname: string;
  /** Files of this machine, for links. */
  readonly tls?: LinkTls | undefined;
}

/** How the roots reach each other. */
export type HostsRelay = (
  | {
      readonly mode: 'link';
      /** The host whose root the others connect to. */
      readonly hub: string;
      /** Where the hub is reached; otherwise by `path`, on one machine. */
      readonly address?: string | undefined;
      readonly port?: number | undefined;
      readonly path?: string | undefined;
      /** Hosts without TLS are let in over the network. */
      readonly insecure?: boolean | undefined;
      /** Where the hub listens, if that is another address than the one by which it is reached. */
      readonly bind?: string | undefined;
    }
  | {
      readonly mode: 'nats';
      readonly servers: readonly string[];
      readonly auth?: NatsAuth | undefined;
      readonly tls?: NatsTls | undefined;
      readonly replicas: number;
    }
) & {
  /** A host of which nothing is heard for so long is silent: what its units do is unknown then. */
  readonly silentAfterMs: number;
};

export const hostsDefaults = { port: 7890, silentAfterMs: 10_000 } as const;
/** Signs of life come four times in this time, and each is a write. */
export const silentAfterMinMs = 2_000;

/** Where the hub of links is reached. */
export function endpointOf({ address, port, path }: HostsRelay & { mode: 'link' }): RelayEndpoint {
  return path === undefined ? { host: address!, port: port ?? hostsDefaults.port } : { path };
}
