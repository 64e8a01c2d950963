// A peer whose requests, replies, values and credits make no sense: its session ends with the reason. And what looks like
// that and is none: replies to nothing.
import { assert } from 'chai';
import { packPlain } from '../../src/transport/codec.ts';
import type { LaneWriter } from '../../src/transport/lane.ts';
import { recordFlag, recordKind } from '../../src/transport/record.ts';
import { waitUntil } from '../support/wait-until.ts';
import { type AtDesk, office } from './office.ts';
import { Court, holder } from './pair.ts';
import { RawClient } from './raw-client.ts';

const { request, reply, failure, part, credit, close, cancel, stray } = recordKind;
const fromAsker = recordFlag.asker;

/** Kind, number, value, flags. What the server has asked: 1 one reply, 2 many with room for 16, 3 a dialog. */
type Written = [kind: number, number: number, value?: unknown, flags?: number];

const dialog = [request, 1, ['chat', 'x', 2, 4]] as Written;

const wrongs: [what: string, written: Written[], why: RegExp][] = [
  ['a request with the number 0', [[request, 0, ['echo', 1]]], /a request number out of range/],
  ['a negative number', [[request, -5, ['echo', 1]]], /a request number out of range/],
  [
    'a number twice',
    [
      [request, 4, ['echo', 1]],
      [request, 4, ['echo', 1]],
    ],
    /does not go up/,
  ],
  ['a request for something unknown', [[request, 1, ['echo', 1, 3, 1]]], /for something unknown/],
  ['a request for many without a credit', [[request, 1, ['echo', 1, 1]]], /credit out of range/],
  ['a request with too large a credit', [[request, 1, ['echo', 1, 2, 1025]]], /credit out of range/],
  ['a deadline that is none', [[request, 1, ['echo', 1, 0, 0, 'soon']]], /a deadline that is none/],
  ['one of many replies where one was asked for', [[part, 1, 'x']], /to a request for one/],
  [
    'more replies than it was allowed',
    Array.from({ length: 17 }, (): Written => [part, 2, 1]),
    /more values than/,
  ],
  ['a credit for what was never asked', [[credit, 9, 1]], /never asked/],
  ['a credit of nothing', [[credit, 3, 0]], /a credit out of range/],
  [
    'more credit than there may be',
    [
      [credit, 3, 1024],
      [credit, 3, 1],
    ],
    /a credit out of range/,
  ],
  ['a failure of no words', [[failure, 1, { message: 7 }]], /a failure without its reason/],
  ['a failure whose code is none', [[failure, 1, { message: 'x', code: 7 }]], /a failure without its reason/],
  ['a cancel of what it never asked', [[cancel, 5]], /there never was/],
  ['a value in what it never asked', [[part, 5, 1, fromAsker]], /there never was/],
  [
    'a value in a request for one reply',
    [
      [request, 1, ['echo', 1]],
      [part, 1, 1, fromAsker],
    ],
    /for one reply/,
  ],
  [
    'a value in a request for many',
    [
      [request, 1, ['count', 1, 1, 1]],
      [part, 1, 1, fromAsker],
    ],
    /for replies/,
  ],
  ['a second end of a dialog', [dialog, [close, 1], [close, 1]], /a second end/],
  ['a value after the end of a dialog', [dialog, [close, 1], [part, 1, 'x', fromAsker]], /after the end/],
  [
    'more values in a dialog than it was allowed',
    [dialog, ...Array.from({ length: 40 }, (): Written => [part, 1, 'x', fromAsker])],
    /more values than/,
  ],
  [
    'a value in a dialog that nobody takes part in',
    [
      [request, 1, ['x', 1, 2, 1]],
      [part, 1, 1, fromAsker],
    ],
    /was not allowed/,
  ],
  ['dropped replies that make no sense', [[stray, 1, [1, -1]]], /counts of dropped replies/],
  [
    'dropped replies that become fewer',
    [
      [stray, 1, [3, 0]],
      [stray, 1, [2, 0]],
    ],
    /counts of dropped replies/,
  ],
];

describe('a peer that is corrupt about requests', () => {
  let court: Court;
  let client: RawClient;
  let lane: LaneWriter;
  let atDesk: AtDesk | undefined;
  let ends: { reason?: string; error?: { message: string } }[];
  let answers: Promise<unknown>[];
  beforeEach(async () => {
    court = new Court();
    ends = [];
    atDesk = undefined;
    await court.runtime().serve(
      office.desk,
      holder<AtDesk>(
        (session) => {
          const { talk } = session.channels;
          talk.onRequest('echo', () => new Promise(() => {}));
          talk.onRequest('count', () => new Promise(() => {}));
          talk.onDialog('chat', () => new Promise(() => {}));
          atDesk = session;
        },
        (end) => ends.push(end as unknown as (typeof ends)[number]),
      ),
    );
    client = new RawClient(court, office.desk, 'caller');
    await client.logIn();
    await waitUntil('the session', () => atDesk !== undefined);
    lane = client.lane('talk');
    const { talk } = atDesk!.channels;
    answers = [
      talk.request('echo', 1),
      talk.requestMany('count', 1).next(),
      talk.dialog('chat', 'x').receive(),
    ].map((call) => call.catch((error: unknown) => error));
  });
  afterEach(async () => {
    client.close();
    await court.close();
  });

  function write(written: Written[]): void {
    for (const [kind, number, value, flags = 0] of written) {
      const bytes = value === undefined ? new Uint8Array(0) : packPlain(value);
      lane.writeNumbered(kind, flags, number, bytes, bytes.length);
    }
    lane.publish();
    client.ring();
  }

  for (const [what, written, why] of wrongs)
    it(`that writes ${what} loses its session, and nobody is left waiting`, async () => {
      write(written);
      await waitUntil('the end', () => ends.length > 0);
      assert.equal(ends[0]!.reason, 'protocol');
      assert.match(ends[0]!.error!.message, why);
      for (const answer of await Promise.all(answers)) assert.isDefined(answer);
    });

  it('that answers what was never asked is told so, and goes on', async () => {
    const { talk } = atDesk!.channels;
    write([
      [reply, 99, 'x'],
      [failure, 98, { message: 'x' }],
      [part, 97, 'x'],
      [reply, 1, 'first'],
      [reply, 1, 'second'],
    ]);
    await waitUntil('all of them', () => talk.stats().lateReplies === 1);
    assert.equal(talk.stats().unknownReplies, 3);
    assert.equal(await answers[0], 'first');
    write([
      [part, 2, 5],
      [part, 3, 'five'],
    ]);
    assert.deepEqual(await answers[1], { value: 5, done: false });
    assert.equal(await answers[2], 'five');
    assert.lengthOf(ends, 0);
  });

  it('may begin its numbers anew after the last one', async () => {
    const { talk } = atDesk!.channels;
    write([0x3fffffff, 0x7ffffffe, 1].map((number): Written => [request, number, ['echo', 1]]));
    await waitUntil('all of them', () => talk.stats().owed === 3);
    write([[request, 0x7ffffff0, ['echo', 1]]]);
    await waitUntil('the end', () => ends.length > 0);
    assert.match(ends[0]!.error!.message, /does not go up/);
  });

  it('that is told of dropped replies sees how many there were', async () => {
    const { talk } = atDesk!.channels;
    write([
      [stray, 7, [2, 0]],
      [stray, 8, [2, 1]],
    ]);
    await waitUntil('both', () => talk.stats().refusedReplies === 3);
  });
});
