import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { assert } from 'chai';
import { StopOrder } from '../../src/runtime/stop-order.ts';

describe('the order of stops, looked at from outside', () => {
  const started: ReturnType<typeof spawn>[] = [];
  afterEach(() => {
    for (const child of started.splice(0)) child.kill('SIGKILL');
  });

  function unit(name: string, dependsOn: Record<string, string> = {}) {
    const child = spawn('sleep', ['1000'], { stdio: 'ignore' });
    started.push(child);
    const end = async () => {
      child.kill('SIGKILL');
      await once(child, 'exit');
    };
    return { name, pid: child.pid!, dependsOn, end };
  }

  it('is right if whoever depends on another ends first', async () => {
    const [db, web] = [unit('db'), unit('web', { db: 'operative' })];
    const order = new StopOrder([db, web]);
    assert.deepEqual(order.look(), []);
    for (const each of [web, db]) {
      await each.end();
      assert.deepEqual(order.look(), []);
    }
  });

  it('is wrong if it does not, and that is told once', async () => {
    const [db, web] = [unit('db'), unit('web', { db: 'operative (bind)' })];
    const order = new StopOrder([db, web]);
    await db.end();
    assert.deepEqual(order.look(), ['db has ended before web, which depends on it']);
    assert.deepEqual(order.look(), []);
  });

  it('holds for all below a supervisor, on both ends of an edge', async () => {
    const one = unit('group/one');
    const two = unit('others/two');
    const group = { name: 'group', pid: null, dependsOn: {} };
    const others = { name: 'others', pid: null, dependsOn: { group: 'ready' } };
    const order = new StopOrder([group, one, others, two]);
    await one.end();
    assert.deepEqual(order.look(), ['group/one has ended before others/two, which depends on it']);
  });

  it('is nothing to those who only restart together, or exclude each other', async () => {
    const [a, b] = [unit('a'), unit('b', { a: '(partOf)' })];
    const order = new StopOrder([a, b]);
    await a.end();
    assert.deepEqual(order.look(), []);
  });
});
