// The relay tier on machines of their own: front ends A and B, relay, sibling and two relief nodes, with TLS on every link, under
// cables that are pulled, nodes that are killed, and readers that stop.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { assert } from 'chai';
import { Authority } from '../support/relay/certificates.ts';
import { type HostProgram, Hosts, noHosts } from '../support/relay/hosts.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { waitUntil } from '../support/wait-until.ts';

const missing = noHosts();
const names = ['a', 'b', 'relay', 'sibling', 'old', 'new'];
const cache = { seed: 9849381, el_count: 50, record_size: 384 };
const isReady = (line: string) => line === 'ready' || line.includes('"ready":true');

describe(`a relay tier on six machines${missing ? ` (skipped: ${missing})` : ''}`, function () {
  this.timeout(120_000);
  const folder = temporaryFolder();
  let hosts: Hosts;
  let authority: Authority;
  const programs: Record<string, HostProgram> = {};
  let stamp = 1_000;

  before(function () {
    if (missing) this.skip();
  });

  const env = (name: string) => ({ ACTOR_IPC_RUN_DIR: join(folder.path, name) });
  const configs = (): Record<string, object> => {
    const at = (name: string) => hosts.addressOf(name);
    const serverTls = (name: string) => {
      const { ca, cert, key } = authority.issue(name, [at(name)]);
      return { server_key: key, server_cert: cert, client_cert: ca };
    };
    const clientTls = (name: string) => {
      const { ca, cert, key } = authority.issue(`${name}-client`, [name]);
      return { client_key: key, client_cert: cert, server_cert: ca };
    };
    const relief = (name: string, kind: string) => ({
      full_edge: true,
      name,
      beat_ms: 500,
      age_or_replica: kind,
      lru: { cache: { ...cache, el_count: 10_000 } },
      message_relay: { address: at('sibling'), port: 7880, tls: clientTls(name) },
    });
    return {
      relay: {
        edge_supported_relay: true,
        beat_ms: 500,
        address: at('relay'),
        tls: serverTls('relay'),
        path_types: {
          auths: { relay: { address: at('relay'), port: 7879, tls: serverTls('relay') }, cache },
        },
      },
      sibling: {
        half_edge: true,
        beat_ms: 500,
        address: at('sibling'),
        tls: serverTls('sibling'),
        cache: { seed: 9849381 },
        relay: { address: at('relay'), port: 7879, tls: clientTls('sibling') },
      },
      old: relief('old', 'age-out'),
      new: relief('new', 'replicating'),
    };
  };
  const startNode = async (name: string) => {
    const program = hosts.run(name, 'node.mjs', [join(folder.path, `${name}.conf`)], env(name));
    programs[name] = program;
    await program.sees(`${name} is ready`, isReady);
  };
  const startFront = async (name: string) => {
    const endpoint = { host: hosts.addressOf('relay'), port: 7878 };
    const args = [name, JSON.stringify(endpoint), JSON.stringify(authority.issue(name))];
    programs[name] = hosts.run(name, 'front.mjs', args, env(name));
    await programs[name].sees(`${name} is ready`, isReady);
  };
  const does = (name: string, what: string, facts: object = {}) =>
    programs[name]!.does(what, { stamp: ++stamp, ...facts });
  /** As often as it takes: on a busy machine a link may be lost for a moment. */
  const sets = async (name: string, key: string, value = 'v') => {
    while ((await does(name, 'put', { key, value })) !== 'put');
  };
  const hears = (name: string, news: string, key: string) =>
    programs[name]!.sees(`${name} hears of ${key}`, (line) => line === JSON.stringify({ news, key }));

  before(async () => {
    hosts = new Hosts(names);
    authority = new Authority(folder.path);
    for (const [name, config] of Object.entries(configs()))
      writeFileSync(join(folder.path, `${name}.conf`), JSON.stringify(config));
    await Promise.all(['relay', 'sibling', 'old', 'new'].map(startNode));
    await Promise.all(['a', 'b'].map(startFront));
    // All are there: the relief nodes acknowledge a delete as well.
    for (;;) {
      const { acknowledged } = (await does('a', 'forget', { key: 'probe' })) as { acknowledged: number };
      if (acknowledged === 5) break;
    }
  });
  after(() => {
    hosts?.close();
    folder[Symbol.dispose]();
  });

  it('shows at B what is set at A, and finds in relief what the relay has no room for', async () => {
    await sets('a', 'k', 'v }{ ü');
    await hears('b', 'entry.put', 'k');
    assert.equal(await does('a', 'fill', { count: 200 }), 'filled');
    assert.equal(await does('b', 'ask', { key: 'k' }), 'v }{ ü');
    assert.equal(await does('b', 'ask', { key: 'fill-0' }), 'v'.repeat(300));
    assert.equal(await does('b', 'ask', { key: 'nowhere' }), 'nothing');
  });

  it('names a front end whose cable is pulled, answers it nothing, and tells it all when it is back', async () => {
    await sets('a', 'cut');
    hosts.cable('a', false);
    try {
      await programs.a!.sees('the loss', (line) => line === '{"status":"lost"}');
      assert.include(
        ['ERR_RELAY_UNAVAILABLE', 'TimeoutError'],
        await does('a', 'ask', { key: 'cut', timeoutMs: 300 }),
      );
      assert.isAbove((await does('a', 'silence')) as number, 1_000);
      const { missing: away } = (await does('b', 'forget', { key: 'cut' })) as { missing: string[] };
      assert.include(away, 'a');
    } finally {
      hosts.cable('a', true);
    }
    await hears('a', 'entry.deleted', 'cut');
    assert.equal(await does('a', 'ask', { key: 'cut' }), 'deleted');
  });

  it('goes on without a relief node that is killed, and tells it the deletes when it is back', async () => {
    programs.old!.child.kill('SIGKILL');
    await sets('a', 'while-killed');
    assert.equal(await does('b', 'ask', { key: 'while-killed' }), 'v');
    assert.equal(await does('b', 'ask', { key: 'nowhere' }), 'nothing');
    await does('a', 'forget', { key: 'while-killed' });
    await startNode('old');
    for (;;) {
      const { missing: away } = (await does('a', 'forget', { key: 'probe' })) as { missing: string[] };
      if (away.length === 0) break;
    }
    programs.old!.child.stdin!.write('stats\n');
    const stats = JSON.parse(
      await programs.old!.sees('its figures', (line) => line.includes('"tombstones"')),
    );
    assert.isAtLeast(stats.table.tombstones, 2);
  });

  it('serves a front end behind a thin line, which holds up nobody else', async function () {
    try {
      // What the relay sends to it, 90 KiB, takes three seconds; what it says itself half a second.
      hosts.thin('b', '64kbit');
      hosts.thin('relay', '512kbit');
    } catch (error) {
      this.test!.title += ` (skipped: no tc: ${(error as Error).message.split('\n')[0]})`;
      return this.skip();
    }
    try {
      const slow = does('b', 'put', { key: 'thin', value: 'v'.repeat(300) });
      assert.equal(await does('a', 'fill', { count: 300 }), 'filled');
      await slow;
      await sets('b', 'thin');
      assert.equal(await does('a', 'ask', { key: 'thin' }), 'v');
      await sets('a', 'wide');
      await hears('b', 'entry.put', 'wide');
      assert.equal(await does('b', 'ask', { key: 'fill-299' }), 'v'.repeat(300));
    } finally {
      for (const name of ['b', 'relay']) hosts.thin(name, undefined);
    }
  });

  it('goes on while a front end is stopped, and lets it catch up', async () => {
    programs.b!.child.kill('SIGSTOP');
    try {
      assert.equal(await does('a', 'fill', { count: 1_000 }), 'filled');
      await sets('a', 'last');
    } finally {
      programs.b!.child.kill('SIGCONT');
    }
    await waitUntil(
      'b has caught up',
      () => programs.b!.lines.some((line) => line.includes('"last"') || line.includes('"connected"')),
      25_000,
    );
    assert.equal(await does('b', 'ask', { key: 'last' }), 'v');
  });

  it('is whole again after its relay was killed: deletes are not forgotten', async () => {
    await sets('a', 'gone');
    await does('a', 'forget', { key: 'gone' });
    programs.relay!.child.kill('SIGKILL');
    await programs.a!.sees(
      'the loss',
      () => programs.a!.lines.filter((line) => line === '{"status":"lost"}').length > 1,
    );
    await startNode('relay');
    for (;;) if ((await does('b', 'ask', { key: 'gone', timeoutMs: 1_000 })) === 'deleted') break;
    await sets('b', 'after');
    assert.equal(await does('a', 'ask', { key: 'after' }), 'v');
  });
});
