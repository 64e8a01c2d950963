// A server that lets a client in and then offers what it must not take: no session opens, the client says why and keeps nothing.
import { assert } from 'chai';
import { encodeFrame, type Frame } from '../../src/transport/frame.ts';
import { segmentKind } from '../../src/transport/link.ts';
import { type NativeSegment, native } from '../../src/transport/native.ts';
import { claimApp } from '../../src/transport/run-directory.ts';
import { openDescriptors } from '../support/descriptors.ts';
import { waitUntil } from '../support/wait-until.ts';
import { Court, holder, tennis } from './pair.ts';

const capacities = Object.values(tennis.wall.channels).map(({ capacityBytes }) => capacityBytes);

interface Offer {
  frame: Frame;
  segment: NativeSegment;
  fds: number[];
}

/** The second word of a segment's header; see cpp/shm/layout.h. */
const layoutHashAt = 1;

const offers: [what: string, change: (offer: Offer) => void, code: string][] = [
  [
    'another version of the protocol',
    (offer) => {
      offer.frame = { ...offer.frame, version: 99 };
    },
    'ERR_PROTOCOL_VERSION',
  ],
  [
    'the number of another process',
    (offer) => {
      offer.frame = { ...offer.frame, pid: 1 };
    },
    'ERR_PEER_UNIDENTIFIED',
  ],
  [
    'memory of another layout',
    ({ segment }) => {
      new Uint32Array(segment.buffer)[layoutHashAt]! ^= 1;
    },
    'ERR_MEMORY',
  ],
  [
    'memory of another size than it says',
    (offer) => {
      offer.frame = { ...offer.frame, segmentBytes: 4096 };
    },
    'ERR_MEMORY',
  ],
  ['what is no memory', (offer) => offer.fds.reverse(), 'ERR_MEMORY'],
  ['memory without a bell', (offer) => offer.fds.pop(), 'ERR_PROTOCOL'],
  [
    'no token',
    (offer) => {
      offer.frame = { ...offer.frame, token: undefined };
    },
    'ERR_PROTOCOL',
  ],
];

describe('a client of a server that offers nonsense', () => {
  for (const [what, change, code] of offers)
    it(`refuses ${what} with ${code}, and keeps nothing of it`, async () => {
      const { Segment, Doorbell, Socket } = native();
      const court = new Court();
      const runtime = court.runtime();
      const claim = claimApp(court.folder, 'tennis', 'wall');
      const before = openDescriptors().size;
      const segment = new Segment(segmentKind.session, capacities, 0);
      const bell = new Doorbell(segment, 0);
      const offer: Offer = {
        frame: {
          t: 'accepted',
          version: 1,
          token: '0'.repeat(32),
          pid: process.pid,
          startTicks: native().startTicks(process.pid),
          segmentBytes: segment.bytes,
          metadata: null,
        },
        segment,
        fds: [segment.fd, bell.fd],
      };
      change(offer);
      let ended = false;
      let opened = 0;
      claim.listener.listen((connection) => {
        const socket = new Socket(connection);
        socket.listen(
          (_, fds) => {
            for (const fd of fds) native().closeFd(fd);
            socket.send(encodeFrame(offer.frame), offer.fds);
          },
          () => {
            ended = true;
            socket.close();
          },
          () => {},
        );
      });
      const part = runtime.connect(
        tennis.player,
        tennis.wall,
        holder(() => opened++),
        { reconnect: { minMs: 60_000, maxMs: 60_000 } },
      );
      await waitUntil('the client to give it up', () => ended);
      await part.stop();
      assert.equal(opened, 0);
      const said = court.messages.map(({ message }) => message).join('\n');
      assert.match(said, wordsOf[code]!);
      bell.close();
      segment.close();
      await waitUntil('its descriptors to be closed', () => openDescriptors().size <= before);
      claim.release();
      await court.close();
    });
});

const wordsOf: Record<string, RegExp> = {
  ERR_PROTOCOL_VERSION: /no common protocol version: this side speaks .* the other 99/,
  ERR_PEER_UNIDENTIFIED: /it says that it is process 1, the kernel says/,
  ERR_MEMORY: /the peer's shared memory was refused/,
  ERR_PROTOCOL: /broke the protocol/,
};
