// Viewer: one page that looks on by its WebSocket. It may read slowly or never: what waits for it is bounded, and when it
// reads again it gets what there is then. What it sends is input.
import type { WebSocket } from 'ws';
import { AudienceQueue } from './audience-queue.ts';
import type { ActorPlace, LogLine, PageMessage, ServerMessage } from './protocol.ts';
import type { Showing, Source } from './source.ts';

/** A page is drawn no more often. */
const flushMs = 50;
/** Bytes that the kernel has not taken; beyond them the page does not read fast enough. */
const bufferedMax = 1024 * 1024;
/** Of all processes together: half a second of very many. */
const waitingMax = 10_000;
const batchMax = 2_000;
const linesMax = 1_000;
/** A page that is there answers at once; one in a debugger may take a while. */
const pingMs = 15_000;
const pongsMissedMax = 3;
/** After as many messages that make no sense, it is no page of ours. */
const mistakesMax = 20;
const speedMax = 100;
const placeLengthMax = 4_096;

export interface ViewerOptions {
  readonly source: Source;
  /** Whether it may send events to actors. */
  readonly write: boolean;
  readonly onClose: () => void;
}

export class Viewer {
  readonly #socket: WebSocket;
  readonly #options: ViewerOptions;
  readonly #showing: Showing;
  readonly #timers: NodeJS.Timeout[];
  readonly #queue = new AudienceQueue({
    droppableMax: waitingMax,
    actorNow: (place) => this.#showing.actor(place),
  });
  /** The latest of each type that replaces what was before. */
  readonly #latest = new Map<string, ServerMessage>();
  #lines: LogLine[] = [];
  /** It must be told everything anew. */
  #dumpDue = true;
  #mistakes = 0;
  #pongsMissed = 0;
  #closed = false;

  constructor(socket: WebSocket, options: ViewerOptions) {
    this.#socket = socket;
    this.#options = options;
    const { source, write } = options;
    socket.on('close', () => this.close());
    // The end follows.
    socket.on('error', () => {});
    socket.on('pong', () => {
      this.#pongsMissed = 0;
    });
    socket.on('message', (data, isBinary) => this.#onMessage(data as Buffer, isBinary));
    this.#send(source.hello(write));
    this.#showing = source.show({
      tell: (message) => this.#tell(message),
      record: (process, record) => this.#queue.push(process, record),
    });
    this.#timers = [
      setInterval(() => this.#flush(), flushMs).unref(),
      setInterval(() => this.#ping(), pingMs).unref(),
    ];
    this.#flush();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const timer of this.#timers) clearInterval(timer);
    this.#showing.close();
    this.#socket.close(1001);
    this.#options.onClose();
  }

  /** Ends it at once, whatever it has not read. */
  terminate(): void {
    this.close();
    this.#socket.terminate();
  }

  #tell(message: ServerMessage): void {
    if (message.type === 'log') {
      this.#lines.push(...message.lines);
      if (this.#lines.length > linesMax) this.#lines = this.#lines.slice(-linesMax);
    } else if (message.type === 'refused') this.#send(message);
    else this.#latest.set(message.type, message);
  }

  #flush(): void {
    if (this.#closed) return;
    if (this.#queue.overrun) {
      // All of it would be out of date before it is read.
      this.#queue.clear();
      this.#dumpDue = true;
    }
    if (this.#socket.bufferedAmount > bufferedMax) return;
    if (this.#dumpDue) this.#sendDump();
    for (const message of this.#latest.values()) this.#send(message);
    this.#latest.clear();
    if (this.#lines.length > 0) this.#send({ type: 'log', lines: this.#lines.splice(0) });
    const dropped = this.#queue.takeDropped();
    if (dropped > 0) this.#send({ type: 'dropped', at: Date.now(), count: dropped });
    while (this.#queue.length > 0 && this.#socket.bufferedAmount <= bufferedMax)
      this.#send({ type: 'records', batches: this.#queue.take(batchMax) });
  }

  #sendDump(): void {
    this.#dumpDue = false;
    const { messages, actors, past } = this.#showing.dump();
    const dropped = this.#queue.takeDropped();
    // What is on its way is in the dump already.
    this.#queue.clear();
    this.#queue.takeDropped();
    if (dropped > 0) this.#send({ type: 'dropped', at: Date.now(), count: dropped });
    this.#latest.clear();
    this.#lines = [];
    for (const message of messages) this.#send(message);
    this.#send({ type: 'records', dump: true, batches: [...actors] });
    const before = [...past];
    if (before.length > 0) this.#send({ type: 'records', past: true, batches: before });
  }

  #send(message: ServerMessage): void {
    if (this.#socket.readyState === this.#socket.OPEN) this.#socket.send(JSON.stringify(message));
  }

  #ping(): void {
    if (this.#pongsMissed++ >= pongsMissedMax) return this.terminate();
    this.#socket.ping();
  }

  #onMessage(data: Buffer, isBinary: boolean): void {
    const message = isBinary ? 'binary data is no message' : messageIn(data);
    if (typeof message === 'string') {
      this.#send({ type: 'refused', what: 'message', why: message });
      if (++this.#mistakes >= mistakesMax) {
        this.#socket.close(1008, 'too many messages that make no sense');
        this.close();
      }
      return;
    }
    this.#obey(message);
  }

  #obey(message: PageMessage): void {
    switch (message.type) {
      case 'watch':
        return this.#showing.watch(message.place);
      case 'send': {
        const why = this.#options.write
          ? this.#showing.send(message.place, message.event)
          : 'this inspector only looks on; start it with --inspect-write';
        if (why !== undefined) this.#send({ type: 'refused', what: 'send', why });
        return;
      }
      case 'resync':
        this.#dumpDue = true;
        return;
      case 'seek':
        this.#showing.seek(message.at);
        this.#dumpDue = true;
        return this.#flush();
      case 'step':
        this.#showing.step(message.by);
        if (message.by < 0) this.#dumpDue = true;
        return this.#flush();
      case 'play':
        return this.#showing.play(message.speed ?? 1);
      case 'pause':
        return this.#showing.pause();
    }
  }
}

/** The message, or what is wrong with it. */
function messageIn(data: Buffer): PageMessage | string {
  let value: unknown;
  try {
    value = JSON.parse(data.toString('utf8'));
  } catch {
    return 'it is no JSON';
  }
  if (typeof value !== 'object' || value === null) return 'it is no object';
  const { type, place, event, at, by, speed } = value as Record<string, unknown>;
  switch (type) {
    case 'watch':
      return place === null || isPlace(place) ? { type, place } : 'watch: place is no place of an actor';
    case 'send':
      if (!isPlace(place)) return 'send: place is no place of an actor';
      return isEvent(event) ? { type, place, event } : 'send: event is no object with a type';
    case 'resync':
    case 'pause':
      return { type };
    case 'seek':
      return typeof at === 'number' && Number.isFinite(at) ? { type, at } : 'seek: at is no time';
    case 'step':
      return by === 1 || by === -1 ? { type, by } : 'step: by is neither 1 nor -1';
    case 'play':
      if (speed === undefined) return { type };
      return typeof speed === 'number' && speed > 0 && speed <= speedMax
        ? { type, speed }
        : `play: speed is no number from 0 to ${speedMax}`;
    default:
      return `${String(type).slice(0, 64)} is no type of a message`;
  }
}

function isPlace(value: unknown): value is ActorPlace {
  if (typeof value !== 'object' || value === null) return false;
  const { process, actor } = value as Record<string, unknown>;
  return [process, actor].every((text) => typeof text === 'string' && text.length <= placeLengthMax);
}

function isEvent(value: unknown): value is { readonly type: string } {
  return (
    typeof value === 'object' && value !== null && typeof (value as { type?: unknown }).type === 'string'
  );
}
