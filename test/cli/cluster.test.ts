// `cluster init` and `doctor --nats` as a user runs them: what is written really starts, lets in whom it must and nobody else, and what is
// wrong with an engine is named with its remedy.
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { NatsConnection } from '@nats-io/transport-node';
import { assert } from 'chai';
import type { IpcError } from '../../src/errors.ts';
import { parseClusterNodes } from '../../src/spec/nats-cluster.ts';
import { natsRolePermissions, parseGrant } from '../../src/spec/nats-grants.ts';
import { type NatsOptions, natsKey } from '../../src/spec/relay-nats.ts';
import { readNatsFile } from '../../src/spec/relay-nats-file.ts';
import { dialNats } from '../../src/transport/nats-dial.ts';
import { NatsMember } from '../../src/transport/nats-member.ts';
import { newNatsUserKey } from '../../src/transport/nats-user.ts';
import { freePorts, NatsServer } from '../support/nats/server.ts';
import { waitUntil } from '../support/wait-until.ts';
import { command, scratch } from './command.ts';

describe('cluster init', function () {
  this.timeout(90_000);
  const place = scratch();
  const out = join(place.folder, 'engine');
  const servers: NatsServer[] = [];
  const open: { close(): Promise<void> }[] = [];
  const optionsOf = (role: string) => readNatsFile(join(out, 'roles', role, 'relay.json'));
  const joined = async (node: string, options: Omit<NatsOptions, 'node'>) => {
    const member = await NatsMember.open({ node, timeoutMs: 30_000, ...options });
    open.push(member);
    return member;
  };
  const refusal = async (options: Omit<NatsOptions, 'node'>) => {
    try {
      await joined('stranger', options);
    } catch (error) {
      return error as IpcError;
    }
    throw new Error('it was let in');
  };

  before(async () => {
    const ports = await freePorts(6);
    const nodes = ['a', 'b', 'c'].map((name, i) => `${name}=127.0.0.1:${ports[i]}:${ports[i + 3]}`).join(',');
    const args = ['cluster', 'init', '--nodes', nodes, '--cluster', 'shop', '--out', out];
    const { code, output } = await command([...args, '--grant', 'front=topic:orders'], place.env);
    assert.equal(code, 0, output);
    assert.match(output, /nats-server -c/);
    for (const [i, name] of ['a', 'b', 'c'].entries())
      servers.push(NatsServer.configured(name, join(out, 'servers', name), ports[i]!));
    await Promise.all(servers.map((server) => server.up()));
  });
  afterEach(async () => {
    for (const each of open.splice(0).reverse()) await each.close();
    for (const server of servers) await server.upAgain();
  });
  after(async () => {
    await Promise.all(servers.map((server) => server.remove()));
    place.remove();
  });

  it('keeps what is secret to its owner', () => {
    for (const file of [
      'authority/ca.key',
      'servers/a/server.key',
      'roles/front/user.nk',
      'servers/b/nats.conf',
    ])
      assert.equal(statSync(join(out, file)).mode & 0o77, 0, file);
    assert.notInclude(
      readFileSync(join(out, 'servers/a/nats.conf'), 'utf8'),
      readFileSync(join(out, 'roles/front/user.nk'), 'utf8').trim(),
    );
  });

  it('lets each role in by TLS and its key, on three servers that keep the tables together', async () => {
    // The front end waits for the relay, which makes the tables.
    const [front, relay] = await Promise.all([
      joined('front-1', optionsOf('front')),
      joined('relay-1', optionsOf('relay')),
    ]);
    const others = await Promise.all(
      (['gateway', 'aging', 'expansion'] as const).map((role) => joined(role, optionsOf(role))),
    );
    const heard: unknown[] = [];
    for (const each of [front, ...others])
      await each.subscribe('news', (message, from) => heard.push([each.node, message, from]));
    await relay.subscribe('orders', (message, from) => heard.push(['relay-1', message, from]));
    relay.publish('news', 'open');
    front.publish('orders', 7);
    await waitUntil('all of them', () => heard.length === 5);
    assert.sameDeepMembers(heard, [
      ...['front-1', 'gateway', 'aging', 'expansion'].map((node) => [node, 'open', 'relay-1']),
      ['relay-1', 7, 'front-1'],
    ]);
    await relay.serve('who', (_, { from, role }) => `${from}, a ${role}`);
    assert.equal(await front.request('who'), 'front-1, a front');
    await relay.kv('settings').put('k', 1);
    assert.equal((await front.kv('settings').get('k'))?.value, 1);
    await relay.blobs.put('picture', new Uint8Array(300_000));
    assert.lengthOf((await relay.blobs.get('picture'))!, 300_000);
    await relay.blobs.delete('picture');
    await (await relay.lease('leader')).release();
    assert.include(['a', 'b', 'c'], await relay.leaderOf('kv'));
  });

  it('refuses a key that it does not know, and who shows none', async () => {
    const file = join(place.folder, 'stranger.nk');
    writeFileSync(file, (await newNatsUserKey()).seed, { mode: 0o600 });
    const stranger = await refusal({ ...optionsOf('front'), auth: { nkeySeedFile: file } });
    assert.equal(stranger.code, 'ERR_RELAY_REFUSED');
    assert.match(stranger.message, /look at "auth"/);
    const { auth: _, ...nobody } = optionsOf('front');
    assert.equal((await refusal(nobody)).code, 'ERR_RELAY_REFUSED');
  });

  it('is refused by a node that trusts another authority', async () => {
    const other = join(place.folder, 'other');
    await command(['cluster', 'init', '--nodes', 'x', '--out', other], place.env);
    const error = await refusal({
      ...optionsOf('front'),
      tls: { ca: join(other, 'authority', 'ca.pem'), serverName: 'shop' },
    });
    assert.equal(error.code, 'ERR_RELAY_REFUSED', error.message);
    assert.match(error.message, /look at "tls"/);
  });

  describe('lets no role', () => {
    let client: NatsConnection;
    const violations: string[] = [];
    const refused = (subject: string) =>
      waitUntil(`the refusal of ${subject}`, () => violations.some((text) => text.includes(`"${subject}"`)));
    before(async () => {
      const relay = await joined('relay-2', optionsOf('relay'));
      await relay.close();
      open.splice(0);
      client = await dialNats({ node: 'raw', ...optionsOf('front') });
      void (async () => {
        for await (const status of client.status())
          if (status.type === 'error') violations.push(String(status.error.message));
      })();
    });
    after(() => client?.close());

    it('publish what is not its own', async () => {
      const own = new Set(natsRolePermissions('shop', 'front').publish);
      const others = natsRolePermissions('shop', 'relay').publish.filter((subject) => !own.has(subject));
      assert.isAbove(others.length, 10);
      const all = [
        ...others,
        // A topic that it was not given, a message that only the engine publishes, a row of another role.
        `aipc.shop.evt.${natsKey('session')}`,
        `aipc.shop.evt.${natsKey('session')}.front.x`,
        'aipc.shop.table.nodes.relay.x',
        '$KV.AIPC_shop_nodes.relay.x',
        '$JS.API.STREAM.DELETE.KV_AIPC_shop_kv',
        '$JS.API.STREAM.PURGE.KV_AIPC_shop_kv',
      ].map((subject) => subject.replaceAll('*', 'x').replace('>', 'x'));
      const subjects = [...new Set(all)];
      for (const subject of subjects) client.publish(subject, new Uint8Array());
      for (const subject of subjects) await refused(subject);
      // What is its own goes through.
      client.publish(`aipc.shop.evt.${natsKey('orders')}`, new Uint8Array());
      client.publish('aipc.shop.n.relay.x.front', new Uint8Array());
      await client.flush();
      assert.isEmpty(violations.filter((text) => /orders|n\.relay\.x\.front/.test(text)));
      assert.lengthOf(new Set(violations), subjects.length);
    });

    it('hear what is meant for another', async () => {
      for (const subject of [
        'aipc.shop.n.relay.>',
        'aipc.shop.a.relay.>',
        '_INBOX.>',
        '_INBOX.relay.>',
        '>',
        '$KV.>',
      ]) {
        client.subscribe(subject, { callback: () => {} });
        await refused(subject);
      }
    });
  });

  it('tells a front end that may write no key, and no topic of others', async () => {
    await joined('relay-3', optionsOf('relay'));
    const front = await joined('front-3', optionsOf('front'));
    const error = await front
      .kv('settings')
      .put('k', 2)
      .catch((thrown) => thrown);
    assert.equal(error.code, 'ERR_RELAY_REFUSED', error.message);
    assert.match(error.message, /\$KV\.AIPC_shop_kv/);
    const lease = await front.lease('leader').catch((thrown) => thrown);
    assert.equal(lease.code, 'ERR_RELAY_REFUSED', lease.message);
  });

  describe('doctor --nats', () => {
    const doctor = async (file: string) => {
      const { code, output } = await command(['doctor', '--nats', file, '--json'], place.env);
      assert.isTrue(output.trimStart().startsWith('['), output);
      const all = JSON.parse(output) as {
        name: string;
        verdict: string;
        found: string;
        advice: string | null;
      }[];
      const of = (name: string) => all.filter((each) => each.name.startsWith(name));
      return { code, of };
    };

    it('finds nothing wrong with it, for any role', async () => {
      for (const role of ['relay', 'front']) {
        const { of } = await doctor(join(out, 'roles', role, 'relay.json'));
        for (const name of ['server', 'replicas', 'permissions', 'bucket', 'clock'])
          assert.isTrue(
            of(name).length > 0 && of(name).every(({ verdict }) => verdict === 'good'),
            JSON.stringify(of(name)),
          );
        assert.lengthOf(of('server'), 3);
      }
    });

    it('names a server that is not there, and what that means for the tables', async () => {
      await servers[2]!.down('SIGTERM');
      const { code, of } = await doctor(join(out, 'roles', 'relay', 'relay.json'));
      assert.equal(code, 2);
      const [lost] = of('server').filter(({ verdict }) => verdict === 'wrong');
      assert.include(lost!.name, String(servers[2]!.port));
      assert.match(lost!.advice!, /start it there/);
      assert.deepInclude(of('replicas')[0], { verdict: 'poor' });
      assert.match(of('replicas')[0]!.advice!, /none may die/);
    });

    it('names what a user may not', async () => {
      const file = join(out, 'roles', 'front', 'as-relay.json');
      const options = JSON.parse(readFileSync(join(out, 'roles', 'front', 'relay.json'), 'utf8')) as object;
      writeFileSync(file, JSON.stringify({ ...options, role: 'relay' }));
      const { code, of } = await doctor(file);
      assert.equal(code, 2);
      assert.match(of('engine')[0]?.found ?? of('permissions')[0]!.found, /Permissions Violation|may not/);
    });
  });

  it('refuses a folder that is not empty, and nodes that make no cluster, and leaves nothing behind', async () => {
    const again = await command(['cluster', 'init', '--nodes', 'a,b,c', '--out', out], place.env);
    assert.match(again.output, /it is not empty/);
    for (const [nodes, why] of [
      ['a,b', /2 servers; it takes 3/],
      ['a,a,b', /a name of its own/],
      ['a=h,b=h,c=i', /two listen at one place/],
      ['a,b,c=h:99999', /ports of c/],
      ['a=h:1:2:3', /is none of NAME/],
      ['a,b,-c', /is no name/],
    ] as const)
      assert.throws(() => parseClusterNodes(nodes), why);
    assert.throws(() => parseGrant('fron=kv'), /did you mean front\?/);
    assert.throws(() => parseGrant('front=all'), /none of leases, kv/);
    const wrong = await command(['cluster', 'init', '--nodes', 'a,b', '--out', `${out}-2`], place.env);
    assert.equal(wrong.code, 2, wrong.output);
    assert.isFalse(existsSync(`${out}-2`));
    const poor = await command(['cluster', 'init', '--nodes', 'a', '--out', `${out}-2`], {
      ...place.env,
      PATH: place.folder,
    });
    assert.equal(poor.code, 3, poor.output);
    assert.match(poor.output, /apt-get install -y openssl/);
    assert.isFalse(existsSync(`${out}-2`));
  });
});
