// Hosts: one root among those of a topology's other hosts. It tells them what its units do, keeps what they tell, and asks and answers
// what people want to know or have done on another host. A root without a relay goes on with its own units.
import { randomUUID } from 'node:crypto';
import type { Host, Hosted, Log } from '../actors/hosting.ts';
import { startRemoteHost } from '../actors/remote-host.ts';
import { policyOf } from '../actors/supervisor.ts';
import { IpcError, messageOf } from '../errors.ts';
import type { RemoteHostReport, remoteHostMachine, ToldRoot } from '../machines/remote-host.ts';
import { type HeardOfHost, newView, type UnitView } from '../machines/unit-view.ts';
import { addressOf } from '../names.ts';
import type { Lease, Relay, RelayRequest } from '../spec/relay.ts';
import type { WaitOptions } from '../spec/waiting.ts';
import { type Frame, mapOf, textOf } from '../transport/frame.ts';
import { checkedHostRecord, type HostRecord, hostsBucket, toldUnit } from './host-record.ts';
import { type HostsTopology, openHostRelay } from './host-relay.ts';

/** What a root is asked by others, by the name of the question. What a handler throws is told to who asks. */
export type HostQuestions = Readonly<Record<string, (frame: Frame, asked: RelayRequest) => unknown>>;

interface HostsOptions {
  readonly host: Host;
  readonly log: Log;
  readonly topology: HostsTopology;
  readonly runDirectory: string;
  readonly questions: HostQuestions;
  /** The units beside each other below the root. */
  units(): readonly UnitView[];
  /** State of the root's supervisor. */
  state(): ToldRoot['state'];
  /** Units of another host are elsewhere now, or not heard any more. */
  onChange(views: readonly UnitView[]): void;
}

/** How another host is heard now. */
export interface HeardHost {
  readonly name: string;
  readonly heard: HeardOfHost;
  /** How long ago, in ms; null: never. */
  readonly silenceMs: number | null;
  readonly told: ToldRoot | null;
}

interface Remote {
  /** Aborted when the host is not heard any more, for all that was asked of it. */
  hearing: AbortController;
  hosted?: Hosted<typeof remoteHostMachine>;
  report: RemoteHostReport;
  heardAtMs: number | null;
  /** What was written last, by a table that remembers what dead roots have written. */
  written: string | undefined;
}

interface OpenRelay {
  readonly relay: Relay;
  close(): Promise<void>;
}

/** A root that dies and starts again waits for its lease for so long. */
const leaseTtlMs = 5_000;
const retryMs = 1_000;
/** The goodbye to the others must not keep a tree from ending. */
const goodbyeTimeoutMs = 1_500;
/** An order has no deadline of its own; who gave it ends it. */
const orderTimeoutMs = 2 ** 31 - 1;

const nothing: RemoteHostReport = { heard: 'never', told: null, units: [] };

export class Hosts {
  readonly #options: HostsOptions;
  readonly #root = randomUUID();
  readonly #startedAtMs = Date.now();
  readonly #remotes = new Map<string, Remote>();
  readonly #beat: NodeJS.Timeout;
  readonly #over = new AbortController();
  #relay: OpenRelay | undefined;
  #lease: Lease | undefined;
  #telling: Promise<void> | undefined;
  #again = false;
  #beats = 0;
  /** What went wrong last; said once. */
  #trouble: string | undefined;

  constructor(options: HostsOptions) {
    this.#options = options;
    const { topology, host } = options;
    const { silentAfterMs } = topology.relay;
    for (const name of Object.keys(topology.hosts).filter((each) => each !== topology.host))
      this.#remotes.set(name, {
        hearing: new AbortController(),
        report: nothing,
        heardAtMs: null,
        written: undefined,
      });
    for (const [name, remote] of this.#remotes)
      remote.hosted = startRemoteHost(host, {
        address: addressOf('hosts', name),
        input: { host: name, silentAfterMs },
        onReport: (report) => this.#onReport(name, report),
      });
    this.#beat = setInterval(() => this.tell(), silentAfterMs / 4).unref();
    void this.#join();
  }

  get name(): string {
    return this.#options.topology.host;
  }

  /** The other hosts. */
  heard(): HeardHost[] {
    const now = performance.now();
    return [...this.#remotes].map(([name, { report, heardAtMs }]) => ({
      name,
      heard: report.heard,
      silenceMs: heardAtMs === null ? null : Math.round(now - heardAtMs),
      told: report.told,
    }));
  }

  /** What is known of the units of the other hosts. */
  views(): UnitView[] {
    return [...this.#remotes.keys()].flatMap((name) => this.#viewsOf(name));
  }

  /** Something of ours has changed, or has to be said again. */
  tell(): void {
    if (this.#over.signal.aborted || !this.#relay) return;
    if (this.#telling) {
      this.#again = true;
      return;
    }
    this.#telling = this.#write().finally(() => {
      this.#telling = undefined;
      if (!this.#again) return;
      this.#again = false;
      this.tell();
    });
  }

  /**
   * Asks the root of another host.
   * @throws {IpcError} ERR_HOST_SILENT, and what that root answers.
   */
  async ask(name: string, question: string, facts: object, options: WaitOptions = {}): Promise<unknown> {
    const { report, hearing } = this.#remotes.get(name)!;
    const { heard } = report;
    if (heard !== 'present') throw IpcError.of('ERR_HOST_SILENT', name, `it ${wordsFor(heard)}`);
    if (!this.#relay) throw IpcError.of('ERR_HOST_SILENT', name, 'there is no relay to the others now');
    const signal = options.signal ? AbortSignal.any([options.signal, hearing.signal]) : hearing.signal;
    let answer: unknown;
    try {
      answer = await this.#relay.relay.request(
        serviceOf(name),
        { ...facts, t: question },
        { timeoutMs: orderTimeoutMs, ...options, signal },
      );
    } catch (error) {
      if (hearing.signal.aborted) throw hearing.signal.reason;
      if (error instanceof IpcError && unreachable.has(error.code))
        throw IpcError.from(error, 'ERR_HOST_SILENT', name, error.message);
      throw error;
    }
    const { value, error } = mapOf({ t: '', answer } as Frame, 'answer');
    if (error === undefined) return value;
    const { code, message } = mapOf({ t: '', error } as Frame, 'error') as Frame;
    throw IpcError.received({ code: String(code), message: String(message) });
  }

  /** Says goodbye and leaves the others; twice is fine. */
  async close(): Promise<void> {
    if (this.#over.signal.aborted) return;
    clearInterval(this.#beat);
    this.#over.abort(new Error('the root ends'));
    for (const { hosted } of this.#remotes.values()) hosted?.stop();
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, goodbyeTimeoutMs);
    });
    await Promise.race([this.#leave(), late]);
    clearTimeout(timer);
  }

  async #leave(): Promise<void> {
    await this.#telling;
    const { relay, close } = this.#relay ?? {};
    const left: HostRecord = { left: true };
    if (relay && this.#lease)
      await relay
        .kv(hostsBucket)
        .put(this.name, left, { lease: this.#lease, timeoutMs: goodbyeTimeoutMs / 2 })
        .catch(() => undefined);
    await close?.().catch(() => undefined);
  }

  /** Until there is a relay over which the others are heard; again when it is closed. */
  async #join(): Promise<void> {
    const { host, topology, runDirectory, log } = this.#options;
    const { signal } = this.#over;
    while (!signal.aborted) {
      let opened: OpenRelay | undefined;
      try {
        opened = await openHostRelay(host, topology, runDirectory);
        if (signal.aborted) return void opened.close();
        const { relay } = opened;
        await this.#listen(relay);
        this.#relay = opened;
        relay.onStatus((status) => {
          if (status !== 'closed' || this.#relay?.relay !== relay || signal.aborted) return;
          this.#relay = undefined;
          this.#lease = undefined;
          void this.#join();
        });
        log.info({ host: this.name, mode: relay.mode }, `host ${this.name} is in reach of the others`);
        this.#trouble = undefined;
        return this.tell();
      } catch (error) {
        await opened?.close().catch(() => undefined);
        if (signal.aborted) return;
        this.#onTrouble(error, 'the other hosts are not in reach');
        await new Promise((resolve) => setTimeout(resolve, retryMs).unref());
      }
    }
  }

  async #listen(relay: Relay): Promise<void> {
    const { signal } = this.#over;
    // Within a time, so that a wrong certificate is told while it is waited for.
    await relay.connected({ timeoutMs: 10_000, signal });
    await relay.serve(serviceOf(this.name), (body, asked) => this.#answer(body, asked), { signal });
    await relay.kv(hostsBucket).watch((key, entry) => this.#onRecord(relay, key, entry?.value), { signal });
  }

  async #write(): Promise<void> {
    const { relay } = this.#relay!;
    const { topology, units, state } = this.#options;
    const timeoutMs = topology.relay.silentAfterMs / 4;
    try {
      if (this.#lease?.signal.aborted) this.#lease = undefined;
      this.#lease ??= await relay.lease(`host.${this.name}`, { ttlMs: leaseTtlMs, timeoutMs });
      const record = {
        told: { root: this.#root, pid: process.pid, startedAtMs: this.#startedAtMs, state: state() },
        units: units().map(toldUnit),
        beat: ++this.#beats,
      };
      await relay.kv(hostsBucket).put(this.name, record, { lease: this.#lease, timeoutMs });
      this.#trouble = undefined;
    } catch (error) {
      if (error instanceof IpcError && error.code === 'ERR_LEASE_LOST') this.#lease = undefined;
      this.#onTrouble(error, 'the other hosts are not told what units do here');
    }
  }

  #onRecord(relay: Relay, key: string, value: unknown): void {
    const remote = this.#remotes.get(key);
    const record = checkedHostRecord(value);
    if (!remote || !record || this.#over.signal.aborted) return;
    if ('left' in record) return remote.hosted?.post({ type: 'host.left' });
    // A table that lasts also tells what a root has written that is dead by now: a second word shows that it lives.
    const written = JSON.stringify([record.told.root, (value as { beat?: unknown }).beat]);
    const before = remote.written;
    remote.written = written;
    const isSame = before?.startsWith(JSON.stringify([record.told.root]).slice(0, -1)) && before !== written;
    if (relay.mode === 'nats' && !isSame) return;
    remote.heardAtMs = performance.now();
    remote.hosted?.post({ type: 'host.heard', told: record.told, units: record.units });
  }

  #onReport(name: string, report: RemoteHostReport): void {
    const remote = this.#remotes.get(name)!;
    const before = remote.report;
    remote.report = report;
    if (before.heard === 'present' && report.heard !== 'present') {
      const why = `it ${wordsFor(report.heard)}; what was asked may have been done`;
      remote.hearing.abort(IpcError.of('ERR_HOST_SILENT', name, why));
      remote.hearing = new AbortController();
    }
    const { log, onChange } = this.#options;
    const anew = before.told !== null && report.told?.root !== before.told.root;
    if (report.heard !== before.heard || anew)
      log[report.heard === 'silent' ? 'warn' : 'info'](
        { host: name, heard: report.heard, root: report.told?.root },
        `host ${name} ${anew ? 'has another root and ' : ''}${wordsFor(report.heard)}`,
      );
    onChange(this.#viewsOf(name));
  }

  #viewsOf(name: string): UnitView[] {
    const { heard, told, units } = this.#remotes.get(name)!.report;
    const { elsewhere } = this.#options.topology;
    return Object.entries(elsewhere).flatMap(([id, { host, child }]) => {
      if (host !== name) return [];
      const known = heard === 'left' ? undefined : units.find((unit) => unit.id === id);
      const view = newView(id, policyOf(child));
      const ending = told?.state === 'stopping';
      return [
        {
          ...view,
          ...known,
          elsewhere: { host, heard, root: told?.root ?? null, ...(ending && { ending }) },
        },
      ];
    });
  }

  async #answer(body: unknown, asked: RelayRequest): Promise<unknown> {
    const { questions, topology, log } = this.#options;
    try {
      const frame = mapOf({ t: '', body } as Frame, 'body') as Frame;
      const question = textOf(frame, 't', 64);
      if (!Object.hasOwn(topology.hosts, asked.from))
        throw IpcError.of('ERR_REFUSED', question, `${asked.from} is no host of ${topology.name}`);
      const handler = Object.hasOwn(questions, question) ? questions[question] : undefined;
      if (!handler) throw IpcError.of('ERR_REFUSED', question, 'this root does not know the question');
      if (typeof frame.unit === 'string')
        log.info(
          { unit: frame.unit, from: asked.from },
          `host ${asked.from} asks: ${question} ${frame.unit}`,
        );
      // What JSON has no word for is left out, as on the way to the command line.
      return { value: JSON.parse(JSON.stringify((await handler(frame, asked)) ?? null)) as unknown };
    } catch (error) {
      const { code, message } =
        error instanceof IpcError ? error : { code: 'ERR_SYSTEM', message: messageOf(error) };
      return { error: { code, message } };
    }
  }

  #onTrouble(error: unknown, what: string): void {
    const why = messageOf(error);
    if (this.#over.signal.aborted || why === this.#trouble) return;
    this.#trouble = why;
    this.#options.log.warn({ host: this.name }, `${what}: ${why}`);
  }
}

/** Codes by which a relay says that nobody has answered. */
const unreachable: ReadonlySet<string> = new Set([
  'ERR_RELAY_UNAVAILABLE',
  'ERR_RELAY_CLOSED',
  'ERR_TIMEOUT',
]);

function serviceOf(host: string): string {
  return `root.${host}`;
}

export function wordsFor(heard: HeardOfHost): string {
  switch (heard) {
    case 'never':
      return 'has not been heard yet';
    case 'silent':
      return 'is silent: what its units do is unknown';
    case 'left':
      return 'has been taken down';
    default:
      return 'is heard';
  }
}
