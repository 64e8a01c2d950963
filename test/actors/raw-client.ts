// A client that speaks the protocol by hand, and wrongly where a test wants it. Its memory is its own to spoil.
import { laneCapacities } from '../../src/actors/session-lanes.ts';
import type { AppSpec } from '../../src/spec/universe.ts';
import { extractOf } from '../../src/spec/universe-extract.ts';
import { decodeFrame, encodeFrame, type Frame } from '../../src/transport/frame.ts';
import { LaneWriter } from '../../src/transport/lane.ts';
import { segmentKind } from '../../src/transport/link.ts';
import {
  type NativeDoorbell,
  type NativeSegment,
  type NativeSocket,
  native,
} from '../../src/transport/native.ts';
import { appSocketPath } from '../../src/transport/run-directory.ts';
import { waitUntil } from '../support/wait-until.ts';
import { type Court, tennis } from './pair.ts';

/** No segment of the tests is larger. */
const segmentBytesMax = 1 << 20;

export class RawClient {
  readonly frames: Frame[] = [];
  end: string | undefined;
  /** All its words; the peer maps them too. */
  readonly words: Int32Array;
  readonly #socket: NativeSocket;
  readonly #app: AppSpec;
  readonly #client: string;
  readonly #own: NativeSegment;
  readonly #doorbell: NativeDoorbell;
  #peer: NativeSegment | undefined;
  #releases: LaneWriter | undefined;

  constructor(court: Court, app: AppSpec = tennis.wall, client = 'player') {
    this.#app = app;
    this.#client = client;
    this.#own = new (native().Segment)(segmentKind.session, laneCapacities(app), 0);
    this.#doorbell = new (native().Doorbell)(this.#own, 0);
    this.words = new Int32Array(this.#own.buffer);
    this.#socket = new (native().Socket)(appSocketPath(court.folder, app.universe, app.name));
    this.#socket.listen(
      (bytes, fds) => this.#onPacket(decodeFrame(bytes), fds),
      (end) => {
        this.end = end;
      },
      () => {},
    );
  }

  hello(change: object = {}): Frame {
    return {
      t: 'hello',
      versions: [1, 1],
      layoutHash: native().layout.hash,
      client: this.#client,
      server: this.#app.name,
      universe: extractOf(this.#app),
      pid: process.pid,
      startTicks: native().startTicks(process.pid),
      segmentBytes: this.#own.bytes,
      metadata: null,
      ...change,
    };
  }

  get fds(): number[] {
    return [this.#own.fd, this.#doorbell.fd];
  }

  /** An honest log-in: from then on there is a session. */
  async logIn(): Promise<void> {
    this.send(this.hello(), this.fds);
    await waitUntil('the answer', () => this.#peer !== undefined);
    this.send({ t: 'ready' });
  }

  /** The sending end of the lane of a channel. REQUIRES: logged in. */
  lane(channel: string): LaneWriter {
    return new LaneWriter(this.#own, this.#peer!, Object.keys(this.#app.channels).indexOf(channel));
  }

  /** The lane of the releases, behind those of the channels. REQUIRES: logged in, an app with memory. */
  get releases(): LaneWriter {
    this.#releases ??= new LaneWriter(this.#own, this.#peer!, Object.keys(this.#app.channels).length);
    return this.#releases;
  }

  /** Where the tail of the first lane stands among the words. */
  get tailAt(): number {
    const { lanesOffset, tailOffset } = native().layout;
    return (lanesOffset + tailOffset) >> 2;
  }

  ring(): void {
    this.#doorbell.ring();
  }

  send(frame: Frame, fds: number[] = []): void {
    this.sendBytes(encodeFrame(frame), fds);
  }

  sendBytes(bytes: Uint8Array, fds: number[] = []): void {
    this.#socket.send(bytes, fds);
  }

  close(): void {
    this.#socket.close();
    this.#doorbell.close();
    this.#own.close();
    this.#peer?.close();
  }

  #onPacket(frame: Frame, fds: number[]): void {
    this.frames.push(frame);
    if (frame.t !== 'accepted') {
      for (const fd of fds) native().closeFd(fd);
      return;
    }
    const [segment, bell] = fds as [number, number];
    this.#peer = new (native().Segment)(
      segmentKind.session,
      segment,
      frame.segmentBytes as number,
      segmentBytesMax,
    );
    this.#peer.closeFile();
    this.#doorbell.adoptPeer(bell);
  }
}
