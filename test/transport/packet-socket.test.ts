import { closeSync, openSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { assert } from 'chai';
import { decodeFrame, encodeFrame, type Frame } from '../../src/transport/frame.ts';
import { segmentKind } from '../../src/transport/link.ts';
import { type Credentials, type NativeSegment, native, type SocketEnd } from '../../src/transport/native.ts';
import { closeAll, PacketSocket, takeFds } from '../../src/transport/packet-socket.ts';
import { isOpen, openDescriptors } from '../support/descriptors.ts';
import { startFixture } from '../support/fixture.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { waitUntil } from '../support/wait-until.ts';

/** What a socket's observer was told. */
class Heard {
  readonly frames: Frame[] = [];
  readonly fds: number[][] = [];
  readonly senders: Credentials[] = [];
  readonly ends: { end: SocketEnd; why: string }[] = [];

  frame(frame: Frame, fds: number[], sender: Credentials): void {
    this.frames.push(frame);
    this.fds.push(fds);
    this.senders.push(sender);
  }

  ended(end: SocketEnd, why: string): void {
    this.ends.push({ end, why });
  }

  async ending(): Promise<{ end: SocketEnd; why: string }> {
    return await waitUntil('the socket ends', () => this.ends[0]);
  }

  async first(count: number): Promise<Frame[]> {
    return await waitUntil(`${count} frames come`, () => this.frames.length >= count && this.frames);
  }
}

const numbered = (n: number): Frame => ({ t: 'numbered', n });

/** More than the kernel's queue takes at once, less than that and the outbox together. */
const many = 450;

describe('PacketSocket', () => {
  let sockets: PacketSocket[];
  /** Ends of pairs that no socket has taken over. */
  let loose: Set<number>;
  let descriptors: Map<number, string>;
  let segment: NativeSegment;

  beforeEach(() => {
    sockets = [];
    loose = new Set();
    descriptors = openDescriptors();
    segment = new (native().Segment)(segmentKind.session, [1024], 0);
  });

  afterEach('no descriptor is left', async () => {
    for (const socket of sockets) socket.destroy();
    for (const fd of loose) native().closeFd(fd);
    segment.close();
    await waitUntil('all descriptors are closed', () => openDescriptors().size <= descriptors.size);
  });

  function adopt(fd: number): PacketSocket {
    loose.delete(fd);
    const socket = PacketSocket.adopt(fd);
    sockets.push(socket);
    return socket;
  }

  /** A listening socket, and the descriptor of the other end, from which nobody reads. */
  function alone(): { socket: PacketSocket; heard: Heard; peerFd: number } {
    const [one, peerFd] = native().socketPair();
    loose.add(peerFd);
    const socket = adopt(one);
    const heard = new Heard();
    socket.listen(heard);
    return { socket, heard, peerFd };
  }

  function closePeer(fd: number): void {
    loose.delete(fd);
    native().closeFd(fd);
  }

  function listening(fd: number): { socket: PacketSocket; heard: Heard } {
    const socket = adopt(fd);
    const heard = new Heard();
    socket.listen(heard);
    return { socket, heard };
  }

  function pair() {
    const { socket, heard, peerFd } = alone();
    const other = listening(peerFd);
    return { one: { socket, heard }, other };
  }

  function sendMany(socket: PacketSocket): Frame[] {
    const frames = Array.from({ length: many }, (_, n) => numbered(n));
    for (const frame of frames) socket.send(frame);
    return frames;
  }

  /** Sends bytes as they are, as a peer that keeps no rules. */
  function sendRaw(fd: number, bytes: Uint8Array, fds: number[] = []): void {
    const { Socket, dupFd } = native();
    const raw = new Socket(dupFd(fd));
    assert.isTrue(raw.send(bytes, fds));
    raw.close();
  }

  describe('send()', () => {
    it('delivers frames in order, with who sent them', async () => {
      const { one, other } = pair();
      const frames = [numbered(1), { t: 'text', text: 'é', list: [1, { a: null }] }, numbered(3)];
      for (const frame of frames) one.socket.send(frame);
      other.socket.send(numbered(-1));
      assert.deepEqual(await other.heard.first(3), frames);
      assert.deepEqual(await one.heard.first(1), [numbered(-1)]);
      for (const { pid, uid } of other.heard.senders) {
        assert.equal(pid, process.pid);
        assert.equal(uid, process.geteuid!());
      }
    });

    it('delivers descriptors as copies; the sender keeps its own', async () => {
      const { one, other } = pair();
      one.socket.send(numbered(1), [segment.fd, segment.fd]);
      one.socket.send(numbered(2));
      await other.heard.first(2);
      const [[first, second] = [], none] = other.heard.fds;
      assert.deepEqual(none, []);
      for (const fd of [first!, second!]) {
        assert.notEqual(fd, segment.fd);
        assert.equal(readlinkSync(`/proc/self/fd/${fd}`), readlinkSync(`/proc/self/fd/${segment.fd}`));
        native().closeFd(fd);
      }
      assert.isTrue(isOpen(segment.fd));
    });

    it('queues while the peer reads slowly, and loses and reorders nothing', async () => {
      const { socket, peerFd } = alone();
      const frames = sendMany(socket);
      const peer = listening(peerFd);
      assert.deepEqual(await peer.heard.first(many), frames);
      socket.send(numbered(many));
      await peer.heard.first(many + 1);
    });

    it('delivers what was sent before anybody listened, also what had to be queued', async () => {
      const [one, other] = native().socketPair();
      const socket = adopt(one);
      const frames = sendMany(socket);
      socket.listen(new Heard());
      const peer = listening(other);
      assert.deepEqual(await peer.heard.first(many), frames);
    });

    it('throws ERR_PROTOCOL when a peer that reads nothing has let too many frames pile up', async () => {
      const { socket, peerFd } = alone();
      let sent = 0;
      assert.throws(
        () => {
          for (; sent < 10_000; sent++) socket.send(numbered(sent));
        },
        /left 256 frames unread/,
        undefined,
      );
      try {
        socket.send(numbered(sent));
        assert.fail('nothing was thrown');
      } catch (error) {
        assert.propertyVal(error, 'code', 'ERR_PROTOCOL');
      }
      // What was taken before is delivered, if the peer reads after all.
      const peer = listening(peerFd);
      const frames = await peer.heard.first(sent);
      assert.deepEqual(frames.at(-1), numbered(sent - 1));
      socket.send(numbered(sent));
      assert.deepEqual((await peer.heard.first(sent + 1)).at(-1), numbered(sent));
    });

    it('delivers the descriptors that it was given, also if the caller closes them while the frame waits', async () => {
      const { socket, peerFd } = alone();
      sendMany(socket);
      const { dupFd, closeFd } = native();
      const given = dupFd(segment.fd);
      socket.send({ t: 'memory' }, [given]);
      closeFd(given);
      // Takes the number that has become free.
      const other = openSync('/dev/null', 'r');
      const peer = listening(peerFd);
      await peer.heard.first(many + 1);
      const [fd] = peer.heard.fds.at(-1)!;
      const found = readlinkSync(`/proc/self/fd/${fd}`);
      native().closeFd(fd!);
      closeSync(other);
      assert.equal(found, readlinkSync(`/proc/self/fd/${segment.fd}`));
    });

    it('throws ERR_SYSTEM for a frame that is too large, and goes on', async () => {
      const { one, other } = pair();
      const tooLarge = { t: 'large', text: 'x'.repeat(native().layout.packetBytesMax) };
      assert.throws(() => one.socket.send(tooLarge), /sending a frame/);
      one.socket.send(numbered(1));
      assert.deepEqual(await other.heard.first(1), [numbered(1)]);
      assert.deepEqual(one.heard.ends, []);
    });

    it('throws the same while others wait in the queue, and sends those', async () => {
      const { socket, peerFd } = alone();
      const frames = sendMany(socket);
      const tooLarge = { t: 'large', text: 'x'.repeat(native().layout.packetBytesMax) };
      assert.throws(() => socket.send(tooLarge), /sending a frame/);
      socket.send(numbered(many));
      const peer = listening(peerFd);
      assert.deepEqual(await peer.heard.first(many + 1), [...frames, numbered(many)]);
    });

    it('says nothing of a peer that is gone; the observer is told', async () => {
      const { one, other } = pair();
      other.socket.close();
      for (let i = 0; i < 3; i++) one.socket.send(numbered(i));
      assert.equal((await one.heard.ending()).end, 'CLOSED');
      one.socket.send(numbered(4));
      assert.lengthOf(one.heard.ends, 1);
    });
  });

  describe('listen()', () => {
    it('goes on with another observer, who gets what comes from then on', async () => {
      const { one, other } = pair();
      one.socket.send(numbered(1));
      await other.heard.first(1);
      const second = new Heard();
      other.socket.listen(second);
      one.socket.send(numbered(2));
      assert.deepEqual(await second.first(1), [numbered(2)]);
      assert.lengthOf(other.heard.frames, 1);
      one.socket.close();
      await second.ending();
      assert.deepEqual(other.heard.ends, []);
    });

    it('tells once when the peer has closed, after what it had sent', async () => {
      const { one, other } = pair();
      one.socket.send(numbered(1));
      one.socket.close();
      const { end, why } = await other.heard.ending();
      assert.equal(end, 'CLOSED');
      assert.include(why, 'closed the connection');
      assert.deepEqual(other.heard.frames, [numbered(1)]);
      assert.lengthOf(other.heard.ends, 1);
    });

    it('tells of a peer that closed without reading, after what it had sent', async () => {
      const { socket, heard, peerFd } = alone();
      socket.send(numbered(1));
      sendRaw(peerFd, encodeFrame({ t: 'goodbye' }));
      closePeer(peerFd);
      assert.equal((await heard.ending()).end, 'RESET');
      assert.deepEqual(heard.frames, [{ t: 'goodbye' }]);
    });

    for (const [what, bytes] of [
      ['bytes that are no msgpack', Buffer.of(0xc7, 0xff)],
      ['a frame that is cut off', encodeFrame({ t: 'hello', list: [1, 2, 3] }).subarray(0, 8)],
      ['a value that is no map', encodeFrame([1] as unknown as Frame)],
      ['a map without a type', encodeFrame({ x: 1 } as unknown as Frame)],
      ['a type that is no text', encodeFrame({ t: 1 } as unknown as Frame)],
    ] as const) {
      it(`ends at ${what}, closes its descriptors, and hears no more`, async () => {
        const { heard, peerFd } = alone();
        sendRaw(peerFd, encodeFrame(numbered(1)));
        sendRaw(peerFd, bytes, [segment.fd, segment.fd]);
        sendRaw(peerFd, encodeFrame(numbered(2)), [segment.fd]);
        const before = openDescriptors().size;
        const { end, why } = await heard.ending();
        assert.equal(end, 'BAD_PACKET');
        assert.match(why, /frame/);
        assert.deepEqual(heard.frames, [numbered(1)]);
        closePeer(peerFd);
        await waitUntil('descriptors are closed', () => openDescriptors().size <= before - 1);
        assert.lengthOf(heard.ends, 1);
      });
    }

    it('ends when the observer refuses a frame, with its words, and hears no more', async () => {
      const { socket, peerFd } = alone();
      const heard = new Heard();
      socket.listen({
        frame(frame, fds) {
          heard.frames.push(frame);
          takeFds(fds, 0, frame.t);
          if (frame.t === 'bad') throw new Error('a bad frame');
        },
        ended: (end, why) => heard.ended(end, why),
      });
      for (const t of ['good', 'bad', 'late']) sendRaw(peerFd, encodeFrame({ t }));
      assert.deepEqual(await heard.ending(), { end: 'BAD_PACKET', why: 'a bad frame' });
      closePeer(peerFd);
      socket.close();
      assert.deepEqual(heard.frames, [{ t: 'good' }, { t: 'bad' }]);
      assert.lengthOf(heard.ends, 1);
    });

    it('closes what came with a frame that the observer refuses before it has taken it', async () => {
      const { socket, peerFd } = alone();
      const heard = new Heard();
      let given: number[] = [];
      socket.listen({
        frame(_frame, fds) {
          given = [...fds];
          throw new Error('not expected');
        },
        ended: (end, why) => heard.ended(end, why),
      });
      sendRaw(peerFd, encodeFrame(numbered(1)), [segment.fd, segment.fd]);
      await heard.ending();
      const left = given.filter(isOpen);
      closeAll([...left]);
      assert.lengthOf(given, 2);
      assert.deepEqual(left, []);
    });

    it('lets its observer close the socket in the middle of a frame', async () => {
      const { socket, peerFd } = alone();
      let frames = 0;
      socket.listen({
        frame() {
          frames++;
          socket.close();
        },
        ended: () => assert.fail('it was told the end of a socket that it had closed'),
      });
      for (let i = 0; i < 3; i++) sendRaw(peerFd, encodeFrame(numbered(i)));
      await waitUntil('the frame comes', () => frames > 0);
      await new Promise(setImmediate);
      assert.equal(frames, 1);
      closePeer(peerFd);
    });
  });

  describe('ring()', () => {
    /** Hears rings, and what else comes. */
    function listenToRings(socket: PacketSocket): { came: (number | 'ring')[] } {
      const came: (number | 'ring')[] = [];
      socket.listen({
        frame: ({ n }) => void came.push(n as number),
        ended: (_, why) => assert.fail(why),
        rung: () => void came.push('ring'),
      });
      return { came };
    }

    it('is heard by who listens for it; to anybody else it makes no sense', async () => {
      const { one, other } = pair();
      const { came } = listenToRings(other.socket);
      one.socket.ring();
      await waitUntil('the ring', () => came.length === 1);
      other.socket.ring();
      assert.equal((await one.heard.ending()).end, 'BAD_PACKET');
    });

    it('waits for room, all that come meanwhile as one, behind the frames that wait', async () => {
      const { one, other } = pair();
      const { came } = listenToRings(other.socket);
      sendMany(one.socket);
      for (let n = 0; n < 10_000; n++) one.socket.ring();
      await waitUntil('the ring', () => came.at(-1) === 'ring');
      assert.deepEqual(came, [...Array(many).keys(), 'ring']);
      one.socket.ring();
      await waitUntil('the next ring', () => came.length === many + 2);
    });

    it('of a flood takes its turns: others of the process are heard between', async () => {
      const { one, other } = pair();
      const calm = pair();
      const { came } = listenToRings(other.socket);
      for (let n = 0; n < 10_000; n++) one.socket.ring();
      calm.one.socket.send(numbered(1));
      await calm.other.heard.first(1);
      assert.isAtLeast(came.length, 1);
      await waitUntil('the end of the flood', () => came.length > 100);
    });

    it('after the end rings nobody and throws nothing', () => {
      const { one } = pair();
      one.socket.destroy();
      one.socket.ring();
    });
  });

  describe('close()', () => {
    it('closes once the peer has taken what was sent', async () => {
      const { socket, peerFd } = alone();
      const frames = sendMany(socket);
      socket.close();
      const peer = listening(peerFd);
      await peer.heard.ending();
      assert.deepEqual(peer.heard.frames, frames);
    });

    it('does the same when it is called again', async () => {
      const { socket, peerFd } = alone();
      const frames = sendMany(socket);
      socket.close();
      socket.close();
      const peer = listening(peerFd);
      await peer.heard.ending();
      assert.deepEqual(peer.heard.frames, frames);
    });

    it('sends nothing that comes after it', async () => {
      const { socket, peerFd } = alone();
      const frames = sendMany(socket);
      socket.close();
      socket.send({ t: 'too late' });
      const peer = listening(peerFd);
      await peer.heard.ending();
      assert.deepEqual(peer.heard.frames, frames);
    });

    it('hears nothing any more, and closes the descriptors that still come', async () => {
      const { socket, heard, peerFd } = alone();
      sendMany(socket);
      socket.close();
      sendRaw(peerFd, encodeFrame(numbered(1)), [segment.fd]);
      const peer = listening(peerFd);
      await peer.heard.ending();
      assert.deepEqual(heard.frames, []);
      assert.deepEqual(heard.ends, []);
    });

    it('lets go when the peer dies before it has taken everything', async () => {
      const { socket, peerFd } = alone();
      const before = openDescriptors().size;
      sendMany(socket);
      socket.close();
      closePeer(peerFd);
      await waitUntil('both ends are closed', () => openDescriptors().size <= before - 2);
    });

    it('closes at once where nothing waits', () => {
      const { one } = pair();
      const before = openDescriptors().size;
      one.socket.close();
      one.socket.close();
      assert.equal(openDescriptors().size, before - 1);
      one.socket.send(numbered(1));
    });
  });

  describe('destroy()', () => {
    it('closes at once, whatever waits', () => {
      const { socket, peerFd } = alone();
      const before = openDescriptors().size;
      sendMany(socket);
      socket.destroy();
      assert.equal(openDescriptors().size, before - 1);
      closePeer(peerFd);
    });

    it('closes at once what lingers', () => {
      const { socket, peerFd } = alone();
      const before = openDescriptors().size;
      sendMany(socket);
      socket.close();
      socket.destroy();
      assert.equal(openDescriptors().size, before - 1);
      closePeer(peerFd);
    });
  });

  describe('connect()', () => {
    it('gives a socket to the process that listens there', async () => {
      using folder = temporaryFolder();
      const path = join(folder.path, 'socket');
      const listener = new (native().Listener)(path, 0o600, 4);
      const accepted = new Promise<number>((resolve) => listener.listen(resolve));
      const client = PacketSocket.connect(path);
      sockets.push(client);
      client.send(numbered(1));
      const server = listening(await accepted);
      assert.deepEqual(await server.heard.first(1), [numbered(1)]);
      assert.equal(server.socket.peer.pid, process.pid);
      assert.equal(client.peer.pid, process.pid);
      listener.close();
    });

    it('throws what the kernel says where nobody listens', () => {
      using folder = temporaryFolder();
      try {
        PacketSocket.connect(join(folder.path, 'none'));
        assert.fail('nothing was thrown');
      } catch (error) {
        assert.deepInclude(error as object, { code: 'SYSTEM', errno: 2 });
      }
    });
  });

  describe('hold()', () => {
    it('decides whether the socket keeps its process running', async () => {
      for (const holds of ['yes', 'no']) {
        const { socket, heard, peerFd } = alone();
        using program = startFixture('transport/holds.ts', [holds], { fds: [peerFd] });
        closePeer(peerFd);
        assert.deepEqual(await heard.first(1), [{ t: 'listening' }]);
        // It ends by itself, or when this end closes; a watchdog tells of one that does neither.
        if (holds === 'no') await program.end;
        else assert.isNull(program.child.exitCode);
        socket.close();
        assert.equal((await program.end).code, 0);
      }
    });
  });
});

describe('closeAll()', () => {
  it('closes all descriptors of the list and leaves it empty', () => {
    const { socketPair } = native();
    const fds = [...socketPair(), ...socketPair()];
    const numbers = [...fds];
    closeAll(fds);
    closeAll(fds);
    assert.deepEqual(fds, []);
    for (const fd of numbers) assert.isFalse(isOpen(fd));
  });
});

describe('takeFds()', () => {
  it('takes exactly the number that is wanted, out of the list', () => {
    const fds = [...native().socketPair()];
    const numbers = [...fds];
    assert.deepEqual(takeFds(fds, 2, 'hello'), numbers);
    assert.deepEqual(fds, []);
    for (const fd of numbers) assert.isTrue(isOpen(fd));
    assert.deepEqual(takeFds([], 0, 'ready'), []);
    closeAll(numbers);
  });

  it('closes all of them and throws if there are more or fewer', () => {
    for (const wanted of [0, 1, 3]) {
      const fds = [...native().socketPair()];
      const numbers = [...fds];
      assert.throws(
        () => takeFds(fds, wanted, 'hello'),
        `hello came with 2 descriptors instead of ${wanted}`,
      );
      assert.deepEqual(fds, []);
      for (const fd of numbers) assert.isFalse(isOpen(fd));
    }
  });
});

describe('a frame', () => {
  it('comes out as it went in', () => {
    const frame = { t: 'hello', n: 1, text: 'é', list: [null, { a: true }], bytes: Buffer.of(1, 2) };
    assert.deepEqual(decodeFrame(encodeFrame(frame)), frame);
  });
});
