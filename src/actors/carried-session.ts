// Carried session: one session between two machines as the gateway of one of them has it. To the program here it is the peer; what
// the program writes goes to the other gateway, which writes the same there.
import { type ErrorData, messageOf } from '../errors.ts';
import type { UniverseExtract } from '../spec/universe-extract.ts';
import type { BlockReference } from '../transport/block-reference.ts';
import { type Frame, mapOf, textOf, wholeOf } from '../transport/frame.ts';
import type { LaneMirror, RingPiece } from '../transport/lane-mirror.ts';
import { Link } from '../transport/link.ts';
import { MemoryMirror } from '../transport/memory-mirror.ts';
import { native, type SocketEnd } from '../transport/native.ts';
import { closeAll, type PacketSocket, takeFds } from '../transport/packet-socket.ts';
import { CarriedStream, type Items, type StreamSettings } from './carried-stream.ts';
import { lifeLimits, sessionDefaults } from './live-session.ts';
import {
  type LostReason,
  lostFrame,
  lostReasonOf,
  memoryFrame,
  parseMemory,
  parseSegmentReplaced,
  segmentRefusedFrame,
  stalledFrame,
} from './session-frame.ts';
import { laneCapacities, releaseLane } from './session-lanes.ts';

/** Bytes of memory in one batch, about. */
const batchBytes = 128 * 1024;
const pieceBytes = 64 * 1024;
/** Frames of the program that wait for the link; a program that sends more has lost its senses. */
const framesMax = 1_024;
const wordMax = 2 ** 32 - 1;

export type CarriedEnd = { readonly reason: LostReason; readonly why: string };

interface Outgoing {
  readonly item: readonly unknown[];
  /** Where all lanes must have come first: a frame never overtakes what was written before it. */
  readonly after: readonly number[];
}

interface Settings extends Omit<StreamSettings, 'onRoom' | 'onLost'> {
  readonly socket: PacketSocket;
  readonly universe: UniverseExtract;
  readonly onEnd: (end: CarriedEnd) => void;
}

export class CarriedSession {
  readonly link: Link;
  readonly #settings: Settings;
  readonly #memory: MemoryMirror | undefined;
  #stream: CarriedStream | undefined;
  #lanes: LaneMirror[] = [];
  /** Which lane is looked at first. */
  #turn = 0;
  #urgent: (readonly unknown[])[] = [];
  #outbox: Outgoing[] = [];
  /** What is lent by records that were looked at: segment, from, to. */
  #blocks: { segment: number; at: number; end: number }[] = [];
  #held: { lane: number; piece: RingPiece } | undefined;
  #ending: CarriedEnd | undefined;
  #broken = false;
  #ended = false;

  /** @throws {IpcError} ERR_SYSTEM for rings that can't be made. */
  constructor(settings: Settings) {
    this.#settings = settings;
    const { universe } = settings;
    this.link = new Link(laneCapacities(universe));
    if ((universe.arenaBytes ?? 0) > 0) this.#memory = new MemoryMirror(universe.arenaBytes!);
  }

  /** Begins to carry. REQUIRES: the link is attached. @throws {IpcError} ERR_SYSTEM. */
  start(): void {
    const { link, settings } = { link: this.link, settings: this.#settings };
    const releases = this.#memory ? releaseLane(settings.universe) : -1;
    const onBlock = this.#memory && ((reference: BlockReference) => this.#onBlock(reference));
    this.#lanes = link.mirrors((lane) => (lane === releases ? undefined : onBlock));
    this.#stream = new CarriedStream({
      ...settings,
      onRoom: () => this.#pump(),
      onLost: (why) => this.#finish({ reason: 'peer.idle', why }, true),
    });
    link.beat(lifeLimits(sessionDefaults));
    link.onLife((stalledMs, silent) => {
      if (silent) settings.socket.readNow();
      if (!silent) this.#later(['stalled', stalledMs]);
      else if (link.silent) this.#localEnd('peer.idle', 'it gave no sign of life');
    });
    for (const { headBytes } of this.#lanes) link.watchPeer(headBytes);
    link.start(this.#lanes.map(({ tailBytes }) => ({ tailBytes, poll: () => false })));
    // Once for all lanes, and also where there is none.
    link.join({ poll: () => this.#pump() });
    link.again();
    settings.socket.listen({
      frame: (frame, fds) => this.#onFrame(frame, fds),
      rung: () => link.again(),
      ended: (end, why) => this.#localEnd(reasonOf(end), why),
    });
  }

  /** A batch of the other gateway. @returns its answer. */
  accept(number: number, items: Items): { got: number } | { gone: string } {
    if (this.#ended) return { gone: 'the session is over' };
    // The answer to our question for it is still on its way.
    if (!this.#stream) return { got: 0 };
    return this.#stream.accept(number, items, (batch) => {
      try {
        let rings = false;
        for (const item of batch) if (!this.#ended && this.#take(item)) rings = true;
        if (rings && !this.#ended) this.link.notify();
      } catch (error) {
        this.#localEnd('protocol.violated', `the other gateway: ${messageOf(error)}`);
        this.#finish({ reason: 'protocol.violated', why: messageOf(error) }, true);
      }
    });
  }

  /** Ends it on both sides. */
  close(why: string): void {
    if (!this.#stream) return this.#finish({ reason: 'peer.closed', why }, true);
    this.#tell('peer.closed', why);
    this.#localEnd('peer.closed', why);
  }

  // ---- from the program here

  #onFrame(frame: Frame, fds: number[]): void {
    if (frame.t === 'memory' && this.#memory) {
      const { number, scope, bytes } = parseMemory(frame);
      const [fd] = takeFds(fds, 1, frame.t) as [number];
      if (scope === 'shared') {
        closeAll([fd]);
        throw new Error('an arena that is shared is of one machine');
      }
      this.#memory.receive(number, bytes, fd);
      this.#urgent.push(['memory', number, bytes]);
      this.link.again();
      return;
    }
    if (frame.t === 'segment.replaced') {
      closeAll(fds);
      parseSegmentReplaced(frame);
      this.#settings.socket.send(segmentRefusedFrame);
      return;
    }
    if (fds.length > 0 || frame.t === 'subscribe')
      throw new Error(`a frame ${frame.t} is of one machine and goes to no other`);
    this.#later(['frame', frame]);
  }

  #later(item: readonly unknown[]): void {
    if (this.#ended || this.#ending) return;
    if (this.#outbox.length >= framesMax)
      return this.#localEnd('protocol.violated', `${framesMax} frames wait`);
    this.#outbox.push({ item, after: this.#lanes.map(({ tail }) => tail) });
    this.link.again();
  }

  /** The program here has ended, or makes no sense: told once all that it had written is there. */
  #localEnd(reason: LostReason, why: string): void {
    if (this.#ended || this.#ending) return;
    this.#ending = { reason, why };
    this.#outbox.push({
      item: ['end', { t: 'end', reason, why: why.slice(0, 1000) }],
      after: this.#broken ? [] : this.#lanes.map(({ tail }) => tail),
    });
    this.#pump();
  }

  #onBlock(reference: BlockReference): boolean {
    if (!this.#memory!.has(reference)) return false;
    const { segment, offset, start, bytes } = reference;
    this.#blocks.push({ segment, at: offset - native().layout.blockAlign, end: offset + start + bytes });
    return true;
  }

  /** Sends what there is and has room. @returns whether something was left for another turn. */
  #pump(): boolean {
    const stream = this.#stream;
    if (!stream || this.#ended) return false;
    if (this.#ending && this.#outbox.length === 0 && stream.settled) {
      this.#finish(this.#ending, false);
      return false;
    }
    try {
      while (stream.hasRoom) {
        const items = this.#collect();
        if (items.length === 0) return false;
        stream.push(items);
      }
    } catch (error) {
      this.#broken = true;
      this.#held = undefined;
      this.#lanes = [];
      this.#blocks = [];
      this.#urgent = [];
      this.#outbox = [];
      this.#localEnd('memory.violated', messageOf(error));
    }
    return false;
  }

  #collect(): unknown[] {
    const items: unknown[] = this.#urgent.splice(0);
    this.#lanes.forEach((mirror, lane) => {
      const head = mirror.news();
      if (head !== undefined) items.push(['head', lane, head]);
    });
    let left = batchBytes;
    while (left > 0) {
      const block = this.#blocks[0];
      if (block) {
        const bytes = this.#memory!.read(block.segment, block.at, Math.min(pieceBytes, block.end - block.at));
        items.push(['block', block.segment, block.at, bytes]);
        block.at += bytes.length;
        left -= bytes.length;
        if (block.at === block.end) this.#blocks.shift();
        continue;
      }
      const held = this.#held ?? this.#nextPiece();
      if (!held) break;
      this.#held = held;
      // Its blocks come first.
      if (this.#blocks.length > 0) continue;
      this.#held = undefined;
      const { lane, piece } = held;
      items.push(['ring', lane, piece.at, piece.bytes, piece.last]);
      left -= piece.bytes.length;
    }
    for (let next = this.#outbox[0]; next && this.#mayGo(next); next = this.#outbox[0]) {
      items.push(next.item);
      this.#outbox.shift();
    }
    return items;
  }

  #mayGo({ after }: Outgoing): boolean {
    return (
      this.#held === undefined && this.#lanes.every((lane, index) => lane.hasTaken(after[index] ?? lane.tail))
    );
  }

  #nextPiece(): { lane: number; piece: RingPiece } | undefined {
    const count = this.#lanes.length;
    for (let step = 0; step < count; step++) {
      const lane = (this.#turn + step) % count;
      const piece = this.#lanes[lane]!.take(pieceBytes);
      if (!piece) continue;
      this.#turn = lane + 1;
      return { lane, piece };
    }
    return undefined;
  }

  // ---- from the other gateway

  /** @returns whether the program here may have to be woken. @throws an Error for what makes no sense. */
  #take(item: unknown): boolean {
    if (!Array.isArray(item)) throw new Error('an item that is none');
    const [t, ...rest] = item as [unknown, ...unknown[]];
    // The program here makes no sense, and the other side is being told so.
    if (this.#broken && t !== 'end') return false;
    const facts: Frame = { ...rest, t: String(t) } as Frame;
    const number = (index: number) => wholeOf(facts, String(index), wordMax);
    switch (t) {
      case 'ring':
        return this.#lane(number(0)).put({ at: number(1), bytes: bytesOf(rest[2]), last: rest[3] === true });
      case 'head':
        return this.#lane(number(0)).readUpTo(number(1));
      case 'memory': {
        if (!this.#memory) throw new Error('memory where none is lent');
        const [segment, bytes] = [number(0), number(1)];
        const fd = this.#memory.open(segment, bytes);
        this.#settings.socket.send(memoryFrame({ number: segment, scope: 'session', bytes }), [fd]);
        return false;
      }
      case 'block':
        if (!this.#memory) throw new Error('a block where none is lent');
        this.#memory.write(number(0), number(1), bytesOf(rest[2]));
        return false;
      case 'frame': {
        const frame = mapOf(facts, '0');
        this.#settings.socket.send({ ...frame, t: textOf(frame as Frame, 't', 64) });
        return false;
      }
      case 'stalled':
        this.#settings.socket.send(stalledFrame(number(0)));
        return false;
      case 'end': {
        const frame = mapOf(facts, '0') as Frame;
        this.#finish({ reason: lostReasonOf(frame), why: textOf(frame, 'why', 1000) }, true);
        return false;
      }
      default:
        throw new Error('an item of unknown type');
    }
  }

  #lane(index: number): LaneMirror {
    const lane = this.#lanes[index];
    if (!lane) throw new Error(`there is no lane ${index}`);
    return lane;
  }

  #finish(end: CarriedEnd, tellsProgram: boolean): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#stream?.close();
    const { socket, onEnd } = this.#settings;
    if (tellsProgram && !this.#ending) this.#tell(end.reason, end.why);
    socket.close();
    // Not within the turn of a callback of the link itself.
    setImmediate(() => this.discard());
    onEnd(end);
  }

  #tell(reason: LostReason, why: string): void {
    try {
      this.#settings.socket.send(lostFrame(reason, why));
    } catch {
      // It reads nothing; the end of the connection tells it.
    }
  }

  /** Lets go of the memory. */
  discard(): void {
    this.#ended = true;
    this.#stream?.close();
    this.#lanes = [];
    this.link.close();
    this.#memory?.close();
  }
}

function reasonOf(end: SocketEnd): LostReason {
  return end === 'CLOSED' ? 'peer.closed' : end === 'BAD_PACKET' ? 'protocol.violated' : 'peer.reset';
}

function bytesOf(value: unknown): Uint8Array {
  if (!(value instanceof Uint8Array) || value.length > pieceBytes)
    throw new Error('an item without its bytes');
  return value;
}

/** What the other gateway answers to a hello. */
export type Opened =
  | { readonly accepted: Frame; readonly rejected?: undefined }
  | { readonly accepted?: undefined; readonly rejected: ErrorData };
