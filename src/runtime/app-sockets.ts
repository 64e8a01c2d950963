// App sockets: the listening sockets of a tree's apps, held by the root and lent to the process that serves. A client that
// connects while its server starts again waits in the socket's queue and is not refused.
import { IpcError } from '../errors.ts';
import type { Address } from '../names.ts';
import { type Claim, claimApp } from '../transport/run-directory.ts';

export class AppSockets {
  readonly #directory: string;
  readonly #claims = new Map<string, Claim>();
  /** The unit that serves each app now. */
  readonly #servers = new Map<string, { unit: Address; pid: number }>();
  /** Which app each unit may serve. */
  readonly #appOf: (unit: Address) => string | undefined;
  readonly #pidOf: (unit: Address) => number;

  constructor(
    directory: string,
    appOf: (unit: Address) => string | undefined,
    pidOf: (unit: Address) => number,
  ) {
    this.#directory = directory;
    this.#appOf = appOf;
    this.#pidOf = pidOf;
  }

  /**
   * The descriptor of the app's listening socket; it stays ours.
   * @throws {IpcError} ERR_CREDENTIALS if the unit is not that app, ERR_APP_ALREADY_SERVED by another process.
   */
  lend(unit: Address, universe: string, app: string): number {
    const own = this.#appOf(unit);
    if (own !== app)
      throw IpcError.of(
        'ERR_CREDENTIALS',
        app,
        `unit ${unit} runs as app ${own}; name another with node(file, { app: '${app}' })`,
      );
    const key = `${universe}/${app}`;
    const server = this.#servers.get(key);
    if (server && server.unit !== unit) throw IpcError.of('ERR_APP_ALREADY_SERVED', app, server.pid);
    let claim = this.#claims.get(key);
    if (!claim) {
      claim = claimApp(this.#directory, universe, app);
      this.#claims.set(key, claim);
    }
    this.#servers.set(key, { unit, pid: this.#pidOf(unit) });
    return claim.listener.fd;
  }

  /** That process has ended: another unit may serve its apps. */
  processEnded(pid: number): void {
    for (const [key, server] of this.#servers) if (server.pid === pid) this.#servers.delete(key);
  }

  release(): void {
    for (const claim of this.#claims.values()) claim.release();
    this.#claims.clear();
  }
}
