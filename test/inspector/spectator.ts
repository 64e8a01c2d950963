// Spectator: a page without a screen. Keeps what the server tells as a page would.
import { WebSocket } from 'ws';
import type {
  ActorPlace,
  ContextOf,
  PageMessage,
  ServerMessage,
  UnitView,
  ViewRecord,
} from '../../src/inspector/protocol.ts';
import { waitUntil } from '../support/wait-until.ts';

export interface Seen {
  readonly process: string;
  readonly record: ViewRecord;
}

export class Spectator implements Disposable {
  readonly socket: WebSocket;
  readonly messages: ServerMessage[] = [];
  /** Since the last dump. */
  seen: Seen[] = [];
  past: Seen[] = [];
  readonly charts = new Set<string>();
  readonly actors = new Map<string, Map<string, { value: unknown; status: string; chart: string | null }>>();
  closed: number | undefined;

  /** @param url the address of the page. */
  constructor(url: string, headers: Record<string, string> = {}) {
    const { host, search } = new URL(url);
    this.socket = new WebSocket(`ws://${host}/feed${search}`, { headers });
    this.socket.on('message', (data) => this.#take(JSON.parse(String(data)) as ServerMessage));
    this.socket.on('close', (code) => {
      this.closed = code;
    });
    this.socket.on('error', () => {});
  }

  send(message: PageMessage): void {
    this.socket.send(JSON.stringify(message));
  }

  /** The last message of a type. */
  last<T extends ServerMessage['type']>(type: T): Extract<ServerMessage, { type: T }> | undefined {
    return this.messages.findLast((message) => message.type === type) as never;
  }

  unit(path: string): UnitView | undefined {
    return this.last('processes')?.units.find((unit) => unit.path === path);
  }

  contextOf(actor: string): ContextOf | undefined {
    return this.messages.findLast(
      (message): message is ContextOf => message.type === 'context' && message.place.actor === actor,
    );
  }

  valueOf({ process, actor }: ActorPlace): unknown {
    return this.actors.get(process)?.get(actor)?.value;
  }

  waits<T>(what: string, condition: () => T | undefined | false): Promise<T> {
    return waitUntil(what, condition, 30_000);
  }

  [Symbol.dispose](): void {
    this.socket.terminate();
  }

  #take(message: ServerMessage): void {
    this.messages.push(message);
    if (message.type !== 'records') return;
    if (message.dump) {
      this.seen = [];
      this.past = [];
      this.actors.clear();
    }
    for (const { process, records } of message.batches)
      for (const record of records) {
        (message.past ? this.past : this.seen).push({ process, record });
        if (!message.past) this.#apply(process, record);
      }
  }

  #apply(process: string, record: ViewRecord): void {
    const actors = this.actors.get(process) ?? new Map();
    this.actors.set(process, actors);
    if (record.k === 'chart') this.charts.add(record.hash);
    else if (record.k === 'reset') actors.clear();
    else if (record.k === 'actor')
      actors.set(record.actor, { value: record.value, status: record.status, chart: record.chart });
    else if (record.k === 'transition') {
      const known = actors.get(record.actor);
      if (known) actors.set(record.actor, { ...known, value: record.value, status: record.status });
    } else if (record.k === 'stop') actors.delete(record.actor);
  }
}
