// A node of a relay by NATS: what it does when the engine goes away, or is not as it must be. Against real servers; only the one that
// is too old is played.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { assert } from 'chai';
import { type ErrorCode, IpcError } from '../../src/errors.ts';
import { type NatsOptions, natsPermissions } from '../../src/spec/relay-nats.ts';
import { NatsMember } from '../../src/transport/nats-member.ts';
import { OldNatsServer } from '../support/nats/old-server.ts';
import { freePorts, NatsServer } from '../support/nats/server.ts';
import { folderOfEachTest } from '../support/temporary-folder.ts';
import { waitUntil } from '../support/wait-until.ts';

describe('a node of a relay by NATS', function () {
  this.timeout(120_000);
  const folder = folderOfEachTest();
  const open: { close(): Promise<void> }[] = [];
  const servers: NatsServer[] = [];
  const started = async (options?: Parameters<typeof NatsServer.start>[0]) => {
    const server = await NatsServer.start(options);
    servers.push(server);
    return server;
  };
  const joined = async (options: Partial<NatsOptions> & Pick<NatsOptions, 'servers'>) => {
    const member = await NatsMember.open({ node: 'a', ...options });
    open.push(member);
    return member;
  };
  const secret = (text: string) => {
    const file = join(folder(), 'secret');
    writeFileSync(file, `${text}\n`, { mode: 0o600 });
    return file;
  };
  const refusal = async (options: Partial<NatsOptions> & Pick<NatsOptions, 'servers'>) => {
    try {
      await joined(options);
    } catch (error) {
      assert.instanceOf(error, IpcError, String(error));
      return error as IpcError;
    }
    throw new Error('it was let in');
  };
  const refused = async (
    options: Partial<NatsOptions> & Pick<NatsOptions, 'servers'>,
    code: ErrorCode,
    remedy: RegExp,
  ) => {
    const error = await refusal(options);
    assert.equal(error.code, code, error.message);
    assert.match(error.message, remedy);
  };
  afterEach(async () => {
    for (const each of open.splice(0).reverse()) await each.close();
    for (const server of servers.splice(0)) await server.remove();
  });

  describe('is told what to change', () => {
    it('where no server listens', async () => {
      const [port] = await freePorts(1);
      await refused({ servers: [`nats://127.0.0.1:${port}`] }, 'ERR_RELAY_UNAVAILABLE', /start it there/);
    });

    for (const version of ['2.8.4', '2.9.9'])
      it(`by a server that is too old: ${version}`, async () => {
        const server = await OldNatsServer.start(version);
        try {
          await refused({ servers: [server.url] }, 'ERR_RELAY_REFUSED', new RegExp(`${version}.*upgrade`));
        } finally {
          await server.remove();
        }
      });

    it('by a server without JetStream', async () => {
      const server = await started({ args: [] });
      await refused({ servers: [server.url] }, 'ERR_RELAY_REFUSED', /JetStream is off.*-js/);
    });

    it('by fewer servers than replicas', async () => {
      const server = await started();
      await refused({ servers: [server.url], replicas: 3 }, 'ERR_RELAY_CONFIG', /lower "replicas"/);
    });

    it('by wrong credentials, and by a file of them that is not there', async () => {
      const server = await started({ config: 'authorization { user: ann, password: right }' });
      const { url } = server;
      await refused({ servers: [url] }, 'ERR_RELAY_REFUSED', /look at "auth"/);
      await refused(
        { servers: [url], auth: { user: 'ann', passwordFile: secret('wrong') } },
        'ERR_RELAY_REFUSED',
        /look at "auth"/,
      );
      const missing = join(folder(), 'none');
      await refused(
        { servers: [url], auth: { user: 'ann', passwordFile: missing } },
        'ERR_RELAY_CONFIG',
        /none/,
      );
      await joined({ servers: [url], auth: { user: 'ann', passwordFile: secret('right') } });
    });

    for (const [what, publish, subscribe, named] of [
      ['publish', ['$JS.API.>', '_INBOX.>', '$KV.>'], ['>'], /aipc\.main\.probe/],
      ['subscribe', ['>'], ['_INBOX.>'], /aipc\.main\./],
      ['write a table', ['aipc.>', '$JS.API.>', '_INBOX.>'], ['>'], /\$KV\.AIPC_main_nodes/],
      ['ask JetStream', ['aipc.>', '_INBOX.>'], ['>'], /\$JS\.API/],
    ] as const)
      it(`by a user who may not ${what}`, async () => {
        const permissions = JSON.stringify({ publish: { allow: publish }, subscribe: { allow: subscribe } });
        const config = `authorization { users: [{ user: ann, password: right, permissions: ${permissions} }] }`;
        const server = await started({ config });
        const auth = { user: 'ann', passwordFile: secret('right') };
        await refused({ servers: [server.url], auth, timeoutMs: 3_000 }, 'ERR_RELAY_REFUSED', named);
      });

    it('by a bucket with another configuration', async () => {
      const server = await started();
      const member = await joined({ servers: [server.url] });
      await member.kv('settings').put('k', 1);
      await member.close();
      const { connect } = await import('@nats-io/transport-node');
      const { jetstreamManager } = await import('@nats-io/jetstream');
      const client = await connect({ servers: [server.url] });
      const manager = await jetstreamManager(client);
      await manager.streams.update('KV_AIPC_main_kv', { max_bytes: 1024 * 1024 });
      await client.close();
      const error = await refusal({ servers: [server.url] });
      assert.equal(error.code, 'ERR_RELAY_CONFIG');
      assert.match(
        error.message,
        /KV_AIPC_main_kv[\s\S]*max_bytes is 1048576, and 67108864 is needed[\s\S]*remove the bucket/,
      );
    });

    for (const [what, aheadMs] of [
      ['ahead', 6_000],
      ['behind', -3_600_000],
    ] as const)
      it(`by an engine whose clock its own is far ${what}`, async () => {
        const server = await started();
        const error = await NatsMember.open(
          { node: 'a', servers: [server.url] },
          () => Date.now() + aheadMs,
        ).then(
          () => assert.fail('it was let in'),
          (thrown: IpcError) => thrown,
        );
        assert.equal(error.code, 'ERR_RELAY_CONFIG');
        assert.match(error.message, new RegExp(`clock of this machine[\\s\\S]*s ${what}[\\s\\S]*chrony`));
        // It has not stayed.
        const b = await joined({ servers: [server.url], node: 'b' });
        assert.deepEqual(
          (await b.nodes()).map(({ node }) => node),
          ['b'],
        );
      });

    it('by a node of the same name, unless that one is dead', async () => {
      const server = await started();
      const first = await joined({ servers: [server.url] });
      await refused({ servers: [server.url] }, 'ERR_RELAY_REFUSED', /another name/);
      await first.close();
      await joined({ servers: [server.url] });
    });
  });

  it('needs no more than the permissions that are written for it', async () => {
    const { publish, subscribe } = natsPermissions('main');
    const permissions = JSON.stringify({ publish: { allow: publish }, subscribe: { allow: subscribe } });
    const config = `authorization { users: [{ user: ann, password: right, permissions: ${permissions} }] }`;
    const server = await started({ config });
    const auth = { user: 'ann', passwordFile: secret('right') };
    const a = await joined({ servers: [server.url], auth });
    const b = await joined({ servers: [server.url], auth, node: 'b' });
    const heard: unknown[] = [];
    await b.subscribe('news', (message) => heard.push(message));
    await b.serve('double', (n) => (n as number) * 2);
    await b.kv('settings').watch((key) => heard.push(key));
    a.publish('news', 'hello');
    assert.equal(await a.request('double', 4), 8);
    await a.kv('settings').put('k', 1);
    await a.blobs.put('picture', new Uint8Array(300_000));
    assert.lengthOf((await b.blobs.get('picture'))!, 300_000);
    await (await a.lease('leader')).release();
    await waitUntil('both', () => heard.length === 2);
    assert.sameMembers(heard, ['hello', 'k']);
  });

  it('loses and doubles nothing over a restart of its server, and keeps its tables', async () => {
    const server = await started();
    const a = await joined({ servers: [server.url] });
    const b = await joined({ servers: [server.url], node: 'b' });
    const heard: number[] = [];
    const gaps: number[] = [];
    const keys: unknown[] = [];
    const onGap = (messages: number) => void gaps.push(messages);
    await b.subscribe('news', (message) => heard.push(message as number), { onGap });
    await b.kv('settings').watch((key, entry) => keys.push([key, entry?.value]));
    await a.kv('settings').put('before', 1);
    let sent = 0;
    const sending = setInterval(() => a.publish('news', ++sent), 2);
    try {
      await waitUntil('some messages', () => heard.length > 50);
      await server.down();
      await waitUntil('the loss', () => a.status === 'lost' && b.status === 'lost');
      const atLoss = sent;
      await waitUntil('messages meanwhile', () => sent > atLoss + 50);
      await server.up();
      await a.connected();
      await a.kv('settings').put('after', 2, { timeoutMs: 10_000 });
      assert.equal((await a.kv('settings').get('before'))?.value, 1);
      const atReturn = sent;
      await waitUntil('messages afterwards', () => sent > atReturn + 50);
    } finally {
      clearInterval(sending);
    }
    await waitUntil('all messages', () => heard.at(-1) === sent);
    assert.deepEqual(
      heard,
      Array.from({ length: sent }, (_, i) => i + 1),
    );
    assert.deepEqual(gaps, []);
    await waitUntil('both keys', () => keys.length === 2);
    assert.deepEqual(keys, [
      ['before', 1],
      ['after', 2],
    ]);
    // It is known again, and can be asked.
    await b.serve('who', () => 'b');
    assert.equal(await a.request('who'), 'b');
  });

  it('refuses what it can not hand over, in bounds, and hands over the rest later', async () => {
    const server = await started();
    const a = await joined({ servers: [server.url] });
    const b = await joined({ servers: [server.url], node: 'b' });
    let heard = 0;
    await b.subscribe('news', () => heard++);
    await server.down();
    await waitUntil('the loss', () => a.status === 'lost');
    let taken = 0;
    try {
      for (; taken < 100_000; taken++) a.publish('news', taken);
      assert.fail('it has taken everything');
    } catch (error) {
      assert.equal((error as IpcError).code, 'ERR_RELAY_FULL');
    }
    assert.isAtMost(taken, 8_192);
    await server.up();
    await waitUntil('all that was taken', () => heard === taken, 30_000);
  });
});
