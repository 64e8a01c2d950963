// The market example as a user runs it: a trader that is there while its feed listens, and whose successor knows what it had.

import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { fileURLToPath } from 'node:url';
import { assert } from 'chai';
import { waitUntil } from '../support/wait-until.ts';
import { Command, processesWith, scratch } from './command.ts';

const topology = fileURLToPath(new URL('../../examples/market/topology.ts', import.meta.url));

/** A port that nobody listens at. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

describe('the market example', function () {
  this.timeout(180_000);
  const place = scratch();
  let run: Command;

  before(async () => {
    const env = { ...place.env, FEED_PORT: String(await freePort()) };
    run = new Command(['run', topology, '--workspace', place.workspace], env);
    await waitUntil('the first order', () => /strategy \| (bought|sold) ACME/.test(run.output), 50_000);
  });
  after(async () => {
    run.signal('SIGKILL');
    await run.ended;
    place.remove();
  });

  const pidOf = (unit: string) =>
    Number([...run.output.matchAll(new RegExp(`${unit} started as process (\\d+)`, 'g'))].at(-1)![1]);
  /** The number of the last order, and of the units after it, of what was said before `to`. */
  const lastOrder = (to: number) =>
    [...run.output.slice(0, to).matchAll(/order (\d+), (-?\d+) units/g)].at(-1)!.slice(1).map(Number);

  it('has the trader begin when the feed listens', () => {
    assert.isBelow(run.output.indexOf('listens at port'), run.output.indexOf('trader started as process'));
    assert.include(run.output, 'begins with 0 units after 0 orders');
  });

  it('goes on with the position when the trader is killed', async () => {
    const from = run.output.length;
    process.kill(pidOf('trader'), 'SIGKILL');
    const [, units, orders] = await run.sees(/trader +\| begins with (-?\d+) units after (\d+) orders/, from);
    const [order, held] = lastOrder(run.output.indexOf('begins with', from));
    // An order that was kept, but whose reply was on its way when the trader died, is known to the next one alone.
    assert.include([order, order! + 1], Number(orders));
    if (order === Number(orders)) assert.equal(Number(units), held);
    await run.sees(/strategy \| goes on with -?\d+ units after \d+ orders/, from);
    await run.sees(/strategy \| (bought|sold)/, from);
  });

  it('goes on when the strategy is killed', async () => {
    const from = run.output.length;
    process.kill(pidOf('strategy'), 'SIGKILL');
    const [, orders] = await run.sees(/strategy \| goes on with -?\d+ units after (\d+) orders/, from);
    assert.isAbove(Number(orders), 0);
  });

  it('takes the trader down while the feed lives but does not listen, and up again with it', async () => {
    const from = run.output.length;
    process.kill(pidOf('feed'), 'SIGUSR1');
    await run.sees(/feed +\| takes nobody/, from);
    await run.sees(/trader: ended .*/, from);
    await run.sees(/feed +\| listens at port/, from);
    const back = run.output.indexOf('listens at port', from);
    await run.sees(/trader +\| begins with/, back);
    await run.sees(/strategy \| (bought|sold)/, back);
    assert.notMatch(run.output.slice(from), /feed started as process/);
  });

  it('does the same when the feed is killed', async () => {
    const from = run.output.length;
    process.kill(pidOf('feed'), 'SIGKILL');
    await run.sees(/feed started as process/, from);
    await run.sees(/feed +\| listens at port/, from);
    await run.sees(/strategy \| (bought|sold)/, run.output.indexOf('listens at port', from));
  });

  it('stops in order and leaves nothing', async () => {
    const from = run.output.length;
    run.signal('SIGINT');
    assert.equal((await run.ended).code, 0, run.output);
    const ended = [...run.output.slice(from).matchAll(/(\w+): ended /g)].map(([, unit]) => unit);
    assert.deepEqual(ended, ['strategy', 'trader', 'feed']);
    await waitUntil('no process of the tree', () => processesWith(place.folder).length === 0);
    assert.deepEqual(readdirSync(place.env.ACTOR_IPC_RUN_DIR!), []);
  });
});
