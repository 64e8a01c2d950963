import { assert } from 'chai';
import { type FlightRecord, FlightRecorder, readFlight } from '../../src/transport/flight-recorder.ts';
import type { Frame } from '../../src/transport/frame.ts';
import { segmentKind } from '../../src/transport/link.ts';
import { type NativeSegment, native } from '../../src/transport/native.ts';
import { PacketSocket } from '../../src/transport/packet-socket.ts';
import { isOpen, openDescriptors } from '../support/descriptors.ts';
import { startFixture } from '../support/fixture.ts';
import { Random } from '../support/random.ts';

const recordsBytes = 64 * 1024;
/** Those that fit, less the one that may be half overwritten. */
const kept = recordsBytes / 32 - 1;

/** A recorder of this process, with names of its own for each record. */
class Recording implements Disposable {
  readonly recorder = new FlightRecorder();

  record(actor: string, event: string, state: string): void {
    const { recorder } = this;
    recorder.record(recorder.name(actor), recorder.name(event), recorder.name(state));
  }

  read(max: number): FlightRecord[] {
    const { fd, bytes } = this.recorder.offer;
    const { records, problem } = readFlight(fd, bytes, performance.timeOrigin, max);
    assert.isUndefined(problem);
    return records;
  }

  [Symbol.dispose](): void {
    this.recorder.close();
  }
}

/** The memory of a recorder that another program has written, as far as the test says. */
class Forged implements Disposable {
  readonly segment: NativeSegment;
  readonly records: Int32Array;
  readonly names: Uint8Array;
  readonly #words: Int32Array;

  constructor(capacities = [recordsBytes, recordsBytes]) {
    this.segment = new (native().Segment)(segmentKind.recorder, capacities, 0);
    const [recordsOffset = 0, recordsSize = 0, namesOffset = 0, namesSize = 0] = this.segment.rings;
    this.records = new Int32Array(this.segment.buffer, recordsOffset, recordsSize >> 2);
    this.names = new Uint8Array(this.segment.buffer, namesOffset, namesSize);
    this.#words = new Int32Array(this.segment.buffer);
  }

  /** How far records and names have been written. */
  tails(records: number, names: number): void {
    const { lanesOffset, laneStride, tailOffset } = native().layout;
    this.#words[(lanesOffset + tailOffset) >> 2] = records;
    this.#words[(lanesOffset + laneStride + tailOffset) >> 2] = names;
  }

  read(max = 10_000): FlightRecord[] {
    const { fd, bytes } = this.segment;
    const { records, problem } = readFlight(fd, bytes, 0, max);
    assert.isUndefined(problem);
    assert.isAtMost(records.length, Math.min(max, kept));
    for (const { atMs, actor, event, state } of records) {
      assert.isNumber(atMs);
      for (const name of [actor, event, state]) assert.isString(name);
    }
    return records;
  }

  [Symbol.dispose](): void {
    this.segment.close();
  }
}

describe('FlightRecorder', () => {
  it('keeps what was recorded, in order, with its time', () => {
    using recording = new Recording();
    const before = performance.timeOrigin + performance.now();
    recording.record('/root', 'start', 'booting');
    recording.record('/root/é', 'child.ready', 'running.operative');
    recording.record('/root', 'stop', 'stopped');
    const after = performance.timeOrigin + performance.now();
    const records = recording.read(10);
    assert.deepEqual(
      records.map(({ actor, event, state }) => [actor, event, state]),
      [
        ['/root', 'start', 'booting'],
        ['/root/é', 'child.ready', 'running.operative'],
        ['/root', 'stop', 'stopped'],
      ],
    );
    const times = [before - 0.01, ...records.map(({ atMs }) => atMs), after + 0.01];
    assert.deepEqual(
      times,
      [...times].sort((a, b) => a - b),
    );
  });

  it('holds nothing at first', () => {
    using recording = new Recording();
    assert.deepEqual(recording.read(10), []);
  });

  it('gives the last of them to whoever wants only some', () => {
    using recording = new Recording();
    for (let i = 0; i < 100; i++) recording.record('a', 'b', `s${i}`);
    assert.deepEqual(
      recording.read(3).map(({ state }) => state),
      ['s97', 's98', 's99'],
    );
    assert.lengthOf(recording.read(0), 0);
    assert.lengthOf(recording.read(1000), 100);
  });

  it('keeps the last ones when there are more than it has room for', () => {
    using recording = new Recording();
    for (const total of [kept, kept + 1, kept + 2, 3 * kept + 100]) {
      while (recordedBy(recording) < total)
        recording.record('a', 'b', `s${(recordedBy(recording) + 1) % 500}`);
      const states = recording.read(10_000).map(({ state }) => state);
      const first = Math.max(1, total - kept + 1);
      assert.deepEqual(
        states,
        Array.from({ length: total - first + 1 }, (_, i) => `s${(first + i) % 500}`),
      );
    }
  });

  /** How many records the tail tells of. */
  function recordedBy({ recorder }: Recording): number {
    const { Segment, dupFd, layout } = native();
    const { fd, bytes } = recorder.offer;
    const seen = new Segment(segmentKind.recorder, dupFd(fd), bytes, bytes);
    const tail = new Int32Array(seen.buffer)[(layout.lanesOffset + layout.tailOffset) >> 2]!;
    seen.close();
    return tail;
  }

  it('gives a name one number, and cuts it after 200 characters', () => {
    using recording = new Recording();
    const { recorder } = recording;
    assert.equal(recorder.name('a'), recorder.name('a'));
    assert.notEqual(recorder.name('a'), recorder.name('b'));
    recording.record('漢'.repeat(300), 'e', '');
    const [record] = recording.read(1);
    assert.equal(record!.actor, '漢'.repeat(200));
    assert.equal(record!.state, '');
  });

  it('goes on without names once there is no room for more, and still knows the old ones', () => {
    using recording = new Recording();
    const { recorder } = recording;
    const first = recorder.name('first');
    for (let i = 0; i < 2000; i++) recorder.name(`${i}`.padEnd(100, 'x'));
    assert.equal(recorder.name('first'), first);
    const late = recorder.name('a name that comes too late'.padEnd(200, 'x'));
    recorder.record(first, late, recorder.name('0'.padEnd(100, 'x')));
    const [record] = recording.read(1);
    assert.equal(record!.actor, 'first');
    assert.equal(record!.event, '(name not kept)');
    assert.equal(record!.state, '0'.padEnd(100, 'x'));
  });

  it('records nothing any more once it is closed, and closes twice', () => {
    const { recorder } = new Recording();
    const name = recorder.name('a');
    recorder.close();
    recorder.close();
    recorder.record(name, name, name);
    recorder.name('another');
  });
});

describe('readFlight()', () => {
  async function running(use: (fd: number, frame: Frame, kill: () => Promise<void>) => Promise<void>) {
    const { socketPair, closeFd } = native();
    const [mine, theirs] = socketPair();
    using program = startFixture('transport/recording.ts', [], { fds: [theirs] });
    closeFd(theirs);
    const socket = PacketSocket.adopt(mine);
    const offer = await new Promise<{ frame: Frame; fds: number[] }>((resolve, reject) => {
      socket.listen({
        frame: (frame, fds) => resolve({ frame, fds }),
        ended: (_, why) => reject(new Error(why)),
      });
    });
    const [fd] = offer.fds as [number];
    await use(fd, offer.frame, async () => {
      program.child.kill('SIGKILL');
      await program.end;
    });
    closeFd(fd);
    socket.destroy();
  }

  function assertInOrder(records: FlightRecord[]): void {
    for (const [i, { actor, event, state, atMs }] of records.entries()) {
      assert.match(actor, /^name \d+$/);
      assert.deepEqual([event, state], [actor, actor]);
      if (i > 0) assert.isAtLeast(atMs, records[i - 1]!.atMs);
    }
  }

  it('reads what a killed process had recorded up to its end', async () => {
    await running(async (fd, { bytes, timeOriginMs }, kill) => {
      await kill();
      const { records, problem } = readFlight(fd, Number(bytes), Number(timeOriginMs), 500);
      assert.isUndefined(problem);
      // One of them may have been half written.
      assert.isAtLeast(records.length, 499);
      assertInOrder(records);
      const numbers = records.map(({ actor }) => Number(actor.slice(5)));
      for (let i = 1; i < records.length; i++) assert.equal(numbers[i], (numbers[i - 1]! + 1) % 50);
      assert.isAbove(records.at(-1)!.atMs, Number(timeOriginMs));
    });
  });

  it('never shows a record that is half another, while the process goes on', async () => {
    await running(async (fd, { bytes, timeOriginMs }) => {
      let found = 0;
      for (let i = 0; i < 300; i++) {
        const { records } = readFlight(fd, Number(bytes), Number(timeOriginMs), 10_000);
        for (const { actor, event, state } of records)
          if (event !== actor || state !== actor) assert.fail(`${actor}, ${event}, ${state}`);
        found += records.length;
      }
      assert.isAbove(found, 0);
    });
  });

  it('leaves the descriptor to its caller and none of its own', () => {
    using recording = new Recording();
    const { fd } = recording.recorder.offer;
    const before = openDescriptors().size;
    recording.read(10);
    assert.isAtMost(openDescriptors().size, before);
    assert.isTrue(isOpen(fd));
  });

  it('says what is wrong with memory that is no recorder, and reads none of it', () => {
    const session = new (native().Segment)(segmentKind.session, [1024], 0);
    const large = new (native().Segment)(segmentKind.recorder, [1 << 20, 1 << 20], 0);
    const [one, other] = native().socketPair();
    const before = openDescriptors().size;
    for (const [fd, bytes] of [
      [session.fd, session.bytes],
      [large.fd, large.bytes],
      [one, 4096],
      [-1, 4096],
      [session.fd, Number.NaN],
    ] as const) {
      const { records, problem } = readFlight(fd, bytes, 0, 10);
      assert.deepEqual(records, []);
      assert.isString(problem);
    }
    assert.isAtMost(openDescriptors().size, before);
    for (const fd of [one, other]) native().closeFd(fd);
    for (const segment of [session, large]) segment.close();
  });

  it('reads nothing of a recorder with other rings than it has', () => {
    for (const capacities of [[], [1024], [1024, 1024], [1024, 1024, 1024]]) {
      using forged = new Forged(capacities);
      forged.read();
      if (capacities.length < 2) continue;
      forged.tails(2 ** 31 - 1, 2 ** 31 - 1);
      forged.names.fill(0xff);
      forged.read();
    }
  });

  it('takes only records whose number is what it must be at their place', () => {
    using forged = new Forged();
    forged.tails(100, 0);
    assert.deepEqual(forged.read(), []);
    forged.records[50 * 8] = 50;
    forged.records[51 * 8] = 50;
    assert.lengthOf(forged.read(), 1);
  });

  it('stays within the memory, whatever that says', () => {
    const random = new Random(4711);
    const extremes = [0, 1, -1, 2 ** 31 - 1, -(2 ** 31), 2048, 65_536, 65_537];
    for (let round = 0; round < 8; round++) {
      using forged = new Forged();
      for (let i = 0; i < forged.records.length; i++) forged.records[i] = random.next();
      for (let i = 0; i < forged.names.length; i++) forged.names[i] = random.next();
      for (const records of extremes)
        for (const names of extremes) {
          forged.tails(records, names);
          // Numbers that fit, so that what the records refer to is looked at too.
          for (let number = Math.max(1, records - 50); number <= records; number++)
            forged.records[(number * 8) & (forged.records.length - 1)] = number;
          forged.read();
        }
    }
  });

  it('reads on when the numbers of the records go beyond 31 bits', () => {
    using forged = new Forged();
    const last = 2 ** 31 + 5;
    for (let number = last - 9; number <= last; number++) {
      const at = (number * 8) & (forged.records.length - 1);
      // As the recorder stores them: 32 bits of a number that may be larger.
      forged.records[at] = number;
      forged.records[at + 1] = number - last;
    }
    forged.tails(last, 0);
    assert.lengthOf(forged.read(), 10);
  });
});
