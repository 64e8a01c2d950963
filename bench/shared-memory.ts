// Shared memory: what two processes need to show the limits of the machine, from the addon and nothing else of the package:
// a segment of each that both have mapped, and a doorbell of each. They swap descriptors over a socket, as a log-in does.
import { join } from 'node:path';
import { segmentKind } from '../src/transport/link.ts';
import {
  type NativeDoorbell,
  type NativeSegment,
  type NativeSocket,
  native,
} from '../src/transport/native.ts';
import type { Role } from './job.ts';

export interface SharedMemory {
  /** Written by us, read by the peer. */
  readonly own: NativeSegment;
  /** Written by the peer, read by us. */
  readonly peer: NativeSegment;
  /** Rings at the peer; watches the peer's words. */
  readonly doorbell: NativeDoorbell;
}

/** The words and the ring of one lane in a segment. `tail` and `head` are indexes of `words`. */
export interface Lane {
  readonly words: Int32Array;
  readonly tail: number;
  readonly head: number;
  readonly ring: Uint8Array;
}

export function laneOf(segment: NativeSegment, index: number): Lane {
  const { lanesOffset, laneStride, tailOffset, headOffset } = native().layout;
  const base = lanesOffset + index * laneStride;
  const [offset, capacity] = segment.rings.slice(index * 2);
  return {
    words: new Int32Array(segment.buffer),
    tail: (base + tailOffset) >> 2,
    head: (base + headOffset) >> 2,
    ring: new Uint8Array(segment.buffer, offset, capacity),
  };
}

/** Makes our segment with lanes of these capacities and swaps it for the peer's. The responder must come first. */
export async function swapMemory(role: Role, directory: string, capacities: number[]): Promise<SharedMemory> {
  const { Segment, Doorbell } = native();
  const own = new Segment(segmentKind.session, capacities, 0);
  const doorbell = new Doorbell(own, 0);
  const socket = await connected(role, join(directory, 'limit.sock'));
  const peer = await new Promise<NativeSegment>((resolve) => {
    socket.listen(
      (_bytes, [segmentFd, bellFd]) => {
        resolve(new Segment(segmentKind.session, segmentFd!, own.bytes, own.bytes));
        doorbell.adoptPeer(bellFd!);
      },
      (end) => {
        throw new Error(`the other process ended: ${end}`);
      },
      () => {},
    );
    // A packet must have a byte; both segments are of the same size.
    socket.send(new Uint8Array(1), [own.fd, doorbell.fd]);
  });
  return { own, peer, doorbell };
}

function connected(role: Role, path: string): Promise<NativeSocket> {
  const { Listener, Socket } = native();
  if (role === 'driver') return Promise.resolve(new Socket(path));
  return new Promise((resolve) => {
    const listener = new Listener(path, 0o600, 1);
    listener.listen((fd) => {
      listener.close();
      resolve(new Socket(fd));
    });
  });
}
