// What doctor says of an engine: each thing that can be wrong with one, by its own line with its remedy. Against real servers; only the one
// that is too old is played.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { assert } from 'chai';
import { examineEngine } from '../../src/runtime/engine-doctor.ts';
import { natsRolePermissions } from '../../src/spec/nats-grants.ts';
import type { NatsFile } from '../../src/spec/relay-nats-file.ts';
import { readNatsFile } from '../../src/spec/relay-nats-file.ts';
import { NatsMember } from '../../src/transport/nats-member.ts';
import { OldNatsServer } from '../support/nats/old-server.ts';
import { freePorts, NatsServer } from '../support/nats/server.ts';
import { folderOfEachTest } from '../support/temporary-folder.ts';

describe('doctor, of an engine', function () {
  this.timeout(60_000);
  const folder = folderOfEachTest();
  const servers: { remove(): Promise<void> }[] = [];
  afterEach(async () => {
    for (const server of servers.splice(0)) await server.remove();
  });
  const started = async (options?: Parameters<typeof NatsServer.start>[0]) => {
    const server = await NatsServer.start(options);
    servers.push(server);
    return server;
  };
  const finds = async (file: NatsFile, name: string, wallMs?: () => number) => {
    const findings = await examineEngine({ timeoutMs: 3_000, ...file }, wallMs);
    const found = findings.find((each) => each.name.startsWith(name));
    assert.isDefined(found, JSON.stringify(findings));
    return found!;
  };
  const secret = (text: string) => {
    const file = join(folder(), 'secret');
    writeFileSync(file, `${text}\n`, { mode: 0o600 });
    return file;
  };

  it('finds an empty server good: what is not there yet, the first relay makes', async () => {
    const { url } = await started();
    const findings = await examineEngine({ servers: [url] });
    assert.deepEqual(
      findings.filter(({ verdict }) => verdict !== 'good'),
      [],
    );
    assert.match(findings.find(({ name }) => name.startsWith('bucket'))!.found, /first relay/);
  });

  it('finds no server', async () => {
    const [port] = await freePorts(1);
    const { verdict, advice } = await finds({ servers: [`nats://127.0.0.1:${port}`] }, 'server');
    assert.equal(verdict, 'wrong');
    assert.match(advice!, /start it there/);
  });

  it('finds an old server', async () => {
    const server = await OldNatsServer.start('2.9.9');
    servers.push(server);
    const { verdict, found, advice } = await finds({ servers: [server.url] }, 'server');
    assert.equal(verdict, 'wrong');
    assert.match(found, /2\.9\.9.*2\.9\.10 or later/);
    assert.match(advice!, /upgrade/);
  });

  it('finds JetStream off', async () => {
    const { url } = await started({ args: [] });
    const { verdict, found, advice } = await finds({ servers: [url] }, 'server');
    assert.equal(verdict, 'wrong');
    assert.match(found, /JetStream is off/);
    assert.match(advice!, /-js/);
  });

  it('finds fewer servers than replicas, and servers without routes', async () => {
    const [one, other] = [await started(), await started()];
    const few = await finds({ servers: [one.url], replicas: 3 }, 'replicas');
    assert.equal(few.verdict, 'wrong');
    assert.match(few.found, /3, of 1 servers/);
    const apart = await finds({ servers: [one.url, other.url], replicas: 1 }, 'replicas');
    assert.equal(apart.verdict, 'wrong');
    assert.match(apart.advice!, /cluster with routes/);
  });

  it('finds wrong credentials', async () => {
    const { url } = await started({ config: 'authorization { user: ann, password: right }' });
    const auth = { user: 'ann', passwordFile: secret('wrong') };
    const { verdict, advice } = await finds({ servers: [url], auth }, 'server');
    assert.equal(verdict, 'wrong');
    assert.match(advice!, /look at "auth"/);
  });

  for (const [what, kind, missing] of [
    ['publish', 'publish', 'aipc.main.all.front'],
    ['publish', 'publish', '$KV.AIPC_main_nodes.front.*'],
    ['publish', 'publish', '$JS.API.STREAM.MSG.GET.KV_AIPC_main_leases'],
    ['hear', 'subscribe', 'aipc.main.n.front.*.*'],
  ] as const)
    it(`names the permission that is missing: to ${what} ${missing}`, async () => {
      const all = natsRolePermissions('main', 'front');
      const left = { ...all, [kind]: all[kind].filter((subject) => subject !== missing) };
      const permissions = JSON.stringify({
        publish: { allow: left.publish },
        subscribe: { allow: left.subscribe },
      });
      const { url } = await started({
        config: `authorization { users: [{ user: ann, password: right, permissions: ${permissions} }] }`,
      });
      const auth = { user: 'ann', passwordFile: secret('right') };
      const { verdict, found, advice } = await finds({ servers: [url], auth }, 'permissions');
      assert.equal(verdict, 'wrong');
      assert.equal(found, `a front may not ${kind} ${missing}`);
      assert.match(advice!, /permissions/);
    });

  it('finds a bucket with another configuration', async () => {
    const { url } = await started();
    await (await NatsMember.open({ node: 'a', servers: [url] })).close();
    const { verdict, found } = await finds({ servers: [url], replicas: 3 }, 'bucket');
    assert.equal(verdict, 'wrong');
    assert.match(found, /num_replicas is 1, and 3 is needed/);
  });

  it('finds a clock that is another one, and leaves nothing in the table of nodes', async () => {
    const { url } = await started();
    const member = await NatsMember.open({ node: 'a', servers: [url] });
    try {
      const { verdict, found, advice } = await finds({ servers: [url] }, 'clock', () => Date.now() - 60_000);
      assert.equal(verdict, 'wrong');
      assert.match(found, /60\.0 s behind/);
      assert.match(advice!, /chrony/);
      assert.equal((await finds({ servers: [url] }, 'clock')).verdict, 'good');
      assert.lengthOf(await member.nodes(), 1);
    } finally {
      await member.close();
    }
  });

  it('names each mistake of its file of options', () => {
    const file = join(folder(), 'relay.json');
    writeFileSync(
      file,
      JSON.stringify({
        server: [],
        servers: ['a:4222'],
        role: 'fornt',
        auth: { password: 'x' },
        replicas: 9,
      }),
    );
    assert.throws(
      () => readNatsFile(file),
      /server: unknown key \(did you mean servers\?\)[\s\S]*|servers\.0: must be nats:/,
    );
    try {
      readNatsFile(file);
    } catch (error) {
      for (const word of [
        /servers\.0: must be nats:/,
        /role: /,
        /auth: must be \{ nkeySeedFile/,
        /replicas: /,
      ])
        assert.match((error as Error).message, word);
    }
  });
});
