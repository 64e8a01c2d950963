// Nodes: relays and links in one process, on a host in real time, with what they log kept.
import type { Log } from '../../../src/actors/hosting.ts';
import {
  type ConnectRelayOptions,
  connectRelay,
  type RelayServing,
  type ServeRelayOptions,
  serveRelay,
} from '../../../src/actors/relay.ts';
import { addressOf } from '../../../src/names.ts';
import { Host } from '../../../src/runtime/host.ts';
import type { LinkTimes } from '../../../src/spec/relay-link.ts';
import type { RelayMember } from '../../../src/transport/relay-member.ts';
import { waitUntil } from '../wait-until.ts';

/** Quick enough for a test, slow enough for a machine that is busy. */
export const times: Partial<LinkTimes> = {
  beatMs: 100,
  silentBeatsMax: 5,
  backoff: { minMs: 10, maxMs: 100, jitter: 0.5 },
  resumeMs: 5_000,
  drainTimeoutMs: 500,
};

export class Nodes {
  readonly logged: { level: string; message: string }[] = [];
  readonly host: Host;
  readonly #open: { close(): Promise<void> }[] = [];
  #number = 0;

  constructor() {
    const keep = (level: string) => (_: object, message: string) => void this.logged.push({ level, message });
    const log: Log = { debug: keep('debug'), info: keep('info'), warn: keep('warn'), error: keep('error') };
    this.host = new Host({ log });
  }

  async serve(options: Partial<ServeRelayOptions> = {}): Promise<RelayServing> {
    const serving = await serveRelay(this.host, addressOf(`hub-${++this.#number}`), {
      node: 'relay',
      times,
      ...options,
    });
    this.#open.push(serving);
    return serving;
  }

  connect(
    options: Partial<ConnectRelayOptions> & Pick<ConnectRelayOptions, 'endpoint' | 'node'>,
  ): RelayMember {
    const member = connectRelay(this.host, addressOf(`member-${++this.#number}`), { times, ...options });
    this.#open.push(member);
    return member;
  }

  async connected(
    options: Partial<ConnectRelayOptions> & Pick<ConnectRelayOptions, 'endpoint' | 'node'>,
  ): Promise<RelayMember> {
    const member = this.connect(options);
    await waitUntil(`${options.node} is connected`, () => member.status === 'connected');
    return member;
  }

  /** Warnings and errors. */
  get complaints(): string[] {
    return this.logged
      .filter(({ level }) => level === 'warn' || level === 'error')
      .map(({ message }) => message);
  }

  async close(): Promise<void> {
    for (const each of this.#open.splice(0).reverse()) await each.close();
  }
}
