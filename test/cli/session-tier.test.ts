// Sessions of several machines as they are meant to be used: session caches over relays, each node a process, some of which are
// killed or stopped.
import { setTimeout as pause } from 'node:timers/promises';
import { assert } from 'chai';
import { waitUntil } from '../support/wait-until.ts';
import { Command, fixture, scratch } from './command.ts';

/** How often the front ends are asked. */
const lookMs = 20;

describe('session caches of two front ends over two relays', function () {
  this.timeout(180_000);
  const place = scratch();
  let run: Command;
  const stopped = new Set<number>();

  before(async () => {
    run = new Command(
      ['run', fixture('session-tier.topology.ts'), '--workspace', place.workspace],
      place.env,
    );
    for (const name of ['north', 'south']) await both(name);
    for (const name of ['recent', 'old']) await run.sees(new RegExp(`sibling: link with ${name} is open`));
    await run.sees(/relay relay is whole/);
  });
  afterEach(() => {
    for (const pid of stopped) go(pid);
  });
  after(async () => {
    run.signal('SIGINT');
    assert.equal((await run.ended).code, 0);
    place.remove();
  });

  const urlOf = (name: string) =>
    [...run.output.matchAll(new RegExp(`${name} at (http://localhost:\\d+)`, 'g'))].at(-1)?.[1];
  async function order(name: string, what: string, key = '', value?: unknown): Promise<unknown> {
    const response = await fetch(urlOf(name)!, {
      method: 'POST',
      body: JSON.stringify({ what, key, value }),
    });
    const { answer, error } = (await response.json()) as { answer?: unknown; error?: string };
    assert.isUndefined(error);
    return answer;
  }
  /** As waitUntil, for what only the front ends can tell. */
  async function comes(what: string, there: () => Promise<boolean>, watchdogMs = 20_000): Promise<void> {
    for (const givenUpAt = performance.now() + watchdogMs; !(await there()); await pause(lookMs))
      if (performance.now() > givenUpAt) throw new Error(`waited in vain: ${what}\n${run.output}`);
  }
  const get = (name: string, key: string) => order(name, 'get', key);
  const set = async (name: string, key: string, value: unknown) =>
    assert.isTrue(await order(name, 'set', key, value));
  /** Until it hears both relays, and knows what they remember. */
  async function both(name: string): Promise<void> {
    await waitUntil(`${name} listens`, () => urlOf(name), 50_000);
    await comes(`${name} hears both relays`, async () => {
      const status = (await order(name, 'status').catch(() => [])) as string[];
      return status.join() === 'connected,connected';
    });
  }
  const pidOf = (name: string) =>
    Number([...run.output.matchAll(new RegExp(`${name} started as process (\\d+)`, 'g'))].at(-1)![1]);
  function stop(name: string): number {
    const pid = pidOf(name);
    process.kill(pid, 'SIGSTOP');
    stopped.add(pid);
    return pid;
  }
  function go(pid: number): void {
    process.kill(pid, 'SIGCONT');
    stopped.delete(pid);
  }
  /** Kills it; `meanwhile` goes on before it is back. */
  async function killed(name: string, meanwhile: () => Promise<void> = async () => {}): Promise<void> {
    const [pid, url] = [pidOf(name), urlOf(name)];
    process.kill(pid, 'SIGKILL');
    await meanwhile();
    await waitUntil(`${name} is back`, () => pidOf(name) !== pid && urlOf(name) !== (url ?? ''), 30_000);
  }

  it('what one sets, the other has without a question (D03)', async () => {
    await set('north', 'a', { user: 'ann' });
    await comes('it is at the other one', async () => (await get('south', 'a')) !== undefined);
    assert.deepEqual(await get('south', 'a'), { user: 'ann' });
    assert.equal(await get('south', 'nowhere'), undefined);
  });

  it('what has no room here or at the relays is found behind them (D04, D05, D08)', async () => {
    const keys = Array.from({ length: 150 }, (_, i) => `many-${i}`);
    for (const key of keys) await set('north', key, `v ${key}`);
    for (const key of keys) await comes(key, async () => (await get('south', key)) === `v ${key}`);
    const { asked, answered } = (await order('south', 'stats')) as Record<string, number>;
    assert.isAbove(asked!, 50);
    assert.isAbove(answered!, 50);
  });

  it('what one deletes is gone at the other, and behind the relays, and does not come back (D15)', async () => {
    await set('north', 'gone', 1);
    const deleted = (await order('south', 'delete', 'gone')) as { acknowledged: number; missing: string[] };
    assert.deepEqual(deleted.missing, []);
    // Both relays and, by each, the other front end; the sibling and two nodes behind it.
    assert.equal(deleted.acknowledged, 7);
    for (const name of ['north', 'south']) assert.equal(await get(name, 'gone'), undefined);
    const old = (await order('south', 'delete', 'many-0')) as { missing: string[] };
    assert.deepEqual(old.missing, []);
    for (const name of ['north', 'south']) assert.equal(await get(name, 'many-0'), undefined);
  });

  it('a front end that was killed hears of what was deleted meanwhile before it knows anybody', async () => {
    await set('north', 'meanwhile', 1);
    await comes('it is at the other one', async () => (await get('south', 'meanwhile')) === 1);
    await killed('south', async () => void (await order('north', 'delete', 'meanwhile')));
    await both('south');
    assert.equal(await get('south', 'meanwhile'), undefined);
    // What it had was kept by the root.
    assert.equal(await get('south', 'many-149'), 'v many-149');
  });

  it('goes on by the other relay while one is dead', async () => {
    const before = run.output.length;
    await killed('relay', async () => {
      await set('north', 'by-spare', 1);
      await comes('it is at the other one', async () => (await get('south', 'by-spare')) === 1);
    });
    await run.sees(/relay relay is whole/, before);
    for (const name of ['north', 'south']) await both(name);
    assert.equal(await get('south', 'many-120'), 'v many-120');
  });

  it('knows nobody once it has not heard a relay for too long, and tells it the deletes when it is back', async () => {
    for (const key of ['stale', 'closed']) {
      await set('north', key, 1);
      await comes('it is at the other one', async () => (await get('south', key)) === 1);
    }
    const pid = stop('relay');
    const { missing } = (await order('north', 'delete', 'stale')) as { missing: string[] };
    assert.lengthOf(missing, 1);
    assert.match(missing[0]!, /relay\.sock$/);
    assert.equal(await get('south', 'closed'), 1);
    await comes('it answers closed', async () => (await get('south', 'closed')) === undefined);
    go(pid);
    for (const name of ['north', 'south']) await both(name);
    await comes('it is known again', async () => (await get('south', 'closed')) === 1);
    assert.equal(await get('south', 'stale'), undefined);
  });

  it('a delete that its front end could not tell before it was killed is told by its next run', async () => {
    await set('north', 'untold', 1);
    await comes('it is at the other one', async () => (await get('south', 'untold')) === 1);
    const relays = [stop('relay'), stop('spare')];
    const { missing } = (await order('north', 'delete', 'untold')) as { missing: string[] };
    assert.lengthOf(missing, 2);
    await killed('north', async () => {
      for (const pid of relays) go(pid);
    });
    for (const name of ['north', 'south']) await both(name);
    await comes('it is gone', async () => (await get('south', 'untold')) === undefined);
  });
});
