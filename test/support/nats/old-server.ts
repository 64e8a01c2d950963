// A stand-in for a server that is too old: it says so in its first line, and lets everybody in.
import { type AddressInfo, createServer, type Socket } from 'node:net';

export class OldNatsServer {
  readonly url: string;
  readonly #close: () => Promise<void>;

  private constructor(url: string, close: () => Promise<void>) {
    this.url = url;
    this.#close = close;
  }

  static async start(version = '2.8.4'): Promise<OldNatsServer> {
    const sockets: Socket[] = [];
    const server = createServer((socket) => {
      sockets.push(socket);
      const info = {
        server_id: 'x',
        version,
        jetstream: true,
        max_payload: 1_048_576,
        proto: 1,
        headers: true,
      };
      socket.on('error', () => {});
      socket.write(`INFO ${JSON.stringify(info)}\r\n`);
      socket.on('data', (data) => {
        for (const _ of String(data).matchAll(/PING\r\n/g)) socket.write('PONG\r\n');
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    return new OldNatsServer(`nats://127.0.0.1:${port}`, async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    });
  }

  remove(): Promise<void> {
    return this.#close();
  }
}
