// `actor-ipc relay CONFIG`, with the configuration files of the original.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { assert } from 'chai';
import { RelayDownstream } from '../../src/actors/relay-downstream.ts';
import { Nodes } from '../support/relay/nodes.ts';
import { entry, said, signal, stone } from '../support/relay/tier.ts';
import { Command, command, scratch } from './command.ts';

const cache = { token_path: './ml_relay.conf', seed: 9849381, record_size: 384, el_count: 20000 };
const relay = {
  edge_supported_relay: true,
  auth_path: 'auths',
  path: 'front.sock',
  path_types: {
    auths: {
      relay: { proc_name: ['global-sessions', './sibling.conf'] },
      cache: { ...cache, am_initializer: true },
    },
  },
};
const sibling = {
  half_edge: true,
  auth_path: 'auths',
  path: 'sibling.sock',
  cache: { ...cache, am_initializer: false, stop_child: true },
};

describe('actor-ipc relay', function () {
  this.timeout(180_000);
  const place = scratch();
  const write = (name: string, config: object | string) => {
    mkdirSync(place.folder, { recursive: true });
    const file = join(place.folder, name);
    writeFileSync(file, typeof config === 'string' ? config : JSON.stringify(config));
    return file;
  };
  after(() => place.remove());

  it('runs a relay and the sibling that it names, and starts that again when it was killed (D17)', async () => {
    write('sibling.conf', sibling);
    const file = write('relay.conf', `// a relay\n${JSON.stringify(relay)}`);
    const run = new Command(['relay', file, '--workspace', place.workspace], place.env);
    await run.sees(/token_path: has no effect here/);
    await run.sees(/relay relay is whole/);
    const from = run.output.length;
    process.kill(Number((await run.sees(/sibling started as process (\d+)/))[1]), 'SIGKILL');
    const [degraded] = await run.sees(/relay relay is degraded/, from);
    await run.sees(/sibling started as process \d+ \(start 2\)/, from);
    await run.sees(/relay relay is whole/, run.output.indexOf(degraded, from));
    run.signal('SIGINT');
    assert.equal((await run.ended).code, 0);
  });

  it('starts a relay that was killed with what it knew: the records and the deletes', async () => {
    mkdirSync(place.folder, { recursive: true });
    const path = join(place.folder, 'front.sock');
    const file = write('alone.conf', { edge_supported_relay: true, path, path_types: { auths: { cache } } });
    const run = new Command(['relay', file, '--workspace', place.workspace], place.env);
    const pid = Number((await run.sees(/relay started as process (\d+)/))[1]);
    await run.sees(/relay relay is whole/);
    const nodes = new Nodes();
    try {
      // Two that know nothing of each other's writes: the second one has never had them.
      const open = async (node: string) => {
        const member = await nodes.connected({ node, endpoint: { path } });
        return RelayDownstream.open(member, { seed: BigInt(cache.seed) });
      };
      const first = await open('first');
      for (const key of ['kept', 'gone']) await first.put(key, entry(key), signal());
      await first.forget('gone', stone(), signal());
      await first.close();
      const from = run.output.length;
      process.kill(pid, 'SIGKILL');
      await run.sees(/relay relay is whole/, from);
      const second = await open('second');
      assert.equal(said(await second.ask('kept', signal())), 'kept');
      assert.equal(said(await second.ask('gone', signal())), 'deleted');
    } finally {
      await nodes.close();
    }
    const status = await command(['status', '--workspace', place.workspace], place.env);
    assert.match(status.output, /table-relay +\d+ +1 +20000/);
    run.signal('SIGINT');
    assert.equal((await run.ended).code, 0);
  });

  it('takes hooks in TypeScript', async () => {
    write('sibling.conf', sibling);
    write(
      'hooks.ts',
      'export const admit = (node: string): boolean => {\n  console.log("admits", node satisfies string);\n  return true;\n};\n',
    );
    const file = write('hooked.conf', { ...relay, hooks: './hooks.ts' });
    const run = new Command(['relay', file, '--workspace', place.workspace], place.env);
    await run.sees(/admits sibling/);
    await run.sees(/relay relay is whole/);
    run.signal('SIGINT');
    assert.equal((await run.ended).code, 0);
  });

  it('ends with 2 and says what is wrong', async () => {
    const misspelt = await command(['relay', write('bad.conf', { edge_suported_relay: true })], place.env);
    assert.equal(misspelt.code, 2);
    assert.match(misspelt.output, /did you mean edge_supported_relay/);
    const alone = await command(['relay', write('sibling-alone.conf', sibling)], place.env);
    assert.equal(alone.code, 2);
    assert.match(alone.output, /relay: is missing/);
    const named = await command(['relay', write('relay.json', relay)], place.env);
    assert.equal(named.code, 2);
    assert.match(named.output, /is named \*\.conf/);
  });
});
