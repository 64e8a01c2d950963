// Stately: a bridge to the official inspection protocol of @statelyai/inspect, both ways. Whoever listens as its receivers do gets
// all actors of the tree, and then what happens, without contexts; whoever speaks as its inspectors do, as an app in a browser,
// is a guest in our tree. Both come by the same WebSocket, as with the official bridge.
import { createHash, randomBytes } from 'node:crypto';
import type { RawData, WebSocket } from 'ws';
import { addressOf } from '../names.ts';
import { type FeedRecord, momentMs } from '../runtime/feed.ts';
import { checkedRecord } from '../runtime/record-check.ts';
import { RecordQueue } from '../runtime/record-queue.ts';
import type { Guests, LiveSource } from './live-source.ts';
import type { ActorPlace, ProcessId, UnitView, ViewRecord } from './protocol.ts';
import type { Door } from './server.ts';
import type { Showing } from './source.ts';

/** Where the official inspector is. Nothing of it is part of this package. */
export const statelyUrl = 'https://stately.ai/inspect';

/** The version of the protocol that is spoken here; its readers only look whether there is one. */
const spoken = '0.7.2';
const flushMs = 50;
/** 200 a second: how much more that page can take is not known. Actors are not counted. */
const livePerFlush = 10;
const waitingMax = 200;
const clientsMax = 16;
const bufferedMax = 4 * 1024 * 1024;
const guestActorsMax = 2_000;
const definitionMax = 512 * 1024;
const nameMax = 200;

interface Waiting {
  readonly k: string;
  readonly text: string;
  /** Whom it tells of; null: what has no state. */
  readonly place: ActorPlace | null;
}

interface Client {
  readonly socket: WebSocket;
  readonly queue: RecordQueue<Waiting>;
  /** Actors of which a transition was left out. */
  readonly outdated: Map<string, ActorPlace>;
  guest: Guest | undefined;
}

export class StatelyBridge implements Door, Guests {
  readonly messageBytesMax = 1024 * 1024;
  readonly #source: LiveSource;
  readonly #url: string;
  readonly #clients = new Set<Client>();
  readonly #charts = new Map<string, unknown>();
  #showing: Showing | undefined;
  #timer: NodeJS.Timeout | undefined;
  #guestsSeen = 0;

  constructor(source: LiveSource, url: string = statelyUrl) {
    this.#source = source;
    this.#url = url;
    source.guests = this;
  }

  open(socket: WebSocket): void {
    if (this.#clients.size >= clientsMax) return socket.close(1013, 'too many are here');
    const outdated: Client['outdated'] = new Map();
    const queue = new RecordQueue<Waiting>({
      droppableMax: waitingMax,
      onDropped: ({ place }) => {
        if (place) outdated.set(idOf(place.process, place.actor), place);
      },
    });
    const client: Client = { socket, queue, outdated, guest: undefined };
    socket.on('error', () => {});
    socket.on('message', (data, isBinary) => {
      if (!isBinary) this.#hear(client, data);
    });
    socket.on('close', () => this.#leave(client));
    this.#clients.add(client);
    this.#begin();
    this.#greet(client);
  }

  close(): void {
    for (const client of [...this.#clients]) {
      client.socket.terminate();
      this.#leave(client);
    }
  }

  /** Embeds the official page, and hands it what comes. */
  page(url: (path: string, scheme: 'http' | 'ws') => string): { html: string; csp: string } {
    const nonce = randomBytes(16).toString('base64');
    const feed = url('/stately', 'ws');
    const { origin } = new URL(this.#url);
    const csp = [
      "default-src 'none'",
      `script-src 'nonce-${nonce}'`,
      `style-src 'nonce-${nonce}'`,
      `connect-src ${new URL(feed).origin}`,
      `frame-src ${origin}`,
      "base-uri 'none'",
      "frame-ancestors 'none'",
    ].join('; ');
    return { html: pageOf(this.#url, feed, nonce), csp };
  }

  // ---- guests

  units(): UnitView[] {
    return this.#guests().map((guest) => guest.view);
  }

  *records(): Iterable<[ProcessId, FeedRecord]> {
    for (const guest of this.#guests()) for (const record of guest.records()) yield [guest.process, record];
  }

  send(): string {
    return 'a guest speaks the official protocol, which takes no events';
  }

  #guests(): Guest[] {
    return [...this.#clients].flatMap(({ guest }) => guest ?? []);
  }

  #hear(client: Client, data: RawData): void {
    const message = messageIn(data);
    if (!message) return;
    const number = client.guest ? 0 : ++this.#guestsSeen;
    client.guest ??= new Guest(number, message);
    for (const record of client.guest.take(message)) {
      // What a guest says is input.
      const checked = checkedRecord(record);
      if (checked) this.#source.takeGuest(client.guest.process, checked);
    }
  }

  // ---- those who listen

  #begin(): void {
    if (this.#showing) return;
    this.#showing = this.#source.show({
      tell() {},
      record: (process, record) => {
        // Nobody needs to hear himself.
        for (const client of this.#clients)
          if (client.guest?.process !== process)
            for (const message of this.#messagesOf(process, record))
              client.queue.push({
                k: record.k,
                text: JSON.stringify(message),
                place: record.k === 'transition' ? { process, actor: record.actor } : null,
              });
      },
    });
    this.#timer = setInterval(() => this.#flush(), flushMs).unref();
  }

  #leave(client: Client): void {
    if (!this.#clients.delete(client)) return;
    if (client.guest) this.#source.guestEnded(client.guest.process);
    if (this.#clients.size > 0) return;
    clearInterval(this.#timer);
    this.#showing?.close();
    this.#showing = undefined;
    this.#charts.clear();
  }

  /** All actors before anything that happens to them. */
  #greet({ socket }: Client): void {
    for (const { process, records } of this.#showing!.dump().actors)
      for (const record of records)
        for (const message of this.#messagesOf(process, record)) socket.send(JSON.stringify(message));
  }

  #flush(): void {
    for (const client of this.#clients) {
      const { socket, queue } = client;
      if (queue.overrun) {
        queue.clear();
        client.outdated.clear();
        this.#greet(client);
      }
      if (socket.bufferedAmount > bufferedMax || socket.readyState !== socket.OPEN) continue;
      // Neither are those counted that have no place in this protocol.
      for (let live = 0; live < livePerFlush && queue.length > 0; ) {
        const [next] = queue.take(1);
        socket.send(next!.text);
        if (next!.k !== 'actor') live++;
      }
      if (queue.length === 0) this.#tellOutdated(client);
    }
  }

  /** Nobody may take for the present what was only the last that found room. */
  #tellOutdated({ socket, outdated }: Client): void {
    for (const { process, actor } of outdated.values()) {
      const now = this.#showing?.actor({ process, actor });
      if (now?.k !== 'actor') continue;
      const message = {
        type: '@xstate.snapshot',
        ...baseOf(process, actor, now.at),
        event: { type: 'actor-ipc.now' },
        snapshot: snapshotOf(now.value, now.status),
      };
      socket.send(JSON.stringify(message));
    }
    outdated.clear();
  }

  #messagesOf(process: ProcessId, record: ViewRecord): object[] {
    const base = (actor: string) => baseOf(process, actor, 'at' in record ? record.at : momentMs());
    switch (record.k) {
      case 'chart':
        this.#charts.set(record.hash, record.chart);
        return [];
      case 'actor': {
        const { actor, chart, value, status } = record;
        const definition = chart === null ? undefined : this.#charts.get(chart);
        return [
          {
            type: '@xstate.actor',
            ...base(actor),
            name: actor,
            parentId: parentOf(process, actor),
            ...(definition !== undefined && { definition: JSON.stringify(definition) }),
            snapshot: snapshotOf(value, status),
          },
        ];
      }
      case 'transition': {
        const { actor, event, value, status } = record;
        return [
          { type: '@xstate.event', ...base(actor), event: { type: event }, sourceId: undefined },
          {
            type: '@xstate.snapshot',
            ...base(actor),
            event: { type: event },
            snapshot: snapshotOf(value, status),
          },
        ];
      }
      case 'crash':
        return [
          {
            type: '@xstate.snapshot',
            ...base(record.actor),
            event: { type: 'crash' },
            snapshot: { ...snapshotOf(null, 'error'), error: { message: record.message } },
          },
        ];
      case 'stop':
        return [
          {
            type: '@xstate.snapshot',
            ...base(record.actor),
            event: { type: record.how },
            snapshot: snapshotOf(
              null,
              record.how === 'done' ? 'done' : record.how === 'crashed' ? 'error' : 'stopped',
            ),
          },
        ];
      case 'message':
        return [
          {
            type: '@xstate.event',
            ...base(record.to),
            event: { type: record.event },
            sourceId: idOf(record.from.process, record.from.actor),
          },
        ];
      default:
        return [];
    }
  }
}

/** One system for the official page: it shows actors of one root together. */
const rootId = 'actor-ipc';

function baseOf(process: ProcessId, actor: string, atMs: number): object {
  return {
    sessionId: idOf(process, actor),
    rootId,
    createdAt: String(Math.round(atMs)),
    id: null,
    _version: spoken,
  };
}

function idOf(process: ProcessId, actor: string): string {
  return `${process}/${actor}`;
}

/** By its address: the actor above it, if there is one. */
function parentOf(process: ProcessId, actor: string): string | undefined {
  const at = actor.lastIndexOf('/');
  return at < 0 ? undefined : idOf(process, actor.slice(0, at));
}

/** Contexts stay here: that page is somebody else's. */
function snapshotOf(value: unknown, status: string): object {
  return { status, ...(value !== null && { value }), context: {}, children: {}, tags: [], historyValue: {} };
}

interface Heard {
  readonly type: '@xstate.actor' | '@xstate.event' | '@xstate.snapshot';
  readonly sessionId: string;
  readonly parentId: string | undefined;
  readonly sourceId: string | undefined;
  readonly name: string;
  readonly event: string;
  readonly definition: string | undefined;
  readonly value: unknown;
  readonly status: string;
}

/** Undefined for what is no message of this protocol. */
function messageIn(data: RawData): Heard | undefined {
  let value: unknown;
  try {
    value = JSON.parse(String(data));
  } catch {
    return undefined;
  }
  if (typeof value !== 'object' || value === null) return undefined;
  const { type, _version, sessionId, parentId, sourceId, name, event, definition, snapshot } =
    value as Record<string, unknown>;
  if (typeof _version !== 'string' || typeof sessionId !== 'string') return undefined;
  if (type !== '@xstate.actor' && type !== '@xstate.event' && type !== '@xstate.snapshot') return undefined;
  const { value: state, status } = (snapshot ?? {}) as { value?: unknown; status?: unknown };
  const { type: eventType } = (event ?? {}) as { type?: unknown };
  const text = (given: unknown) => (typeof given === 'string' ? given.slice(0, nameMax) : undefined);
  return {
    type,
    sessionId: sessionId.slice(0, nameMax),
    parentId: text(parentId),
    sourceId: text(sourceId),
    name: text(name) ?? sessionId.slice(0, nameMax),
    event: text(eventType) ?? '',
    definition: typeof definition === 'string' && definition.length <= definitionMax ? definition : undefined,
    value: typeof state === 'string' || (typeof state === 'object' && state !== null) ? state : null,
    status: text(status) ?? 'active',
  };
}

/** An app that speaks the official protocol, as a process of ours. */
class Guest {
  readonly process: ProcessId;
  readonly #path: string;
  readonly #name: string;
  /** Addresses by the ids of the app's own. */
  readonly #addresses = new Map<string, string>();
  readonly #charts = new Map<string, FeedRecord>();
  readonly #actors = new Map<string, Extract<FeedRecord, { k: 'actor' }>>();

  constructor(number: number, { name }: Heard) {
    this.#path = `guest/${number}`;
    this.#name = name;
    this.process = `${this.#path}#1`;
  }

  get view(): UnitView {
    return {
      ...{ path: this.#path, kind: 'guest', phase: 'up', state: null, pid: null, process: this.process },
      ...{ incarnation: 1, starts: 1, app: this.#name, lastExit: null, waitsFor: null, dead: [] },
    };
  }

  records(): FeedRecord[] {
    return [...this.#charts.values(), ...this.#actors.values()];
  }

  take(message: Heard): FeedRecord[] {
    const at = momentMs();
    const { sessionId, sourceId, event, value, status } = message;
    if (message.type === '@xstate.actor') return this.#meet(message, at);
    const known = this.#addresses.get(sessionId);
    if (known === undefined) return [];
    const actor = addressOf(known);
    if (message.type === '@xstate.event') {
      const from = sourceId === undefined ? undefined : this.#addresses.get(sourceId);
      return [{ k: 'send', at, from: from === undefined ? null : addressOf(from), to: actor, event }];
    }
    const before = this.#actors.get(known)!;
    const state = value as Extract<FeedRecord, { k: 'actor' }>['value'];
    this.#actors.set(known, { ...before, at, value: state, status });
    const transition: FeedRecord = {
      k: 'transition',
      at,
      actor,
      event,
      value: state,
      status,
      steps: [],
      actions: [],
    };
    if (status === 'active') return [transition];
    this.#actors.delete(known);
    this.#addresses.delete(sessionId);
    const how = status === 'done' ? 'done' : status === 'error' ? 'crashed' : 'stopped';
    return [transition, { k: 'stop', at, actor, how }];
  }

  #meet({ sessionId, parentId, name, definition, value, status }: Heard, at: number): FeedRecord[] {
    if (this.#actors.size >= guestActorsMax && !this.#addresses.has(sessionId)) return [];
    const above = parentId === undefined ? undefined : this.#addresses.get(parentId);
    // Its own ids are not unique beyond it, and its names not even there.
    const own = name === sessionId ? sessionId : `${name} ${sessionId}`;
    const address = this.#addresses.get(sessionId) ?? (above === undefined ? own : `${above}/${own}`);
    this.#addresses.set(sessionId, address);
    const chart = this.#chartIn(definition);
    const actor: Extract<FeedRecord, { k: 'actor' }> = {
      k: 'actor',
      at,
      actor: addressOf(address),
      chart: chart?.hash ?? null,
      value: value as Extract<FeedRecord, { k: 'actor' }>['value'],
      status,
    };
    this.#actors.set(address, actor);
    return chart ? [chart, actor] : [actor];
  }

  #chartIn(definition: string | undefined): Extract<FeedRecord, { k: 'chart' }> | undefined {
    if (definition === undefined) return undefined;
    const hash = createHash('sha1').update(definition).digest('hex').slice(0, 16);
    const known = this.#charts.get(hash);
    if (known?.k === 'chart') return known;
    let chart: unknown;
    try {
      chart = JSON.parse(definition);
    } catch {
      return undefined;
    }
    if (typeof chart !== 'object' || chart === null || !('states' in chart || 'on' in chart))
      return undefined;
    const { context: _, ...plain } = chart as { context?: unknown };
    const record = { k: 'chart', hash, chart: plain } as const;
    this.#charts.set(hash, record);
    return record;
  }
}

function pageOf(url: string, feed: string, nonce: string): string {
  const text = (value: string) => JSON.stringify(value).replaceAll('<', '\\u003c');
  const { origin } = new URL(url);
  return `<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<title>Stately inspector of actor-ipc</title>
<style nonce="${nonce}">html, body, iframe { margin: 0; width: 100%; height: 100%; border: 0; display: block }</style>
<iframe id="inspector" title="Stately inspector"></iframe>
<script nonce="${nonce}">
  const frame = document.getElementById('inspector');
  let waiting = [];
  const hand = (message) => frame.contentWindow.postMessage(message, ${text(origin)});
  addEventListener('message', ({ data, source }) => {
    if (source !== frame.contentWindow || data?.type !== '@statelyai.connected' || !waiting) return;
    const before = waiting;
    waiting = undefined;
    before.forEach(hand);
  });
  new WebSocket(${text(feed)}).onmessage = ({ data }) => {
    const message = JSON.parse(data);
    if (!waiting) return hand(message);
    waiting.push(message);
    if (waiting.length > 10000) waiting.shift();
  };
  frame.src = ${text(url)};
</script>
</html>
`;
}
