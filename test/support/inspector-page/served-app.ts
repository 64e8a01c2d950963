// Served app: a script for browsers with all that it imports, as a page of its own origin. What the inspector has to do with
// that others have written is tried with it.
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { dirname } from 'node:path';
import { build, type Rolldown } from 'vite';

export class ServedApp implements AsyncDisposable {
  readonly #server: Server;

  /** @param entry the path of the script. */
  static async start(entry: string): Promise<ServedApp> {
    const script = await bundle(entry);
    const server = createServer(({ url = '/' }, response) => {
      const [type, content] = url.startsWith('/app.js')
        ? ['text/javascript', script]
        : ['text/html', '<!DOCTYPE html><meta charset="utf-8"><body><script src="/app.js"></script>'];
      response.writeHead(200, { 'content-type': type }).end(content);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return new ServedApp(server);
  }

  private constructor(server: Server) {
    this.#server = server;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

async function bundle(entry: string): Promise<string> {
  const built = (await build({
    root: dirname(entry),
    configFile: false,
    logLevel: 'error',
    build: { write: false, rolldownOptions: { input: entry, output: { format: 'iife' } } },
  })) as Rolldown.RolldownOutput;
  const [script] = built.output.filter((file) => file.type === 'chunk');
  return script!.code;
}
