// The root's end of the arenas of a topology, asked by a child that does what no honest one does. Both ends are in this
// process; the control socket between them is a real one.
import { closeSync, openSync } from 'node:fs';
import { assert } from 'chai';
import { ChildControl } from '../../src/actors/child-control.ts';
import { ArenaClient } from '../../src/runtime/arena-client.ts';
import { DeclaredArenas } from '../../src/runtime/declared-arenas.ts';
import type { Frame } from '../../src/transport/frame.ts';
import { rawBytes } from '../../src/transport/in-place.ts';
import { segmentKind } from '../../src/transport/link.ts';
import { type NativeSegment, native } from '../../src/transport/native.ts';
import { closeAll, PacketSocket } from '../../src/transport/packet-socket.ts';
import { openDescriptors } from '../support/descriptors.ts';
import { waitUntil } from '../support/wait-until.ts';

const MiB = 1024 * 1024;

type Answer = { frame: Frame; fds: number[] };

/** A child's end of a control socket, in the hands of somebody who means no good. */
class Child {
  readonly socket: PacketSocket;
  /** How often it was told that something has changed. */
  told = 0;
  readonly #control: ChildControl;
  readonly #questions = new Map<number, (answer: Answer | 'out of use') => void>();
  #id = 0;

  constructor(arenas: DeclaredArenas) {
    const [ours, theirs] = native().socketPair();
    const log = (_level: string, _facts: object, message: string) => {
      assert.include(message, 'out of use');
      for (const answer of this.#questions.values()) answer('out of use');
    };
    this.#control = new ChildControl(
      ours,
      { ready() {}, state() {}, refused() {}, pong() {}, warm() {}, counted() {}, records() {}, log },
      {
        claim: () => 0,
        runs: () => undefined,
        running: () => [],
        keep: async () => {},
        arena: (asked, frame, fds) => arenas.handle(asked, frame, fds),
      },
    );
    this.socket = PacketSocket.adopt(theirs);
    this.socket.listen({
      frame: (frame, fds) => {
        if (frame.t === 'arena.changed') this.told++;
        else this.#questions.get(frame.id as number)!({ frame, fds });
      },
      ended() {},
    });
  }

  /** @returns the answer, or `out of use` once the root listens no more. */
  asks(frame: Frame, fds: number[] = []): Promise<Answer | 'out of use'> {
    const id = ++this.#id;
    return new Promise((resolve) => {
      this.#questions.set(id, resolve);
      this.socket.send({ arena: 'shelf', id, ...frame }, fds);
    });
  }

  /** @returns the frame of the answer, or the code of its error. */
  async ask(frame: Frame, fds?: number[]): Promise<Frame | string> {
    const answer = await this.asks(frame, fds);
    if (answer === 'out of use') return answer;
    closeAll(answer.fds);
    return (answer.frame.error as { code: string } | undefined)?.code ?? answer.frame;
  }

  close(): void {
    this.socket.destroy();
    this.#control.close();
  }
}

describe('the root of declared arenas', () => {
  let arenas: DeclaredArenas;
  let children: Child[];
  let segments: NativeSegment[];
  let descriptors: number;

  beforeEach(() => {
    descriptors = openDescriptors().size;
    arenas = new DeclaredArenas({ shelf: { bytes: 4 * MiB } });
    children = [];
    segments = [];
  });
  afterEach('no descriptor is left', async () => {
    for (const child of children) child.close();
    for (const segment of segments) segment.close();
    arenas.release();
    await waitUntil('all descriptors to be closed', () => openDescriptors().size <= descriptors);
  });

  function child(): Child {
    const made = new Child(arenas);
    children.push(made);
    return made;
  }

  function segment(bytes: number): NativeSegment {
    const made = new (native().Segment)(bytes);
    segments.push(made);
    return made;
  }

  /** A writer with one segment of 1 MiB that the root holds. */
  async function writer(): Promise<{ child: Child; segment: NativeSegment; number: number }> {
    const made = child();
    await made.ask({ t: 'arena.open' });
    await made.ask({ t: 'arena.write' });
    const own = segment(MiB);
    const answer = (await made.ask({ t: 'arena.segment', bytes: own.bytes }, [own.fd])) as Frame;
    return { child: made, segment: own, number: answer.segment as number };
  }

  /** What an honest process has, over a control socket of its own. @param mayTell whether the root reads now. */
  function honestClient(mayTell = () => true): ArenaClient {
    const honest = child();
    return new ArenaClient({
      askArena: async (frame, fds) => (await honest.asks(frame, fds)) as Answer,
      tellArena(frame) {
        if (!mayTell()) throw new Error('it left too many frames unread');
        honest.socket.send(frame);
      },
      countWaits() {},
      onArena() {},
    });
  }

  const place = { segment: 0, offset: 192, start: 0, bytes: 64, generation: 1 };

  it('refuses what is no sealed segment of the size that was told, and goes on', async () => {
    const { child } = await writer();
    const file = openSync('/dev/zero', 'r');
    const own = segment(MiB);
    const session = new (native().Segment)(segmentKind.session, [1024], 0);
    segments.push(session);
    const refused = [
      await child.ask({ t: 'arena.segment', bytes: MiB }, [file]),
      await child.ask({ t: 'arena.segment', bytes: own.bytes + 4096 }, [own.fd]),
      await child.ask({ t: 'arena.segment', bytes: session.bytes }, [session.fd]),
    ];
    closeSync(file);
    assert.deepEqual(refused, ['ERR_ARENA_REFUSED', 'ERR_ARENA_REFUSED', 'ERR_ARENA_REFUSED']);
    const large = segment(8 * MiB);
    assert.equal(await child.ask({ t: 'arena.segment', bytes: large.bytes }, [large.fd]), 'ERR_ARENA_FULL');
    assert.isObject(await child.ask({ t: 'arena.segment', bytes: own.bytes }, [own.fd]));
  });

  const nonsense: [what: string, frame: Frame, fds?: number][] = [
    ['a value before its segment', { t: 'arena.publish', name: 'a', ...place, offset: 0 }],
    ['a value beyond its segment', { t: 'arena.publish', name: 'a', ...place, bytes: 2 ** 32 - 1 }],
    ['a value at an odd place', { t: 'arena.publish', name: 'a', ...place, offset: 193 }],
    ['a value in a segment that nobody has', { t: 'arena.publish', name: 'a', ...place, segment: 77 }],
    ['a name that is none', { t: 'arena.publish', name: '../a', ...place }],
    ['a name without end', { t: 'arena.publish', name: 'a'.repeat(100_000), ...place }],
    ['a negative place', { t: 'arena.publish', name: 'a', ...place, start: -1 }],
    ['a segment without a descriptor', { t: 'arena.segment', bytes: MiB }],
    ['a segment with two descriptors', { t: 'arena.segment', bytes: MiB }, 2],
    ['a segment without a size', { t: 'arena.segment', bytes: 'much' }, 1],
    ['a borrow with a descriptor', { t: 'arena.borrow', name: 'a' }, 1],
    ['a release of what is not borrowed', { t: 'arena.release', publications: [1] }],
    ['a list of releases without end', { t: 'arena.release', publications: new Array(2000).fill(1) }],
    ['a release of no number', { t: 'arena.release', publications: ['a'] }],
    ['a frame of an unknown type', { t: 'arena.burn' }],
    ['no arena at all', { t: 'arena.open', arena: 17 }],
  ];
  for (const [what, frame, fds = 0] of nonsense)
    it(`listens no more to a child that sends ${what}`, async () => {
      const { child, segment: own } = await writer();
      assert.equal(await child.ask(frame, new Array(fds).fill(own.fd)), 'out of use');
    });

  it('listens no more to a child that publishes in an arena, or in a segment, of another writer', async () => {
    await writer();
    const other = child();
    assert.equal(await other.ask({ t: 'arena.write' }), 'ERR_ARENA_WRITTEN');
    assert.equal(await other.ask({ t: 'arena.publish', name: 'a', ...place }), 'out of use');
    const third = child();
    assert.equal(await third.ask({ t: 'arena.unpublish', name: 'a' }), 'out of use');
  });

  it('counts names and borrows up to their limits, and again once there is room', async () => {
    const { child } = await writer();
    for (let n = 0; n < 1024; n++) await child.ask({ t: 'arena.publish', name: `n${n}`, ...place });
    assert.equal(await child.ask({ t: 'arena.publish', name: 'more', ...place }), 'ERR_ARENA_LIMIT');
    await child.ask({ t: 'arena.unpublish', name: 'n0' });
    assert.isObject(await child.ask({ t: 'arena.publish', name: 'more', ...place }));
    const { names } = (await child.ask({ t: 'arena.news' })) as Frame & { names: unknown[] };
    assert.lengthOf(names, 1024);
    let borrowed: Frame | undefined;
    for (let n = 0; n < 1024; n++) borrowed = (await child.ask({ t: 'arena.borrow', name: 'more' })) as Frame;
    assert.equal(await child.ask({ t: 'arena.borrow', name: 'more' }), 'ERR_ARENA_LIMIT');
    child.socket.send({ t: 'arena.release', arena: 'shelf', publications: [borrowed!.publication] });
    assert.isObject(await child.ask({ t: 'arena.borrow', name: 'more' }));
  });

  it('tells a child that does not listen one word, however much changes', async () => {
    const { child } = await writer();
    const reader = children[children.push(new Child(arenas)) - 1]!;
    await reader.ask({ t: 'arena.open' });
    for (let n = 0; n < 600; n++) await child.ask({ t: 'arena.publish', name: 'a', ...place });
    // What was sent before this answer has come.
    await reader.ask({ t: 'arena.borrow', name: 'none' });
    assert.equal(reader.told, 1);
  });

  it('hands a reader nothing that it would read: a block of another use, or of another length', async () => {
    const { child, segment: own } = await writer();
    await child.ask({ t: 'arena.publish', name: 'a', ...place });
    const client = honestClient();
    const reader = await client.read('shelf');
    const words = new Uint32Array(own.buffer);
    const { blockGenerationOffset, blockBytesOffset, blockAlign } = native().layout;
    const header = place.offset - blockAlign;
    const codeOf = (name: string) =>
      reader.borrow(name, rawBytes, { timeoutMs: 10_000 }).then(
        (borrow) => {
          borrow.release();
          return 'borrowed';
        },
        ({ code }) => code,
      );
    assert.equal(await codeOf('a'), 'ERR_ARENA_REFUSED', 'no generation');
    words[(header + blockGenerationOffset) >>> 2] = 1;
    words[(header + blockBytesOffset) >>> 2] = 65;
    assert.equal(await codeOf('a'), 'ERR_ARENA_REFUSED', 'another length');
    words[(header + blockBytesOffset) >>> 2] = 64;
    assert.equal(await codeOf('a'), 'borrowed');
    await child.ask({ t: 'arena.unpublish', name: 'a' });
    const { freed } = (await child.ask({ t: 'arena.news' })) as Frame & { freed: number[] };
    assert.lengthOf(freed, 1, 'refused borrows count no more');
    client.close();
  });

  it('hears of a release that it could not be told once it reads again', async () => {
    const { child, segment: own } = await writer();
    const { blockGenerationOffset, blockBytesOffset, blockAlign } = native().layout;
    const words = new Uint32Array(own.buffer);
    words[(place.offset - blockAlign + blockGenerationOffset) >>> 2] = place.generation;
    words[(place.offset - blockAlign + blockBytesOffset) >>> 2] = place.bytes;
    await child.ask({ t: 'arena.publish', name: 'a', ...place });
    let reads = false;
    const client = honestClient(() => reads);
    const reader = await client.read('shelf');
    for (let n = 0; n < 3; n++) (await reader.borrow('a', rawBytes)).release();
    await child.ask({ t: 'arena.unpublish', name: 'a' });
    const freed = async () =>
      ((await child.ask({ t: 'arena.news' })) as unknown as { freed: number[] }).freed;
    assert.deepEqual(await freed(), []);
    const told = child.told;
    reads = true;
    await waitUntil('the writer to be told', () => child.told > told);
    assert.lengthOf(await freed(), 1);
    client.close();
  });
});
