// The JavaScript side of a lane whose other side is cpp/test/lane_peer.cc.
import { LaneReader, LaneWriter, type RecordPlace } from '../../../src/transport/lane.ts';
import { segmentKind } from '../../../src/transport/link.ts';
import {
  type NativeDoorbell,
  type NativeSegment,
  type NativeSocket,
  native,
} from '../../../src/transport/native.ts';
import { type Program, type ProgramEnd, startProgram } from '../fixture.ts';
import type { RandomRecord } from './random-record.ts';

export interface LanePeerOptions {
  readonly mode: 'echo' | 'produce' | 'consume';
  readonly capacity: number;
  readonly firstPosition: number;
  readonly seed?: number;
  readonly count?: number;
}

export class LanePeer implements Disposable {
  readonly writer: LaneWriter;
  readonly reader: LaneReader;
  readonly end: Promise<ProgramEnd>;
  readonly #program: Program;
  readonly #own: NativeSegment;
  readonly #peer: NativeSegment;
  readonly #peerWords: Int32Array;
  readonly #doorbell: NativeDoorbell;
  readonly #socket: NativeSocket;
  #pump: () => void = () => undefined;
  #rung = 0;

  private constructor(
    program: Program,
    own: NativeSegment,
    peer: NativeSegment,
    doorbell: NativeDoorbell,
    socket: NativeSocket,
  ) {
    this.#program = program;
    this.end = program.end;
    this.#own = own;
    this.#peer = peer;
    this.#peerWords = new Int32Array(peer.buffer);
    this.#doorbell = doorbell;
    this.#socket = socket;
    this.writer = new LaneWriter(own, peer, 0);
    this.reader = new LaneReader(own, peer, 0);
    for (const offset of [this.reader.tailBytes, this.writer.headBytes])
      doorbell.watch(peer, offset, Atomics.load(this.#peerWords, offset >> 2) >>> 0);
    doorbell.listen(() => {
      this.#pump();
      return false;
    });
  }

  static async start(path: string, options: LanePeerOptions): Promise<LanePeer> {
    const { Segment, Doorbell, Socket, socketPair, closeFd } = native();
    const { mode, capacity, firstPosition, seed = 1, count = 0 } = options;
    const own = new Segment(segmentKind.session, [capacity], firstPosition);
    const doorbell = new Doorbell(own, 0);
    const [mine, theirs] = socketPair();
    const args = [mode, capacity, firstPosition, own.bytes, seed, count].map(String);
    const program = startProgram(path, args, { fds: [theirs, own.fd, doorbell.fd] });
    closeFd(theirs);
    const socket = new Socket(mine);
    const offer = await Promise.race([
      new Promise<{ bytes: number; fds: number[] }>((resolve) => {
        socket.listen(
          (packet, fds) => resolve({ bytes: Number(packet.readBigUInt64LE()), fds }),
          () => undefined,
          () => undefined,
        );
      }),
      program.end.then(({ stderr }) => {
        throw new Error(`the peer offered nothing: ${stderr}`);
      }),
    ]);
    const [segmentFd, bellFd] = offer.fds as [number, number];
    const peer = new Segment(segmentKind.session, segmentFd, offer.bytes, offer.bytes);
    doorbell.adoptPeer(bellFd);
    return new LanePeer(program, own, peer, doorbell, socket);
  }

  /** Calls `pump` now and whenever the peer has written or read, until it answers true. */
  run(pump: () => boolean): Promise<void> {
    const done = new Promise<void>((resolve, reject) => {
      this.#pump = () => {
        try {
          if (!pump()) return;
          resolve();
        } catch (error) {
          reject(error);
        }
        this.#pump = () => undefined;
      };
      this.#pump();
    });
    const died = this.end.then(({ code, signal, stderr }) => {
      // One that has read everything may end before we see it.
      if (code !== 0) throw new Error(`the peer ended with ${signal ?? code}: ${stderr}`);
      return done;
    });
    return Promise.race([done, died]);
  }

  /** SYNC park-or-ring. */
  notify(): void {
    const word = Atomics.load(this.#peerWords, native().layout.parkOffset >> 2);
    if ((word & 1) === 0 || word === this.#rung) return;
    this.#rung = word;
    this.#doorbell.ring();
  }

  /** Tells the peer that nothing follows; it ends. */
  hangUp(): void {
    this.#socket.close();
  }

  [Symbol.dispose](): void {
    this.#program[Symbol.dispose]();
    this.#socket.close();
    this.#doorbell.close();
    this.#peer.close();
    this.#own.close();
  }
}

/** Writes records while there is room, and asks to be rung while there is none. */
export class Outgoing {
  readonly #peer: LanePeer;
  readonly #source: Iterator<RandomRecord, void>;
  #next: RandomRecord | undefined;

  constructor(peer: LanePeer, source: Iterator<RandomRecord, void>) {
    this.#peer = peer;
    this.#source = source;
    this.#advance();
  }

  /** @returns whether all is written. */
  pump(): boolean {
    // Once more after WANT is set: the reader may have moved before it could see it.
    return this.#put() || this.#put();
  }

  #put(): boolean {
    const { writer } = this.#peer;
    while (this.#next) {
      const { kind, flags, payload } = this.#next;
      if (!writer.write(kind, flags, payload, payload.length)) break;
      this.#advance();
    }
    writer.publish();
    this.#peer.notify();
    writer.wantRoom(this.#next !== undefined);
    return this.#next === undefined;
  }

  #advance(): void {
    this.#next = this.#source.next().value ?? undefined;
  }
}

/** Reads what there is, gives its room back. */
export function readAll(peer: LanePeer, visit: (place: RecordPlace, ring: Uint8Array) => void): void {
  const { reader } = peer;
  const place = { kind: 0, flags: 0, at: 0, bytes: 0 };
  while (reader.read(place)) {
    visit(place, reader.ring);
    if (reader.release()) peer.notify();
  }
  if (reader.broken !== undefined) throw new Error(reader.broken);
}
