// The engine of a relay as a unit of a tree: found, started again, or not installed.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { assert } from 'chai';
import { NatsMember } from '../../src/transport/nats-member.ts';
import { freePorts } from '../support/nats/server.ts';
import { Command, command, scratch } from './command.ts';

describe('relay({ mode: "nats", managed: true })', function () {
  this.timeout(180_000);
  const place = scratch();
  after(() => place.remove());
  const topologyOf = (name: string, engine: object) => {
    mkdirSync(place.folder, { recursive: true });
    const file = join(place.folder, `${name}.mjs`);
    const from = JSON.stringify(new URL('../../dist/spec/topology.js', import.meta.url).href);
    writeFileSync(
      file,
      `import { defineTopology, relay } from ${from};\n` +
        `export default defineTopology({ name: '${name}', children: { engine: relay(${JSON.stringify(engine)}) } });\n`,
    );
    return file;
  };

  it('runs the engine, and starts it again with what it kept', async () => {
    const [port] = await freePorts(1);
    const engine = { mode: 'nats', managed: true, port, store_dir: join(place.folder, 'tables') };
    const run = new Command(
      ['run', topologyOf('managed', engine), '--workspace', place.workspace],
      place.env,
    );
    const pid = Number((await run.sees(/engine started as process (\d+)/))[1]);
    await run.sees(/Server is ready/);
    const relay = await NatsMember.open({ node: 'a', servers: [`nats://127.0.0.1:${port}`] });
    try {
      await relay.kv('settings').put('k', 1);
      process.kill(pid, 'SIGKILL');
      await run.sees(/engine started as process \d+ \(start 2\)/);
      assert.equal((await relay.kv('settings').get('k', { timeoutMs: 15_000 }))?.value, 1);
    } finally {
      await relay.close();
    }
    run.signal('SIGINT');
    assert.equal((await run.ended).code, 0);
  });

  it('says how the engine is installed where it is not', async () => {
    const file = topologyOf('missing', { mode: 'nats', managed: true });
    const env = { ...place.env, PATH: place.folder };
    const { code, output } = await command(['run', file, '--workspace', join(place.folder, 'other')], env);
    assert.equal(code, 3, output);
    assert.match(output, /apt-get install -y nats-server/);
  });

  it('names what is misspelt', async () => {
    const file = topologyOf('wrong', { mode: 'nats', managed: true, prot: 4222, store_dir: 7 });
    const { code, output } = await command(['check', file], place.env);
    assert.equal(code, 2);
    assert.match(output, /prot: unknown key \(did you mean port\?\)/);
    assert.match(output, /store_dir: must be a text/);
  });
});
