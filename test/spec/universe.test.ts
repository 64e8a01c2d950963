import { assert } from 'chai';
import fc from 'fast-check';
import { IpcError } from '../../src/errors.ts';
import { broadcast } from '../../src/spec/broadcast-spec.ts';
import { type ChannelOptions, channel, channelDefaults } from '../../src/spec/channel-spec.ts';
import { type AppInput, defineUniverse } from '../../src/spec/universe.ts';
import { differenceOf, extractOf, type UniverseExtract } from '../../src/spec/universe-extract.ts';

/** Fails unless `make` is refused as a description that makes no universe. @returns the message. */
function refusalOf(make: () => unknown): string {
  try {
    make();
  } catch (error) {
    assert.instanceOf(error, IpcError);
    assert.equal((error as IpcError).code, 'ERR_UNIVERSE_INVALID');
    return (error as IpcError).message;
  }
  return assert.fail('it was accepted');
}

describe('channel()', () => {
  const largest = channelDefaults.capacityBytes / 2 - 8;

  it('fills in every default', () =>
    assert.deepEqual(channel(), {
      codec: 'msgpack',
      capacityBytes: 262_144,
      maxMessageBytes: largest,
      overflow: 'block',
      maxLoans: 256,
      maxBorrows: 256,
      open: 'init',
      maxOpen: 1,
      unexpected: 'block',
      unexpectedMax: 256,
      unexpectedTimeoutMs: 1000,
    }));

  it('takes what it is given', () => {
    const options: ChannelOptions = {
      codec: 'bytes',
      capacityBytes: 1024,
      maxMessageBytes: 100,
      overflow: 'drop-newest',
      maxLoans: 7,
      maxBorrows: 8,
      open: 'on-demand',
      maxOpen: 5,
      unexpected: 'drop-newest',
      unexpectedMax: 9,
      unexpectedTimeoutMs: 0,
    };
    assert.deepEqual(channel(options), options);
  });

  it('takes exactly the powers of two from 1024 to 2^30 for a capacity', () => {
    const powers = Array.from({ length: 21 }, (_, i) => 2 ** (i + 10));
    for (const capacityBytes of powers) assert.equal(channel({ capacityBytes }).capacityBytes, capacityBytes);
    const others = fc.oneof(
      fc.integer({ min: -1, max: 2 ** 31 }),
      fc.constantFrom(...powers).chain((power) => fc.constantFrom(power - 1, power + 1)),
      fc.double(),
    );
    fc.assert(
      fc.property(
        others.filter((each) => !powers.includes(each)),
        (capacityBytes) => {
          assert.include(
            refusalOf(() => channel({ capacityBytes })),
            `capacityBytes is ${capacityBytes}; it must be a power of two from 1024 to 2^30`,
          );
        },
      ),
    );
  });

  it('is open once, or on demand up to 64 times', () => {
    assert.equal(channel({ open: 'on-demand' }).maxOpen, 1);
    assert.equal(channel({ open: 'on-demand', maxOpen: 64 }).maxOpen, 64);
    for (const maxOpen of [0, 65, 1.5])
      assert.include(
        refusalOf(() => channel({ open: 'on-demand', maxOpen })),
        `maxOpen is ${maxOpen}; it must be 1 to 64`,
      );
    assert.include(
      refusalOf(() => channel({ maxOpen: 2 })),
      "only a channel with open: 'on-demand' is open more than once",
    );
    assert.include(
      refusalOf(() => channel({ open: 'later' as never })),
      'open is later; it must be "init" or "on-demand"',
    );
  });

  it('takes messages of 1 byte to 2 GiB', () => {
    assert.equal(channel({ maxMessageBytes: 2 ** 31 }).maxMessageBytes, 2 ** 31);
    assert.equal(channel({ maxMessageBytes: 1 }).maxMessageBytes, 1);
    for (const maxMessageBytes of [0, -1, 2 ** 31 + 1, 1.5, Number.NaN, Number.POSITIVE_INFINITY])
      assert.include(
        refusalOf(() => channel({ capacityBytes: 1024, maxMessageBytes })),
        `maxMessageBytes is ${maxMessageBytes}; it must be 1 to 2147483648`,
      );
  });

  for (const key of ['maxLoans', 'maxBorrows'])
    it(`takes ${key} from 1 to 65536`, () => {
      for (const value of [0, -1, 65_537, 1.5])
        assert.include(
          refusalOf(() => channel({ [key]: value })),
          `${key} is ${value}; it must be 1 to 65536`,
        );
    });

  it('refuses a codec that there is not', () =>
    assert.include(
      refusalOf(() => channel({ codec: 'json' as never })),
      'universe channel(): codec is json; it must be "msgpack" or "bytes"',
    ));

  it('refuses a policy for full rings that there is not', () =>
    assert.include(
      refusalOf(() => channel({ overflow: 'drop' as never })),
      'overflow is drop; it must be "block" or "drop-newest"',
    ));

  it('refuses an unknown option, and says which was meant', () => {
    assert.include(
      refusalOf(() => channel({ capacityByte: 1024 } as never)),
      'unknown key capacityByte (did you mean capacityBytes?); allowed: codec, capacityBytes, maxMessageBytes, overflow, maxLoans, maxBorrows',
    );
    assert.include(
      refusalOf(() => channel({ colour: 'red' } as never)),
      'unknown key colour; allowed:',
    );
  });
});

describe('broadcast()', () => {
  it('fills in what is not said', () => {
    assert.deepEqual(broadcast(), {
      codec: 'msgpack',
      capacityBytes: 256 * 1024,
      history: 0,
      reader: 'drop-oldest',
      slowAfterMs: 'never',
    });
  });

  const rows: [title: string, options: object, why: RegExp][] = [
    [
      'a ring of no power of two',
      { capacityBytes: 1000 },
      /capacityBytes is 1000; it must be a power of two/,
    ],
    ['an unknown codec', { codec: 'json' }, /codec is json/],
    [
      'an unknown policy',
      { reader: 'drop-newest' },
      /reader is drop-newest; it must be "drop-oldest" or "block"/,
    ],
    [
      'half a message of history',
      { history: 0.5 },
      /history is 0.5; it must be a whole number from 0 to 65536/,
    ],
    ['a history without end', { history: 65_537 }, /history is 65537/],
    ['no time at all', { reader: 'block', slowAfterMs: 0 }, /slowAfterMs is 0/],
    ['a time for readers that drop the oldest', { slowAfterMs: 10 }, /slowAfterMs is for readers that block/],
    ['an unknown key', { historie: 1 }, /unknown key historie \(did you mean history\?\)/],
  ];
  for (const [title, options, why] of rows)
    it(`refuses ${title}`, () => assert.throws(() => broadcast(options), why));

  it('is what an app takes as a broadcast, and nothing else is', () => {
    assert.throws(
      () => defineUniverse('floor', { market: { broadcasts: { news: channel() as never } } }),
      /app market: broadcast news must be made by broadcast\(\)/,
    );
  });
});

describe('defineUniverse()', () => {
  const prices = channel<{ down: number }>();

  it('gives each app all that there is to know about it', () => {
    const { market, trader } = defineUniverse('floor', {
      market: { allow: ['trader'], channels: { prices }, uid: 70 },
      trader: { gid: 71 },
    });
    const apps = { market: { uid: 70, gid: undefined }, trader: { uid: undefined, gid: 71 } };
    assert.deepEqual(market, {
      name: 'market',
      universe: 'floor',
      allow: ['trader'],
      channels: { prices },
      broadcasts: {},
      uid: 70,
      gid: undefined,
      permissions: 'user',
      arenaBytes: 0,
      sharedBytes: 0,
      appBytes: 0,
      apps,
    });
    assert.deepEqual(trader, {
      name: 'trader',
      universe: 'floor',
      allow: [],
      channels: {},
      broadcasts: {},
      uid: undefined,
      gid: 71,
      permissions: 'user',
      arenaBytes: 0,
      sharedBytes: 0,
      appBytes: 0,
      apps,
    });
  });

  it('gives frozen apps', () => {
    const universe = defineUniverse('floor', { market: {} });
    assert.isFrozen(universe);
    assert.isFrozen(universe.market);
  });

  it('lets an app serve in one pair and be client in another', () => {
    const apps = defineUniverse('floor', { a: { allow: ['b'] }, b: { allow: ['a'] } });
    assert.deepEqual([apps.a.allow, apps.b.allow], [['b'], ['a']]);
  });

  const nameRule = 'a name starts with a letter and has at most 64 letters, digits, "_" or "-"';
  const refusals: [title: string, universe: string, apps: Record<string, unknown>, message: string][] = [
    ['a universe whose name is none', '1st', {}, `universe 1st: ${nameRule}`],
    [
      'an app whose name is none',
      'floor',
      { 'the market': {} },
      `universe floor: app the market: ${nameRule}`,
    ],
    ['an app with a name that is too long', 'floor', { ['a'.repeat(65)]: {} }, nameRule],
    [
      'an unknown key of an app',
      'floor',
      { market: { alow: [] } },
      'app market: unknown key alow (did you mean allow?); allowed: allow, channels, broadcasts, uid, gid',
    ],
    [
      'an app that is allowed and does not exist',
      'floor',
      { market: { allow: ['tradr'] }, trader: {} },
      'app market: allow names tradr, which is no app of this universe (did you mean trader?)',
    ],
    [
      'an app that is allowed and like no other',
      'floor',
      { market: { allow: ['zzzzzz'] } },
      'app market: allow names zzzzzz, which is no app of this universe',
    ],
    [
      'a channel whose name is none',
      'floor',
      { market: { channels: { 'last prices': prices } } },
      `app market: channel last prices: ${nameRule}`,
    ],
    [
      'a channel that was not made by channel()',
      'floor',
      { market: { channels: { prices: {} } } },
      'app market: channel prices must be made by channel()',
    ],
    [
      'a channel that is nothing',
      'floor',
      { market: { channels: { prices: undefined } } },
      'app market: channel prices must be made by channel()',
    ],
  ];
  for (const [title, universe, apps, message] of refusals)
    it(`refuses ${title}`, () =>
      assert.include(
        refusalOf(() => defineUniverse(universe, apps as Record<string, AppInput>)),
        message,
      ));
});

describe('the lanes of an app', () => {
  const some = <S>(count: number, spec: S) =>
    Object.fromEntries(Array.from({ length: count }, (_, index) => [`c${index}`, spec]));
  const app = (channels: number, broadcasts: number, memory: object = {}) =>
    defineUniverse('floor', {
      market: { channels: some(channels, channel()), broadcasts: some(broadcasts, broadcast()), ...memory },
    });

  it('are as many as a session can have', () => {
    app(200, 56);
    app(199, 56, { arenaBytes: 2 ** 20 });
  });

  it('are refused where there are more, before anybody logs in', () => {
    assert.include(
      refusalOf(() => app(200, 57)),
      'app market: its channels may be open 200 times and it has 57 broadcasts; 256 are possible in all',
    );
    for (const memory of [{ arenaBytes: 2 ** 20 }, { sharedBytes: 2 ** 20 }])
      assert.include(
        refusalOf(() => app(256, 0, memory)),
        '256 times and it has 0 broadcasts; 255 are possible',
      );
  });
});

describe('the memory of an app', () => {
  it('lets a message be larger than its ring, as far as the arena goes', () => {
    const large = channel({ capacityBytes: 1024, maxMessageBytes: 1_000_000 });
    const { market } = defineUniverse('floor', { market: { channels: { large }, arenaBytes: 2 ** 21 } });
    assert.equal(market.arenaBytes, 2 ** 21);
    assert.equal(market.channels.large.maxMessageBytes, 1_000_000);
  });

  it('is what a message above half of its ring needs', () => {
    const large = (arenaBytes: number, maxMessageBytes: number) => () =>
      defineUniverse('floor', {
        market: { channels: { large: channel({ capacityBytes: 1024, maxMessageBytes }) }, arenaBytes },
      });
    assert.include(
      refusalOf(large(0, 505)),
      'app market: channel large: maxMessageBytes is 505; a ring of 1024 bytes and arenaBytes 0 allow 1 to 504',
    );
    assert.include(refusalOf(large(2 ** 20, 2 ** 20)), 'arenaBytes 1048576 allow 1 to 917504');
  });

  for (const key of ['arenaBytes', 'sharedBytes'])
    it(`has ${key} of 256 KiB to 1 TiB, or none`, () => {
      for (const value of [-1, 1, 262_143, 2 ** 40 + 1, 300_000.5])
        assert.include(
          refusalOf(() => defineUniverse('floor', { market: { [key]: value } })),
          `app market: ${key} is ${value}; it must be 0, or 262144 to 1099511627776`,
        );
    });

  it('has an end of what all its channels may lend', () => {
    const channels = Object.fromEntries(
      Array.from({ length: 17 }, (_, index) => [`c${index}`, channel({ maxLoans: 65_536 })]),
    );
    assert.include(
      refusalOf(() => defineUniverse('floor', { market: { channels } })),
      'its channels have 1114112 maxLoans in all; 1048576 are possible',
    );
  });

  it('is part of what both sides must agree on', () => {
    const extract = (app: object) => extractOf(defineUniverse('floor', { market: app }).market as never);
    assert.deepEqual(extract({ arenaBytes: 2 ** 20, sharedBytes: 2 ** 21 }), {
      universe: 'floor',
      channels: {},
      broadcasts: {},
      arenaBytes: 2 ** 20,
      sharedBytes: 2 ** 21,
    });
    assert.equal(
      differenceOf(extract({ arenaBytes: 2 ** 20 }), extract({})),
      'arenaBytes is 1048576 at the server and 0 at the client',
    );
    assert.equal(
      differenceOf(extract({}), extract({ sharedBytes: 2 ** 20 })),
      'sharedBytes is 0 at the server and 1048576 at the client',
    );
  });
});

describe('the lanes of on-demand channels', () => {
  const refusalOfChannels = (channels: Record<string, ChannelOptions>) =>
    refusalOf(() => defineUniverse('floor', { market: { channels } }));

  it('are counted with every opening of its channels', () => {
    const many = channel({ open: 'on-demand', maxOpen: 64, capacityBytes: 1024 });
    assert.include(
      refusalOfChannels({ a: many, b: many, c: many, d: many, e: channel() }),
      'app market: its channels may be open 257 times and it has 0 broadcasts; 256 are possible',
    );
    defineUniverse('floor', { market: { channels: { a: many, b: many, c: many } } });
  });

  it('fit one segment', () =>
    assert.include(
      refusalOfChannels({ a: channel({ open: 'on-demand', maxOpen: 4, capacityBytes: 2 ** 30 }) }),
      `the rings of its channels have ${2 ** 32} bytes in all`,
    ));
});

describe('extractOf()', () => {
  it('holds what both sides must agree on, and nothing else', () => {
    const { market } = defineUniverse('floor', {
      market: {
        uid: 70,
        channels: { prices: channel({ codec: 'bytes', capacityBytes: 1024 }) },
        broadcasts: {
          news: broadcast({ capacityBytes: 2048, history: 3, reader: 'block', slowAfterMs: 50 }),
        },
      },
    });
    assert.deepEqual(extractOf(market), {
      universe: 'floor',
      channels: {
        prices: {
          codec: 'bytes',
          capacityBytes: 1024,
          maxMessageBytes: 504,
          overflow: 'block',
          maxLoans: 256,
          maxBorrows: 256,
          open: 'init',
          maxOpen: 1,
          unexpected: 'block',
          unexpectedMax: 256,
          unexpectedTimeoutMs: 1000,
        },
      },
      broadcasts: {
        news: { codec: 'msgpack', capacityBytes: 2048, history: 3, reader: 'block', slowAfterMs: 50 },
      },
    });
  });
});

describe('differenceOf()', () => {
  const options: ChannelOptions = { ...channel({ capacityBytes: 1024 }) };
  const shared = { ...broadcast({ capacityBytes: 1024 }) };
  const server: UniverseExtract = {
    universe: 'floor',
    channels: { orders: options, prices: options },
    broadcasts: { ticks: shared },
  };
  const client = (change: Partial<UniverseExtract>): UniverseExtract => ({ ...server, ...change });

  it('is nothing if both sides agree', () => assert.isUndefined(differenceOf(server, client({}))));

  it('is nothing if they only list their channels in another order', () =>
    assert.isUndefined(differenceOf(server, client({ channels: { prices: options, orders: options } }))));

  const rows: [title: string, client: UniverseExtract, difference: string][] = [
    ['the universe', client({ universe: 'cellar' }), 'the server is in universe floor, the client in cellar'],
    [
      'a channel that the client does not know',
      client({ channels: { orders: options } }),
      'the client does not know channel prices',
    ],
    [
      'a channel that the server does not know',
      client({ channels: { ...server.channels, news: options } }),
      'the server does not know channel news',
    ],
    ...(
      [
        ['codec', 'bytes', 'msgpack'],
        ['capacityBytes', 2048, 1024],
        ['maxMessageBytes', 7, 504],
        ['overflow', 'drop-newest', 'block'],
        ['maxLoans', 7, 256],
        ['maxBorrows', 7, 256],
        ['open', 'on-demand', 'init'],
        ['maxOpen', 7, 1],
      ] as const
    ).map(([key, theirs, mine]): [string, UniverseExtract, string] => [
      `the ${key} of a channel`,
      client({ channels: { ...server.channels, prices: { ...options, [key]: theirs } } }),
      `channel prices has ${key} ${mine} at the server and ${theirs} at the client`,
    ]),
    [
      'a broadcast that the client does not know',
      client({ broadcasts: {} }),
      'the client does not know broadcast ticks',
    ],
    [
      'a broadcast that the server does not know',
      client({ broadcasts: { ...server.broadcasts, news: shared } }),
      'the server does not know broadcast news',
    ],
    ...(
      [
        ['codec', 'bytes', 'msgpack'],
        ['capacityBytes', 2048, 1024],
        ['history', 7, 0],
        ['reader', 'block', 'drop-oldest'],
        ['slowAfterMs', 100, 'never'],
      ] as const
    ).map(([key, theirs, mine]): [string, UniverseExtract, string] => [
      `the ${key} of a broadcast`,
      client({ broadcasts: { ticks: { ...shared, [key]: theirs } } }),
      `broadcast ticks has ${key} ${mine} at the server and ${theirs} at the client`,
    ]),
  ];
  for (const [title, theirs, difference] of rows)
    it(`names ${title}`, () => assert.equal(differenceOf(server, theirs), difference));

  it('misses no channel because of its name', () => {
    for (const name of ['constructor', 'toString']) {
      const odd = { universe: 'floor', channels: { [name]: options }, broadcasts: {} };
      const none = { universe: 'floor', channels: {}, broadcasts: {} };
      assert.equal(differenceOf(odd, none), `the client does not know channel ${name}`);
      assert.equal(differenceOf(none, odd), `the server does not know channel ${name}`);
    }
  });

  it('is found from either side, or from none', () => {
    const extract = fc.record({
      universe: fc.constantFrom('floor', 'cellar'),
      channels: fc.dictionary(
        fc.constantFrom('orders', 'prices', 'news'),
        fc.constantFrom(options, { ...options, codec: 'bytes' as const }),
      ),
      broadcasts: fc.dictionary(
        fc.constantFrom('ticks', 'news'),
        fc.constantFrom(shared, { ...shared, history: 1 }),
      ),
    });
    fc.assert(
      fc.property(extract, extract, (one, other) => {
        const differs = differenceOf(one, other) !== undefined;
        assert.equal(differenceOf(other, one) !== undefined, differs);
        assert.isUndefined(differenceOf(one, one));
      }),
    );
  });
});
