import { assert } from 'chai';
import {
  checkLogin,
  commonVersion,
  type Hello,
  type LoginPolicy,
  type PeerProcess,
  type VersionRange,
} from '../../src/machines/login.ts';
import { channel } from '../../src/spec/channel-spec.ts';
import { defineUniverse } from '../../src/spec/universe.ts';
import { extractOf } from '../../src/spec/universe-extract.ts';

const apps = defineUniverse('floor', {
  market: {
    allow: ['trader', 'auditor'],
    channels: { orders: channel<{ up: string }>(), prices: channel<{ down: number }>() },
  },
  trader: {},
  auditor: { uid: 70, gid: 71 },
  stranger: {},
});
const { market } = apps;

const policy: LoginPolicy = {
  app: market,
  versions: [1, 3],
  layoutHash: 99,
  own: { uid: 1000, gid: 1001 },
};
const goodPeer: PeerProcess = { pid: 42, uid: 1000, gid: 1001 };
const goodHello: Hello = {
  versions: [1, 3],
  layoutHash: 99,
  client: 'trader',
  server: 'market',
  universe: extractOf(market),
  pid: 42,
  startTicks: 1,
  segmentBytes: 4096,
  metadata: null,
};

interface Login {
  readonly hello: Hello;
  readonly peer: PeerProcess;
}

interface Mistake {
  readonly title: string;
  /** The fact that is wrong; two mistakes about the same one exclude each other. */
  readonly of: string;
  readonly code: string;
  readonly message: string;
  readonly make: (login: Login) => Login;
}

/** In the order in which things are checked. */
const mistakes: Mistake[] = [
  {
    title: 'comes from another process than it says',
    of: 'pid',
    code: 'ERR_PEER_UNIDENTIFIED',
    message: 'it says that it is process 42, the kernel says 43',
    make: (login) => ({ ...login, peer: { ...login.peer, pid: 43 } }),
  },
  {
    title: 'speaks no version that we speak',
    of: 'versions',
    code: 'ERR_PROTOCOL_VERSION',
    message: 'this side speaks versions 1 to 3, the other version 4',
    make: (login) => withHello(login, { versions: [4, 4] }),
  },
  {
    title: 'asks for another app',
    of: 'address',
    code: 'ERR_UNIVERSE_MISMATCH',
    message: 'the client asks for floor/trader, this is floor/market',
    make: (login) => withHello(login, { server: 'trader' }),
  },
  {
    title: 'is in another universe',
    of: 'address',
    code: 'ERR_UNIVERSE_MISMATCH',
    message: 'the client asks for cellar/market, this is floor/market',
    make: (login) => withHello(login, { universe: { ...login.hello.universe, universe: 'cellar' } }),
  },
  {
    title: 'is of an app that nobody knows',
    of: 'client',
    code: 'ERR_APP_UNKNOWN',
    message: 'app ghost is not in',
    make: (login) => withHello(login, { client: 'ghost' }),
  },
  {
    title: 'is of an app that may not',
    of: 'client',
    code: 'ERR_APP_NOT_ALLOWED',
    message: 'app market does not allow app stranger',
    make: (login) => withHello(login, { client: 'stranger' }),
  },
  {
    title: 'runs as another user',
    of: 'uid',
    code: 'ERR_CREDENTIALS',
    message: 'it runs as uid 0, but must be 1000',
    make: (login) => ({ ...login, peer: { ...login.peer, uid: 0 } }),
  },
  {
    title: 'runs as another group',
    of: 'gid',
    code: 'ERR_CREDENTIALS',
    message: 'it runs as gid 0, but must be 1001',
    make: (login) => ({ ...login, peer: { ...login.peer, gid: 0 } }),
  },
  {
    title: 'has other channels',
    of: 'channels',
    code: 'ERR_UNIVERSE_MISMATCH',
    message: 'the client does not know channel prices',
    make: (login) =>
      withHello(login, {
        universe: { ...login.hello.universe, channels: { orders: login.hello.universe.channels.orders! } },
      }),
  },
  {
    title: 'lays out its memory in another way',
    of: 'layout',
    code: 'ERR_CONFIGURATION',
    message: 'the shared memory has another layout',
    make: (login) => withHello(login, { layoutHash: 98 }),
  },
];

function withHello(login: Login, change: Partial<Hello>): Login {
  return { ...login, hello: { ...login.hello, ...change } };
}

function check({ hello, peer }: Login): { code: string; message: string } | undefined {
  return checkLogin(policy, hello, peer);
}

const good: Login = { hello: goodHello, peer: goodPeer };

describe('checkLogin()', () => {
  it('lets in who is allowed and agrees with us', () => assert.isUndefined(check(good)));

  for (const { title, code, message, make } of mistakes)
    it(`answers ${code} to one that ${title}`, () => {
      const error = check(make(good))!;
      assert.equal(error.code, code);
      assert.include(error.message, message);
    });

  it('tells the first mistake of two', () => {
    for (const [i, later] of mistakes.entries())
      for (const earlier of mistakes.slice(0, i))
        if (earlier.of !== later.of)
          assert.include(
            check(later.make(earlier.make(good)))!.message,
            earlier.message,
            `one that ${earlier.title} and that ${later.title}`,
          );
  });

  it('measures an app with a user and group of its own by those', () => {
    const auditor = withHello(good, { client: 'auditor' });
    assert.isUndefined(check({ ...auditor, peer: { pid: 42, uid: 70, gid: 71 } }));
    assert.equal(check(auditor)!.code, 'ERR_CREDENTIALS');
  });

  it('lets in a client whose range of versions only touches ours', () => {
    assert.isUndefined(check(withHello(good, { versions: [3, 9] })));
    assert.isUndefined(check(withHello(good, { versions: [0, 1] })));
  });

  it('knows only those apps that somebody has described', () => {
    for (const name of ['constructor', 'toString', 'hasOwnProperty'])
      assert.equal(check(withHello(good, { client: name }))!.code, 'ERR_APP_UNKNOWN');
  });
});

describe('commonVersion()', () => {
  const rows: [mine: VersionRange, theirs: VersionRange, common: number | undefined][] = [
    [[1, 1], [1, 1], 1],
    [[1, 3], [2, 5], 3],
    [[2, 5], [1, 3], 3],
    [[1, 2], [3, 4], undefined],
    [[3, 4], [1, 2], undefined],
    [[1, 5], [2, 3], 3],
  ];
  for (const [mine, theirs, common] of rows)
    it(`is ${common ?? 'none'} of ${mine.join(' to ')} and ${theirs.join(' to ')}`, () =>
      assert.equal(commonVersion(mine, theirs), common));
});
