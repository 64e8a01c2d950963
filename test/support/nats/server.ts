// Real servers of the engine, on free ports of the loopback, with their tables in a temporary folder.
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { waitUntil } from '../wait-until.ts';

export async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer());
  const ports = await Promise.all(
    servers.map(
      (server) =>
        new Promise<number>((resolve) => {
          server.listen(0, '127.0.0.1', () => resolve((server.address() as { port: number }).port));
        }),
    ),
  );
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

export class NatsServer {
  readonly folder: string;
  readonly port: number;
  /** As the other servers know it; '' for one that stands alone. */
  readonly name: string;
  readonly #args: readonly string[];
  #child: ChildProcess | undefined;
  #output = '';

  private constructor(folder: string, port: number, args: readonly string[], name = '') {
    this.folder = folder;
    this.port = port;
    this.#args = args;
    this.name = name;
  }

  /** @param args instead of `-js`. */
  static async start({
    args = ['-js'],
    config = '',
  }: {
    args?: string[];
    config?: string;
  } = {}): Promise<NatsServer> {
    const folder = mkdtempSync(join(tmpdir(), 'nats-'));
    const [port] = await freePorts(1);
    const file = join(folder, 'nats.conf');
    writeFileSync(file, config);
    const server = new NatsServer(folder, port!, [
      '-c',
      file,
      '-a',
      '127.0.0.1',
      '-p',
      String(port),
      '-sd',
      folder,
      ...args,
    ]);
    await server.up();
    return server;
  }

  /** Three that keep their tables together. */
  static async cluster(): Promise<NatsServer[]> {
    const ports = await freePorts(6);
    const routes = ports.slice(3).map((port) => `nats://127.0.0.1:${port}`);
    const servers = [0, 1, 2].map((index) => {
      const folder = mkdtempSync(join(tmpdir(), 'nats-'));
      const port = ports[index]!;
      const args = ['-a', '127.0.0.1', '-p', String(port), '-js', '-sd', folder, '-n', `n${index}`];
      const cluster = ['--cluster_name', 'three', '--cluster', routes[index]!, '--routes', routes.join(',')];
      return new NatsServer(folder, port, [...args, ...cluster], `n${index}`);
    });
    await Promise.all(servers.map((server) => server.up()));
    return servers;
  }

  /** One that a configuration file describes, whose folder goes with it. */
  static configured(name: string, folder: string, port: number): NatsServer {
    return new NatsServer(folder, port, ['-c', join(folder, 'nats.conf')], name);
  }

  /** The end of its log. */
  get output(): string {
    return this.#output;
  }

  get url(): string {
    return `nats://127.0.0.1:${this.port}`;
  }

  get pid(): number {
    return this.#child!.pid!;
  }

  async up(): Promise<void> {
    const child = spawn('nats-server', this.#args, { stdio: ['ignore', 'ignore', 'pipe'] });
    this.#child = child;
    this.#output = '';
    child.stderr.on('data', (data) => {
      this.#output = `${this.#output}${data}`.slice(-20_000);
    });
    await waitUntil('nats-server', () => {
      if (child.exitCode !== null) throw new Error(this.#output);
      return this.#output.includes('Server is ready');
    });
  }

  /** Once it has ended. */
  async upAgain(): Promise<void> {
    const { exitCode, signalCode } = this.#child!;
    if (exitCode !== null || signalCode !== null) await this.up();
  }

  signal(signal: NodeJS.Signals): void {
    this.#child!.kill(signal);
  }

  /** Resolves once the process is gone. */
  async down(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    const child = this.#child!;
    if (child.exitCode !== null || child.signalCode !== null) return;
    const gone = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGCONT');
    child.kill(signal);
    await gone;
  }

  async remove(): Promise<void> {
    await this.down();
    rmSync(this.folder, { recursive: true, force: true });
  }
}
