// App sockets: the listening sockets of a tree's apps, held by the root and lent to the process that serves. A client that
// connects while its server starts again waits in the socket's queue and is not refused.
import { IpcError } from '../errors.ts';
import type { Address } from '../names.ts';
import { type Claim, claimApp } from '../transport/run-directory.ts';

export class AppSockets {
  readonly #directory: string;
  readonly #claims = new Map<string, Claim>();
  /** The unit that serves each app now, by these processes: one that stands by has the socket, too. */
  readonly #servers = new Map<string, { unit: Address; pids: Set<number> }>();
  /** Which app each unit may serve. */
  readonly #appOf: (unit: Address) => string | undefined;

  constructor(directory: string, appOf: (unit: Address) => string | undefined) {
    this.#directory = directory;
    this.#appOf = appOf;
  }

  /**
   * The descriptor of the app's listening socket; it stays ours.
   * @throws {IpcError} ERR_CREDENTIALS if the unit is not that app, ERR_APP_ALREADY_SERVED by another process.
   */
  lend(unit: Address, pid: number, universe: string, app: string): number {
    const own = this.#appOf(unit);
    if (own !== app)
      throw IpcError.of(
        'ERR_CREDENTIALS',
        app,
        `unit ${unit} runs as app ${own}; name another with node(file, { app: '${app}' })`,
      );
    const key = `${universe}/${app}`;
    const server = this.#servers.get(key);
    if (server && server.unit !== unit)
      throw IpcError.of('ERR_APP_ALREADY_SERVED', app, server.pids.values().next().value ?? 0);
    let claim = this.#claims.get(key);
    if (!claim) {
      claim = claimApp(this.#directory, universe, app);
      this.#claims.set(key, claim);
    }
    if (server) server.pids.add(pid);
    else this.#servers.set(key, { unit, pids: new Set([pid]) });
    return claim.listener.fd;
  }

  /** That process has ended: another unit may serve its apps. */
  processEnded(pid: number): void {
    for (const [key, { pids }] of this.#servers)
      if (pids.delete(pid) && pids.size === 0) this.#servers.delete(key);
  }

  release(): void {
    for (const claim of this.#claims.values()) claim.release();
    this.#claims.clear();
  }
}
