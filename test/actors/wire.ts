// Two machines as two run directories, a gateway for each, and a link between them that a test can cut: runtimes of this process,
// or programs of their own.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Log } from '../../src/actors/hosting.ts';
import type { SessionGateway } from '../../src/actors/session-gateway.ts';
import type { Relay } from '../../src/index.ts';
import { broadcast, channel, defineUniverse, type Session } from '../../src/index.ts';
import { Runtime } from '../../src/runtime/program.ts';
import { Network } from '../support/relay/network.ts';
import { holder } from './pair.ts';

export const wire = defineUniverse('wire', {
  desk: {
    allow: ['guest'],
    arenaBytes: 8 * 1024 * 1024,
    sharedBytes: 1024 * 1024,
    channels: {
      bytes: channel<{ up: Uint8Array; down: Uint8Array }>({ codec: 'bytes', capacityBytes: 65_536 }),
      words: channel<{ up: { n: number; text: string }; down: { n: number; text: string } }>({
        capacityBytes: 16_384,
      }),
      sums: channel<{ requests: { add: [number[], number] } }>({ capacityBytes: 16_384 }),
      pages: channel<{ up: Uint8Array; down: Uint8Array }>({
        codec: 'bytes',
        capacityBytes: 16_384,
        maxMessageBytes: 4 * 1024 * 1024,
      }),
      calls: channel<{ up: string; down: string }>({ capacityBytes: 1024, open: 'on-demand', maxOpen: 2 }),
    },
    broadcasts: { ticks: broadcast<number>() },
  },
  guest: {},
  stranger: {},
});

export type DeskSession = Session<typeof wire.desk, 'server'>;
export type GuestSession = Session<typeof wire.desk, 'client'>;

interface Told {
  readonly type: string;
  readonly reason?: string;
  readonly error?: { readonly code: string; readonly message?: string };
}

export class Wire {
  readonly folder = mkdtempSync(join(tmpdir(), 'actor-ipc-wire-'));
  readonly messages: string[] = [];
  network!: Network;
  relay!: { port: number };
  gateways!: { a: SessionGateway; b: SessionGateway };
  readonly #runtimes: Runtime[] = [];
  readonly #slips = new Map<string, readonly unknown[]>();
  /** The number of the last batch of each. */
  readonly #last = new Map<string, number>();

  /** A program on that machine. */
  runtime(machine: 'a' | 'b'): Runtime {
    const note = (_: object, message: string) => void this.messages.push(message);
    const log: Log = { debug: note, info: note, warn: note, error: note };
    const runtime = new Runtime({ runDirectory: join(this.folder, machine), log });
    this.#runtimes.push(runtime);
    return runtime;
  }

  /** Both gateways; the hub is that of machine b, where the app `desk` is served. */
  async join({ outageMs = 10_000 } = {}): Promise<void> {
    const hub = await this.runtime('b').serveRelay({ node: 'b', listen: [{ host: '127.0.0.1', port: 0 }] });
    this.network = await Network.open(hub.ports[0]!);
    const b = this.runtime('b').carrySessions({
      relay: hub.own,
      universe: 'wire',
      here: { desk: ['a'] },
      outageMs,
    });
    const runtime = this.runtime('a');
    const times = { beatMs: 100, backoff: { minMs: 20, maxMs: 100, jitter: 0.5 } };
    const endpoint = { host: '127.0.0.1', port: this.network.port };
    const relay = runtime.connectRelay({ node: 'a', role: 'gateway', endpoint, times });
    const a = runtime.carrySessions({
      relay: this.#slipping('a', relay),
      universe: 'wire',
      away: { desk: 'b' },
      outageMs,
    });
    this.gateways = { a: await a, b: await b };
  }

  /** Has the gateway of that machine send these items with its next batch. */
  slip(machine: 'a' | 'b', items: readonly unknown[]): void {
    this.#slips.set(machine, items);
  }

  /** The relay as it is, but for batches that `slip` has changed. */
  #slipping(machine: 'a' | 'b', relay: Relay): Relay {
    return new Proxy(relay, {
      get: (target, key) => {
        const value = Reflect.get(target, key, target) as unknown;
        if (typeof value !== 'function') return value;
        if (key !== 'request') return value.bind(target);
        return (service: string, body: { number: number }, options: object) => {
          const items = this.#slips.get(machine);
          if (service === 'session.carry' && body.number > 0) this.#last.set(machine, body.number);
          if (service !== 'session.carry' || !items) return target.request(service, body, options);
          this.#slips.delete(machine);
          // In the place of a beat: the number that comes next.
          const number = body.number || (this.#last.get(machine) ?? 0) + 1;
          return target.request(service, { ...body, number, items }, options);
        };
      },
    });
  }

  /** A session of a guest on machine a with the desk on machine b. */
  async play() {
    const [server, client] = [this.runtime('b'), this.runtime('a')];
    const told = { desk: [] as Told[], guest: [] as Told[] };
    const accepted = new Promise<DeskSession>((resolve) => {
      void server.serve(
        wire.desk,
        holder<DeskSession>(resolve, (end) => told.desk.push(end)),
        { metadata: { says: 'desk' } },
      );
    });
    const opened = new Promise<GuestSession>((resolve) => {
      client.connect(
        wire.guest,
        wire.desk,
        holder<GuestSession>(resolve, (end) => told.guest.push(end)),
        { metadata: { says: 'guest' }, reconnect: { minMs: 20, maxMs: 100 } },
      );
    });
    const [desk, guest] = await Promise.all([accepted, opened]);
    return { server, client, desk, guest, told };
  }

  async close(): Promise<void> {
    for (const runtime of this.#runtimes.reverse()) await runtime.stop();
    this.network?.close();
    rmSync(this.folder, { recursive: true, force: true });
  }
}
