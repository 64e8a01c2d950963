// Relay link: how two nodes reach each other, as a configuration says it. All files are named, never their contents, so that
// a configuration holds no secret.

/** Where a relay listens: a port, or a socket of this machine. */
export type RelayEndpoint = { readonly host: string; readonly port: number } | { readonly path: string };

/** Files of PEM. Both sides show a certificate, and take only those of `ca`. */
export interface LinkTls {
  readonly ca: string | readonly string[];
  readonly cert: string;
  readonly key: string;
  /** What the server's certificate must be made out to, where that is not the host's name. */
  readonly serverName?: string;
  /** Names of which the peer's certificate must bear one; default: any that `ca` has signed. */
  readonly peerNames?: readonly string[];
  /** The peer may call itself otherwise than its certificate does, as where nodes share one. Default: false. */
  readonly anyName?: boolean;
}

/** Times of a link, in milliseconds. */
export interface LinkTimes {
  readonly beatMs: number;
  readonly silentBeatsMax: number;
  readonly dialTimeoutMs: number;
  readonly backoff: { readonly minMs: number; readonly maxMs: number; readonly jitter: number };
  /** How long what is under way is kept for a peer that is away. */
  readonly resumeMs: number;
  readonly drainTimeoutMs: number;
}

export const linkTimes: LinkTimes = {
  beatMs: 1_000,
  silentBeatsMax: 3,
  dialTimeoutMs: 5_000,
  backoff: { minMs: 50, maxMs: 2_000, jitter: 0.5 },
  resumeMs: 30_000,
  drainTimeoutMs: 1_000,
};

export function nameOfEndpoint(endpoint: RelayEndpoint): string {
  return 'path' in endpoint ? endpoint.path : `${endpoint.host}:${endpoint.port}`;
}
