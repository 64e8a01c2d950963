import { connect as connectSocket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { assert } from 'chai';
import { connectRelay, type RelayServing, readKeys } from '../../src/actors/relay.ts';
import type { IpcError } from '../../src/errors.ts';
import { addressOf } from '../../src/names.ts';
import type { LinkTls } from '../../src/spec/relay-link.ts';
import { encodeFrame } from '../../src/transport/frame.ts';
import { helloFrame, type RelayHello } from '../../src/transport/relay-hello.ts';
import { lineRoom, lineWindow } from '../../src/transport/relay-line.ts';
import { controlBytes } from '../../src/transport/relay-stream.ts';
import { Authority } from '../support/relay/certificates.ts';
import { Network } from '../support/relay/network.ts';
import { Nodes } from '../support/relay/nodes.ts';
import { folderOfEachTest } from '../support/temporary-folder.ts';
import { waitUntil } from '../support/wait-until.ts';

const hello: RelayHello = {
  versions: { min: 1, max: 1 },
  node: 'stranger',
  role: 'front',
  cluster: '',
  me: 'run-1',
  you: '',
  got: 0,
  window: lineWindow,
};

describe('a link', function () {
  this.timeout(90_000);
  let nodes: Nodes;
  let proxies: Network[];
  beforeEach(() => {
    nodes = new Nodes();
    proxies = [];
  });
  afterEach(async () => {
    await nodes.close();
    for (const proxy of proxies) proxy.close();
  });

  const serve = (options: Parameters<Nodes['serve']>[0] = {}) =>
    nodes.serve({ listen: [{ host: '127.0.0.1', port: 0 }], ...options });
  const proxied = async (relay: RelayServing) => {
    const proxy = await Network.open(relay.ports[0]!);
    proxies.push(proxy);
    return { proxy, endpoint: { host: '127.0.0.1', port: proxy.port } };
  };

  describe('that is cut', () => {
    it('loses and doubles nothing, in both directions, and keeps the order', async () => {
      const relay = await serve();
      const { proxy, endpoint } = await proxied(relay);
      const a = await nodes.connected({ node: 'a', endpoint });
      const up: unknown[] = [];
      const down: unknown[] = [];
      await relay.own.subscribe('up', (message) => up.push(message));
      await a.subscribe('down', (message) => down.push(message));
      const count = 3_000;
      for (let i = 0; i < count; i++) {
        a.publish('up', i);
        relay.own.publish('down', i);
        if (i % 500 === 250) {
          proxy.cut();
          await waitUntil('another link', () => a.status === 'connected');
        }
        if (i % 100 === 0) await new Promise((resolve) => setImmediate(resolve));
      }
      await waitUntil('all messages', () => up.length >= count && down.length >= count);
      const all = Array.from({ length: count }, (_, i) => i);
      assert.deepEqual(up, all);
      assert.deepEqual(down, all);
      assert.isAtLeast(proxy.connections, 4);
    });

    it('answers a request that was under way', async () => {
      const relay = await serve();
      const { proxy, endpoint } = await proxied(relay);
      const a = await nodes.connected({ node: 'a', endpoint });
      let answer!: (value: unknown) => void;
      await relay.own.serve('slow', () => new Promise((resolve) => (answer = resolve)));
      const asked = a.request('slow', null, { timeoutMs: 10_000 });
      await waitUntil('the handler', () => answer);
      proxy.cut();
      answer('at last');
      assert.equal(await asked, 'at last');
    });

    it('is found out by its silence, where nobody tells', async () => {
      const relay = await serve();
      const { proxy, endpoint } = await proxied(relay);
      const a = await nodes.connected({ node: 'a', endpoint });
      proxy.stop();
      await waitUntil('the silence', () => a.status === 'lost');
      assert.isTrue(nodes.complaints.some((each) => /nothing was heard for 5 beats of 100 ms/.test(each)));
      assert.isAtLeast(a.silenceMs, 300);
      proxy.cut();
      proxy.resume();
      await waitUntil('another link', () => a.status === 'connected');
    });

    it('fails requests in their time, and says that there is no link', async () => {
      const relay = await serve();
      const { proxy, endpoint } = await proxied(relay);
      const a = await nodes.connected({ node: 'a', endpoint });
      proxy.refusing = true;
      proxy.cut();
      await waitUntil('the loss', () => a.status === 'lost');
      const error = (await a.request('x', 1, { timeoutMs: 50 }).catch((thrown) => thrown)) as IpcError;
      assert.equal(error.code, 'ERR_RELAY_UNAVAILABLE');
      assert.match(error.message, /there is no link/);
    });
  });

  describe('to a hub that was started anew', () => {
    it('is opened again with its subscriptions and services, and what was under way is counted as lost', async () => {
      const first = await serve();
      const port = first.ports[0]!;
      const endpoint = { host: '127.0.0.1', port };
      const a = await nodes.connected({ node: 'a', endpoint });
      const heard: unknown[] = [];
      const lost: number[] = [];
      a.onStatus((_, count) => lost.push(count));
      await a.subscribe('news', (message) => heard.push(message));
      await a.serve('who', () => 'a');
      await first.close();
      await waitUntil('the loss', () => a.status === 'lost');
      const second = await nodes.serve({ listen: [{ host: '127.0.0.1', port }] });
      await waitUntil('another link', () => a.status === 'connected');
      // The node is there before it has said again what it serves.
      let answer: unknown;
      await waitUntil('its service', () => {
        second.own.request('who', null, { to: 'a' }).then(
          (text) => {
            answer = text;
          },
          (error: IpcError) => assert.equal(error.code, 'ERR_RELAY_UNAVAILABLE'),
        );
        return answer !== undefined;
      });
      assert.equal(answer, 'a');
      second.own.publish('news', 1);
      await waitUntil('the news', () => heard.length > 0);
      assert.deepEqual(heard, [1]);
    });

    it('ends what was asked before at once, and asks what was asked meanwhile', async () => {
      const first = await serve();
      const { proxy, endpoint } = await proxied(first);
      const port = first.ports[0]!;
      const a = await nodes.connected({ node: 'a', endpoint });
      let asked = 0;
      const never = () => {
        asked++;
        return new Promise<void>(() => {});
      };
      await first.own.serve('slow', never);
      const limit = { timeoutMs: 3_600_000 };
      const slow = a.request('slow', null, limit).catch((error) => error as IpcError);
      await waitUntil('the question', () => asked === 1);
      proxy.refusing = true;
      proxy.cut();
      await first.close();
      await waitUntil('the loss', () => a.status === 'lost');
      const served = a.serve('mine', () => 'a', limit);
      const subscribed = a.subscribe('news', () => {}, limit);
      const meanwhile = a.request('$nodes', null, limit);
      await nodes.serve({ listen: [{ host: '127.0.0.1', port }] });
      proxy.refusing = false;
      const { code, message } = (await slow) as IpcError;
      assert.equal(code, 'ERR_RELAY_UNAVAILABLE');
      assert.match(message, /request slow .* started anew/);
      assert.isNotEmpty((await meanwhile) as unknown[]);
      await Promise.all([served, subscribed]);
    });

    it('comes to know a service and a subscription that the one before never confirmed', async () => {
      // It takes what is said, and is gone before it says anything.
      const mute = await serve();
      const { proxy, endpoint } = await proxied(mute);
      const a = await nodes.connected({ node: 'a', endpoint });
      const heard: unknown[] = [];
      proxy.stop();
      const served = a.serve('who', () => 'a', { timeoutMs: 3_600_000 });
      const subscribed = a.subscribe('news', (message) => heard.push(message), { timeoutMs: 3_600_000 });
      // Sent, and not answered.
      await waitUntil('both are sent', () => a.status === 'lost');
      const port = mute.ports[0]!;
      await mute.close();
      proxy.resume();
      proxy.cut();
      const second = await nodes.serve({ listen: [{ host: '127.0.0.1', port }] });
      await Promise.all([served, subscribed]);
      assert.equal(await second.own.request('who', null, { to: 'a' }), 'a');
      second.own.publish('news', 1);
      await waitUntil('the news', () => heard.length > 0);
    });

    it('forgets no token of a lease', async () => {
      const first = await serve();
      const port = first.ports[0]!;
      const a = await nodes.connected({ node: 'a', endpoint: { host: '127.0.0.1', port } });
      const lease = await a.lease('leader', { ttlMs: 1_000 });
      await first.close();
      const second = await nodes.serve({ listen: [{ host: '127.0.0.1', port }] });
      await waitUntil('another link', () => a.status === 'connected');
      // Renewed at the new hub, the lease still has its holder.
      await waitUntil('the renewal', () => second.hub.stats.requests > 0);
      const error = (await second.own.lease('leader').catch((thrown) => thrown)) as IpcError;
      assert.equal(error.code, 'ERR_LEASE_HELD');
      await lease.release();
      assert.isAbove((await a.lease('leader')).token, lease.token);
    });
  });

  it('loses its lease in time, when its hub is gone', async () => {
    const relay = await serve();
    const a = await nodes.connected({ node: 'a', endpoint: { host: '127.0.0.1', port: relay.ports[0]! } });
    const lease = await a.lease('leader', { ttlMs: 300 });
    await relay.close();
    await waitUntil('the loss', () => lease.signal.aborted);
    assert.equal(lease.signal.reason.code, 'ERR_LEASE_LOST');
  });

  it('gives a lease to the node that the configuration names, and to no other', async () => {
    const relay = await serve({ leases: { leader: 'b' }, expected: [{ node: 'b', role: 'front' }] });
    const endpoint = { host: '127.0.0.1', port: relay.ports[0]! };
    const a = await nodes.connected({ node: 'a', endpoint });
    assert.equal((await a.lease('leader').catch((thrown) => thrown)).code, 'ERR_LEASE_HELD');
    assert.deepInclude(await a.nodes(), { node: 'b', role: 'front', connected: false });
    const b = await nodes.connected({ node: 'b', endpoint });
    assert.isAbove((await b.lease('leader')).token, 0);
  });

  describe('to somebody who takes nothing', () => {
    it('holds up nobody, keeps a bounded queue, and tells how much was dropped', async () => {
      const relay = await serve({ times: { beatMs: 60_000, resumeMs: 60_000 } });
      const { proxy, endpoint } = await proxied(relay);
      const slow = await nodes.connected({ node: 'slow', endpoint, times: { beatMs: 60_000 } });
      const quick = await nodes.connected({
        node: 'quick',
        endpoint: { host: '127.0.0.1', port: relay.ports[0]! },
      });
      const got: number[] = [];
      let gap = 0;
      await slow.subscribe('news', (message) => got.push((message as number[])[0]!), {
        onGap: (count) => {
          gap += count;
        },
      });
      let quickGot = 0;
      await quick.subscribe('news', () => quickGot++);
      proxy.stop();
      const filler = 'x'.repeat(1_000);
      const count = lineRoom.messages + 2_000;
      for (let i = 0; i < count; i++) {
        relay.own.publish('news', [i, filler]);
        if (i % 200 === 0) {
          const at = i;
          await waitUntil('the quick one', () => quickGot > at);
        }
      }
      await waitUntil('the quick one', () => quickGot === count);
      const stats = relay.links.find(({ node }) => node === 'slow')!;
      assert.isAtMost(stats.waiting, lineRoom.messages);
      assert.isAtMost(stats.waitingBytes, lineRoom.bytes);
      assert.isAbove(stats.refused, 0);
      proxy.resume();
      await waitUntil('what was kept', () => got.length >= lineRoom.messages);
      relay.own.publish('news', [count, '']);
      await waitUntil('all is told', () => got.length + gap === count + 1);
      assert.deepEqual(
        got,
        [...got].sort((x, y) => x - y),
      );
    });

    it('refuses what has no room at the one who sends', async () => {
      const relay = await serve();
      const { proxy, endpoint } = await proxied(relay);
      const a = await nodes.connected({ node: 'a', endpoint });
      proxy.stop();
      const fill = () => {
        for (let i = 0; i <= lineRoom.messages; i++) a.publish('news', i);
      };
      assert.throws(fill, /refused for want of room/);
      assert.equal(
        ((await a.request('x').catch((error: IpcError) => error)) as IpcError).code,
        'ERR_RELAY_FULL',
      );
    });
  });

  describe('with strangers', () => {
    /** Says something and listens until the other side closes. */
    const say = (port: number, bytes: Uint8Array, end = false) =>
      new Promise<Buffer>((resolve) => {
        const parts: Buffer[] = [];
        const socket = connectSocket(port, '127.0.0.1', () => {
          socket.write(bytes);
          if (end) socket.end();
        });
        socket.on('data', (part) => parts.push(part));
        socket.on('error', () => {});
        socket.on('close', () => resolve(Buffer.concat(parts)));
      });
    const helloBytes = (change: object) =>
      controlBytes(encodeFrame(helloFrame({ ...hello, ...change } as RelayHello)));

    const rows: [what: string, reason: string, bytes: Uint8Array, answer: RegExp][] = [
      ['garbage', 'nonsense', Buffer.from('GET / HTTP/1.1\r\n\r\n'), /^$/],
      ['an endless frame', 'nonsense', Buffer.from([0xff, 0xff, 0xff, 0xff, 0]), /^$/],
      ['a large hello', 'nonsense', controlBytes(encodeFrame({ t: 'hello', x: 'y'.repeat(10_000) })), /^$/],
      [
        'a hello without sense',
        'nonsense',
        controlBytes(encodeFrame({ t: 'hello', versions: 3 })),
        /versions is not a map/,
      ],
      ['a node without a name', 'nonsense', helloBytes({ node: '../../etc' }), /can't be called/],
      ['a message first', 'nonsense', Buffer.from([0, 0, 0, 8, 1, 0, 0, 0, 0, 0, 1, 0xc0]), /^$/],
      ['another version', 'version', helloBytes({ versions: { min: 7, max: 9 } }), /versions 7 to 9/],
      ['another cluster', 'cluster', helloBytes({ cluster: 'elsewhere' }), /elsewhere/],
      [
        'a role that has no place here',
        'role',
        helloBytes({ role: 'aging' }),
        /no place for a node of role aging/,
      ],
    ];
    for (const [what, reason, bytes, answer] of rows)
      it(`refuses ${what}, counts it, and tells it once`, async () => {
        const relay = await serve({ listen: [{ host: '127.0.0.1', port: 0, roles: ['front'] }] });
        for (let i = 0; i < 3; i++) assert.match((await say(relay.ports[0]!, bytes)).toString(), answer);
        assert.equal(relay.refused[reason as never], 3);
        assert.lengthOf(nodes.complaints, 1);
        assert.match(nodes.complaints[0]!, /127\.0\.0\.1 was refused: .*told once/);
      });

    it('counts half a frame, and whoever leaves without a word', async () => {
      const relay = await serve();
      await say(relay.ports[0]!, helloBytes({}).subarray(0, 20), true);
      await waitUntil('it is counted', () => relay.refused.left === 1);
      assert.isEmpty(nodes.complaints);
    });

    it('waits for a hello, but not for long', async () => {
      const relay = await serve({ times: { dialTimeoutMs: 100 } });
      const answer = await say(relay.ports[0]!, new Uint8Array(0));
      assert.match(answer.toString(), /no hello within 100 ms/);
      assert.equal(relay.refused.late, 1);
    });

    it('lets only so many wait at once, and the others in later', async () => {
      const relay = await serve();
      const port = relay.ports[0]!;
      const flood = Array.from({ length: 100 }, () => connectSocket(port, '127.0.0.1'));
      for (const each of flood) each.on('error', () => {});
      try {
        await waitUntil('some are refused', () => relay.refused.busy === 36);
      } finally {
        for (const each of flood) each.destroy();
      }
      await waitUntil('they have left', () => relay.refused.left === 64);
      await nodes.connected({ node: 'a', endpoint: { host: '127.0.0.1', port } });
    });

    it('takes no second node of a name while the first one is heard', async () => {
      const relay = await serve();
      const endpoint = { host: '127.0.0.1', port: relay.ports[0]! };
      const a = await nodes.connected({ node: 'a', endpoint });
      const other = nodes.connect({ node: 'a', endpoint });
      await waitUntil('the refusal', () => relay.refused.taken > 0);
      assert.equal(a.status, 'connected');
      assert.equal(other.status, 'lost');
      await waitUntil('it is told', () =>
        nodes.complaints.some((each) => /refused the link: a node a is connected already/.test(each)),
      );
      await a.close();
      await waitUntil('its place is free', () => other.status === 'connected');
    });

    it('cuts off a node that sends messages without sense, and goes on with the others', async () => {
      const relay = await serve();
      const endpoint = { host: '127.0.0.1', port: relay.ports[0]! };
      const a = await nodes.connected({ node: 'a', endpoint });
      const socket = connectSocket(endpoint.port, '127.0.0.1');
      socket.on('error', () => {}).resume();
      const closed = new Promise((resolve) => socket.on('close', resolve));
      socket.write(helloBytes({}));
      await waitUntil('it is in', () => relay.hub.nodes().some(({ node }) => node === 'stranger'));
      const sense = encodeFrame({ t: 'dance' });
      socket.write(Buffer.concat([Buffer.from([0, 0, 0, 7 + sense.length, 1, 0, 0, 0, 0, 0, 1]), sense]));
      await closed;
      assert.isTrue(nodes.complaints.some((each) => /stranger is lost: it broke the protocol/.test(each)));
      assert.isArray(await a.nodes());
    });
  });

  it('does not mind a clock of the day that jumps', async () => {
    const relay = await serve();
    const a = await nodes.connected({ node: 'a', endpoint: { host: '127.0.0.1', port: relay.ports[0]! } });
    const lease = await a.lease('leader', { ttlMs: 5_000 });
    const { now } = Date;
    try {
      for (const jumpMs of [3_600_000, -86_400_000]) {
        Date.now = () => now() + jumpMs;
        await a.nodes();
        const untilMs = performance.now() + 300;
        await waitUntil('some beats', () => performance.now() > untilMs);
        assert.equal(a.status, 'connected');
        assert.isFalse(lease.signal.aborted);
      }
    } finally {
      Date.now = now;
    }
    assert.isEmpty(nodes.complaints);
  });

  describe('with TLS', () => {
    const folder = folderOfEachTest();
    let authority: Authority;
    beforeEach(() => {
      authority = new Authority(folder());
    });
    const secured = (tls: LinkTls) => nodes.serve({ listen: [{ host: 'localhost', port: 0, tls }] });

    it('takes only a node whose certificate is of the same authority', async () => {
      const relay = await secured(authority.issue('relay'));
      const endpoint = { host: 'localhost', port: relay.ports[0]! };
      const stranger = new Authority(folder(), 'stranger');
      const forged = { ...stranger.issue('a'), ca: authority.certificate };
      const wrong = nodes.connect({ node: 'wrong', endpoint, tls: forged });
      await nodes.connected({ node: 'a', endpoint, tls: authority.issue('a') });
      await waitUntil('the other one is refused', () => relay.refused.tls > 0);
      assert.equal(wrong.status, 'lost');
      assert.isTrue(nodes.complaints.some((each) => /was refused/.test(each)));
    });

    it('goes to no server of another authority, or of another name', async () => {
      const stranger = new Authority(folder(), 'stranger');
      const foreign = await secured(stranger.issue('relay'));
      const misnamed = await nodes.serve({
        node: 'other',
        listen: [{ host: 'localhost', port: 0, tls: authority.issue('other', ['elsewhere.example']) }],
      });
      const tls = authority.issue('a', ['b', 'c']);
      const toForeign = nodes.connect({
        node: 'a',
        endpoint: { host: 'localhost', port: foreign.ports[0]! },
        tls,
      });
      const endpoint = { host: 'localhost', port: misnamed.ports[0]! };
      const toMisnamed = nodes.connect({ node: 'b', endpoint, tls });
      await nodes.connected({ node: 'c', endpoint, tls: { ...tls, serverName: 'elsewhere.example' } });
      await waitUntil('it is refused', () => foreign.refused.tls + foreign.refused.left > 0);
      assert.deepEqual([toForeign.status, toMisnamed.status], ['lost', 'lost']);
    });

    it('asks for one of the names that it was told', async () => {
      const relay = await secured({ ...authority.issue('relay'), peerNames: ['front-a'] });
      const endpoint = { host: 'localhost', port: relay.ports[0]! };
      const wrong = nodes.connect({ node: 'front-b', endpoint, tls: authority.issue('front-b') });
      await nodes.connected({ node: 'front-a', endpoint, tls: authority.issue('front-a') });
      await waitUntil('it is refused', () => relay.refused.identity > 0);
      assert.equal(wrong.status, 'lost');
      const careful = nodes.connect({
        node: 'c',
        endpoint,
        tls: { ...authority.issue('front-a'), peerNames: ['sibling'] },
      });
      await waitUntil('it has tried', () =>
        nodes.complaints.some((each) => /made out to relay, localhost, not to sibling/.test(each)),
      );
      assert.equal(careful.status, 'lost');
    });

    it('takes nobody for another node than his certificate says, unless it is told to', async () => {
      const relay = await secured(authority.issue('relay'));
      const endpoint = { host: 'localhost', port: relay.ports[0]! };
      const tls = authority.issue('a', ['also-a', 'localhost']);
      for (const node of ['a', 'also-a']) await nodes.connected({ node, endpoint, tls });
      const other = nodes.connect({ node: 'b', endpoint, tls });
      const refusal = /it calls itself b, and its certificate is made out to a, also-a, localhost/;
      await waitUntil('it is refused', () => nodes.complaints.some((each) => refusal.test(each)));
      assert.equal(relay.refused.identity, 1);
      assert.equal(other.status, 'lost');
      await waitUntil('it is told', () =>
        nodes.complaints.some((each) => /refused the link: it calls itself b/.test(each)),
      );

      const shared = await secured({ ...authority.issue('relay'), anyName: true });
      await nodes.connected({ node: 'b', endpoint: { host: 'localhost', port: shared.ports[0]! }, tls });
    });

    it('goes to no hub that calls itself otherwise than its certificate, unless it is told to', async () => {
      const listen = [{ host: 'localhost', port: 0, tls: authority.issue('other', ['localhost']) }];
      const hub = await nodes.serve({ node: 'relay', listen });
      const endpoint = { host: 'localhost', port: hub.ports[0]! };
      const tls = authority.issue('a');
      const member = nodes.connect({ node: 'a', endpoint, tls });
      await waitUntil('it will not have it', () =>
        nodes.complaints.some((each) =>
          /we will not have it: it calls itself relay, and its certificate is made out to other/.test(each),
        ),
      );
      assert.equal(member.status, 'lost');
      await nodes.connected({ node: 'c', endpoint, tls: { ...authority.issue('c'), anyName: true } });
    });

    it('refuses a plain client, and a client of TLS at a plain port', async () => {
      const relay = await secured(authority.issue('relay'));
      nodes.connect({ node: 'plain', endpoint: { host: 'localhost', port: relay.ports[0]! } });
      await waitUntil('the plain one is refused', () => relay.refused.tls > 0);
      const open = await serve();
      const socket = connectTls({ host: '127.0.0.1', port: open.ports[0]!, rejectUnauthorized: false });
      socket.on('error', () => {});
      await waitUntil('the other one, too', () => open.refused.nonsense > 0);
      socket.destroy();
      assert.lengthOf(
        nodes.complaints.filter((each) => /told once/.test(each)),
        2,
      );
    });

    it('says which file is missing or none, before anything is opened', () => {
      const good = authority.issue('a');
      const connect = (tls: LinkTls) => () =>
        connectRelay(nodes.host, addressOf('x'), {
          node: 'a',
          endpoint: { host: 'localhost', port: 1 },
          tls,
        });
      for (const [tls, why] of [
        [{ ...good, key: '/none/key.pem' }, /tls\.key.*no such file/s],
        [{ ...good, cert: good.key }, /can't be used/],
        [{ ...good, key: authority.issue('b').key }, /can't be used/],
      ] as [LinkTls, RegExp][]) {
        try {
          connect(tls)();
          assert.fail('nothing was thrown');
        } catch (error) {
          assert.equal((error as IpcError).code, 'ERR_RELAY_CONFIG');
          assert.match((error as IpcError).message, why);
        }
      }
      assert.doesNotThrow(() => readKeys(good));
    });
  });

  it('can be refused, and asks again', async () => {
    const relay = await serve({ cluster: 'shop' });
    const a = nodes.connect({ node: 'a', endpoint: { host: '127.0.0.1', port: relay.ports[0]! } });
    await waitUntil('two refusals', () => relay.refused.cluster >= 2);
    assert.equal(a.status, 'lost');
    // ERR_RELAY_REFUSED, in words, once.
    const told = nodes.logged.filter(
      ({ level, message }) => level === 'error' && /refused the link/.test(message),
    );
    assert.lengthOf(told, 1);
    const { refused } = nodes.host.snapshotOf(addressOf('member-2'))!.context as {
      refused: { code: string };
    };
    assert.equal(refused.code, 'ERR_RELAY_REFUSED');
  });

  it('fails where nothing can listen', async () => {
    const relay = await serve();
    const error = await serve({ node: 'b', listen: [{ host: '127.0.0.1', port: relay.ports[0]! }] }).catch(
      (thrown) => thrown,
    );
    assert.equal(error.code, 'ERR_SYSTEM');
    assert.match(error.message, /EADDRINUSE/);
  });
});
