// Network: what is between two nodes that a test can cut and stop.
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

export class Network {
  readonly #server: Server;
  readonly #pairs = new Set<[Socket, Socket]>();
  #stopped = false;
  /** Nobody gets through any more. */
  refusing = false;
  connections = 0;

  private constructor(target: number) {
    this.#server = createServer((near) => {
      this.connections++;
      if (this.refusing) return void near.destroy();
      const far = connect(target, '127.0.0.1');
      const pair: [Socket, Socket] = [near, far];
      for (const each of pair) each.setNoDelay(true);
      this.#pairs.add(pair);
      for (const [from, to] of [pair, [far, near]] as [Socket, Socket][]) {
        from.on('data', (chunk) => {
          if (!to.write(chunk)) {
            from.pause();
            to.once('drain', () => !this.#stopped && from.resume());
          }
        });
        from.on('error', () => {});
        from.on('close', () => {
          to.destroy();
          this.#pairs.delete(pair);
        });
      }
      if (this.#stopped) for (const each of pair) each.pause();
    });
  }

  static async open(target: number): Promise<Network> {
    const proxy = new Network(target);
    proxy.#server.listen(0, '127.0.0.1');
    await once(proxy.#server, 'listening');
    return proxy;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Ends all connections, as when a router forgets them. */
  cut(): void {
    for (const [near, far] of this.#pairs) {
      near.destroy();
      far.destroy();
    }
  }

  /** Nothing goes through, and nobody is told: a cable that was pulled. */
  stop(): void {
    this.#stopped = true;
    for (const pair of this.#pairs) for (const each of pair) each.pause();
  }

  resume(): void {
    this.#stopped = false;
    for (const pair of this.#pairs) for (const each of pair) each.resume();
  }

  close(): void {
    this.cut();
    this.#server.close();
  }
}
