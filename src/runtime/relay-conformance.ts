// Relay conformance: what every mode of a relay must do alike, as tests for whatever framework. It needs nothing but Node's own
// assertions, since those who write an engine of their own run it, too. Part of the entry `actor-ipc/test`.
import { strict as assert } from 'node:assert';
import { setTimeout as pause } from 'node:timers/promises';
import { IpcError } from '../errors.ts';
import type { Relay } from '../spec/relay.ts';

/** What tests are declared with: mocha, vitest, jest and `node:test` have all of it. */
export interface TestFramework {
  /** A group of tests. */
  describe(name: string, body: () => void): unknown;
  /** One test. */
  it(name: string, body: () => void | Promise<void>): unknown;
  /** Before each test of the group. */
  beforeEach(body: () => Promise<void>): unknown;
  /** After each, whatever came of it. */
  afterEach(body: () => Promise<void>): unknown;
}

/** What is tested. */
export interface RelayBench {
  /** Another node of the same relay, connected. Names are those of nodes. */
  node(name: string): Promise<Relay>;
  /** Closes all of it. */
  close(): Promise<void>;
}

/** How often a condition is looked at, and how long: not times that anything is expected to take. */
const lookMs = 5;
const watchdogMs = 40_000;

/**
 * Describes what a relay of every mode must do: to somebody's own transport or engine below `Relay`, it is the test.
 * @param open makes a hub, or the like, for one test.
 * @param framework where the tests are to be declared.
 */
export function relayConformance(
  name: string,
  open: () => Promise<RelayBench>,
  { describe, it, beforeEach, afterEach }: TestFramework,
): void {
  describe(`a relay: ${name}`, () => {
    let bench: RelayBench;
    let a: Relay;
    let b: Relay;
    beforeEach(async () => {
      bench = await open();
      a = await bench.node('a');
      b = await bench.node('b');
    });
    afterEach(() => bench.close());

    describe('publish and subscribe', () => {
      it('hands on to all who have subscribed, in order, and not back to the one who said it', async () => {
        const heard: unknown[] = [];
        const echo: unknown[] = [];
        await a.subscribe('news', (message) => echo.push(message));
        await b.subscribe('news', (message, from) => heard.push([message, from]));
        for (let i = 0; i < 100; i++) a.publish('news', i);
        await waitUntil('all messages', () => heard.length === 100);
        assert.deepStrictEqual(
          heard,
          Array.from({ length: 100 }, (_, i) => [i, 'a']),
        );
        assert.deepStrictEqual(echo, []);
      });

      it('hands on nothing after the release', async () => {
        const heard: unknown[] = [];
        const one = await b.subscribe('news', (message) => heard.push(message));
        await b.subscribe('other', (message) => heard.push(message));
        one.release();
        // The release has come to the hub before what is asked after it.
        await b.nodes();
        a.publish('news', 1);
        a.publish('other', 2);
        await waitUntil('the other message', () => heard.length > 0);
        assert.deepStrictEqual(heard, [2]);
      });

      it('keeps values as they are: texts with braces, bytes, large numbers, nothing', async () => {
        const heard: unknown[] = [];
        const values = [
          '}{',
          'ü\0€',
          new Uint8Array([0, 255]),
          2 ** 53 - 1,
          null,
          { deep: [{ '}{': '{}' }] },
        ];
        await b.subscribe('news', (message) => heard.push(message));
        for (const value of values) a.publish('news', value);
        await waitUntil('all messages', () => heard.length === values.length);
        assert.deepStrictEqual(
          heard.map((each) => (each instanceof Uint8Array ? new Uint8Array(each) : each)),
          values,
        );
      });

      it('refuses a message that no frame can hold', () => {
        try {
          a.publish('news', new Uint8Array(2 * 1024 * 1024));
          // A relay without frames takes it.
          assert.strictEqual(a.mode, 'local');
        } catch (error) {
          assert.strictEqual((error as IpcError).code, 'ERR_MESSAGE_TOO_LARGE');
        }
      });

      it('has no topic without a name, and none of a page of text', async () => {
        assert.strictEqual(await codeOf(a.subscribe('', () => {})), 'ERR_OPTIONS_INVALID');
        assert.throws(() => a.publish('x'.repeat(300), 1), /1 to 255/);
      });
    });

    describe('request and serve', () => {
      it('answers each request with what the handler gives, and says who asks', async () => {
        await b.serve('double', async (body, { from }) => [(body as number) * 2, from]);
        assert.deepStrictEqual(await Promise.all([1, 2, 3].map((n) => a.request('double', n))), [
          [2, 'a'],
          [4, 'a'],
          [6, 'a'],
        ]);
      });

      it('tells the asker what the handler has thrown', async () => {
        await b.serve('fails', () => {
          throw new Error('no tea today');
        });
        await b.serve('refuses', () => {
          throw IpcError.of('ERR_REFUSED', 'tea', 'it is late');
        });
        const failed = a.request('fails');
        assert.strictEqual(await codeOf(failed), 'ERR_REQUEST_FAILED');
        await failed.catch((error) => assert.match(error.message, /no tea today/));
        assert.strictEqual(await codeOf(a.request('refuses')), 'ERR_REFUSED');
      });

      it('says at once that nobody serves it', async () => {
        assert.strictEqual(
          await codeOf(a.request('nothing', 1, { timeoutMs: 10_000 })),
          'ERR_RELAY_UNAVAILABLE',
        );
      });

      it('gives up in time, and tells the handler', async () => {
        let gaveUp = false;
        await b.serve(
          'slow',
          (_, { signal }) =>
            new Promise((resolve) => {
              signal.addEventListener('abort', () => {
                gaveUp = true;
                resolve(null);
              });
            }),
        );
        assert.strictEqual(await codeOf(a.request('slow', 1, { timeoutMs: 30 })), 'ERR_TIMEOUT');
        await waitUntil('the handler', () => gaveUp);
      });

      it('gives up by a signal, with its reason', async () => {
        await b.serve('slow', () => new Promise(() => {}));
        const reason = new Error('enough');
        const abort = new AbortController();
        const asked = a.request('slow', 1, { signal: abort.signal });
        abort.abort(reason);
        assert.strictEqual(await asked.catch((error) => error), reason);
      });

      it('gives the requests of a group to its members in turn', async () => {
        const c = await bench.node('c');
        await b.serve('work', () => 'b', { group: 'workers' });
        await c.serve('work', () => 'c', { group: 'workers' });
        const by = await Promise.all([1, 2, 3, 4].map((n) => a.request('work', n)));
        assert.deepStrictEqual([...by].sort(), ['b', 'b', 'c', 'c']);
      });

      it('finds the one node that is asked for', async () => {
        const c = await bench.node('c');
        for (const each of [b, c]) await each.serve('who', () => each.node);
        assert.strictEqual(await a.request('who', null, { to: 'c' }), 'c');
        assert.strictEqual(await a.request('who', null, { to: 'b' }), 'b');
        assert.strictEqual(await codeOf(a.request('who', null, { to: 'z' })), 'ERR_RELAY_UNAVAILABLE');
      });

      it('refuses a second group for the same service, and the same service twice', async () => {
        await b.serve('work', () => 1, { group: 'x' });
        assert.strictEqual(await codeOf(a.serve('work', () => 1, { group: 'y' })), 'ERR_REFUSED');
        assert.strictEqual(await codeOf(b.serve('work', () => 1)), 'ERR_REFUSED');
      });

      it('fails what was asked of a node that has gone', async () => {
        await b.serve('slow', () => new Promise(() => {}));
        const asked = a.request('slow', 1, { timeoutMs: 10_000 });
        await a.nodes();
        await b.close();
        assert.strictEqual(await codeOf(asked), 'ERR_RELAY_UNAVAILABLE');
      });
    });

    describe('a lease', () => {
      it('has one holder, and a greater token for each next one', async () => {
        const first = await a.lease('leader', { ttlMs: 10_000 });
        assert.strictEqual(await codeOf(b.lease('leader')), 'ERR_LEASE_HELD');
        await first.release();
        const second = await b.lease('leader');
        assert.ok(second.token > first.token);
        assert.strictEqual(first.signal.aborted, true);
        assert.strictEqual(second.signal.aborted, false);
      });

      it('is kept by renewal', async () => {
        const lease = await a.lease('leader', { ttlMs: 60 });
        const untilMs = performance.now() + 200;
        await waitUntil('some renewals', () => performance.now() > untilMs);
        assert.strictEqual(await codeOf(b.lease('leader')), 'ERR_LEASE_HELD');
        await lease.release();
      });

      it('protects a write from a holder that has been replaced', async () => {
        const old = await a.lease('leader', { ttlMs: 10_000 });
        const table = a.kv('settings');
        await table.put('k', 1, { lease: old });
        await old.release();
        const next = await b.lease('leader');
        await b.kv('settings').put('k', 2, { lease: next });
        assert.strictEqual(await codeOf(table.put('k', 3, { lease: old })), 'ERR_LEASE_LOST');
        assert.strictEqual((await table.get('k'))?.value, 2);
      });
    });

    describe('a table of keys', () => {
      it('keeps what was put, with a revision that goes up', async () => {
        const table = a.kv('settings');
        assert.strictEqual(await table.get('color'), undefined);
        const first = await table.put('color', { is: 'red' });
        const second = await b.kv('settings').put('color', { is: 'blue' });
        assert.ok(second > first);
        assert.deepStrictEqual(await table.get('color'), { value: { is: 'blue' }, revision: second });
        assert.deepStrictEqual(await table.keys(), ['color']);
        await table.delete('color');
        assert.strictEqual(await table.get('color'), undefined);
      });

      it('writes only what has not changed, if asked to', async () => {
        const table = a.kv('settings');
        const revision = await table.create('n', 1);
        assert.strictEqual(await codeOf(table.create('n', 1)), 'ERR_KV_CONFLICT');
        await b.kv('settings').update('n', 2, revision);
        assert.strictEqual(await codeOf(table.update('n', 3, revision)), 'ERR_KV_CONFLICT');
        assert.strictEqual(await codeOf(table.delete('n', { revision })), 'ERR_KV_CONFLICT');
        assert.strictEqual(await codeOf(table.update('missing', 3, revision)), 'ERR_KV_CONFLICT');
        assert.strictEqual((await table.get('n'))?.value, 2);
      });

      it('loses no count to those who count at once', async () => {
        await a.kv('settings').create('n', 0);
        const count = async (relay: Relay) => {
          for (let done = 0; done < 20; ) {
            const { value, revision } = (await relay.kv('settings').get('n'))!;
            try {
              await relay.kv('settings').update('n', (value as number) + 1, revision);
              done++;
            } catch (error) {
              assert.strictEqual((error as IpcError).code, 'ERR_KV_CONFLICT');
            }
          }
        };
        await Promise.all([count(a), count(b), count(a)]);
        assert.strictEqual((await a.kv('settings').get('n'))?.value, 60);
      });

      it('tells those who watch', async () => {
        const seen: unknown[] = [];
        await b.kv('settings').watch((key, entry) => seen.push([key, entry?.value]));
        await a.kv('settings').put('x', 1);
        await a.kv('other').put('y', 1);
        await a.kv('settings').delete('x');
        await waitUntil('both changes', () => seen.length === 2);
        assert.deepStrictEqual(seen, [
          ['x', 1],
          ['x', undefined],
        ]);
      });

      it('refuses a value that is not small', async () => {
        assert.strictEqual(
          await codeOf(a.kv('settings').put('k', 'x'.repeat(100_000))),
          'ERR_MESSAGE_TOO_LARGE',
        );
      });
    });

    it('keeps blobs that are larger than a message', async () => {
      const bytes = Uint8Array.from({ length: 3_000_000 }, (_, i) => (i * 31) & 0xff);
      await a.blobs.put('picture', bytes);
      const got = await b.blobs.get('picture');
      assert.strictEqual(Buffer.compare(got!, bytes), 0);
      await b.blobs.put('picture', new Uint8Array(0));
      assert.strictEqual((await a.blobs.get('picture'))!.length, 0);
      await a.blobs.delete('picture');
      assert.strictEqual(await b.blobs.get('picture'), undefined);
    });

    it('lists its nodes', async () => {
      const names = async () =>
        (await a.nodes()).filter(({ connected }) => connected).map(({ node }) => node);
      assert.deepStrictEqual((await names()).filter((name) => name === 'a' || name === 'b').sort(), [
        'a',
        'b',
      ]);
      await b.close();
      await waitUntil('b is gone', () => b.status === 'closed');
      const untilMs = performance.now() + 10_000;
      while ((await names()).includes('b')) assert.ok(performance.now() < untilMs, 'b is still listed');
    });

    it('can be waited for', async () => {
      await a.connected();
      await a.close();
      assert.strictEqual(await codeOf(a.connected({ timeoutMs: 10 })), 'ERR_RELAY_CLOSED');
    });

    it('refuses everything once it is closed', async () => {
      await a.close();
      await a.close();
      assert.strictEqual(a.status, 'closed');
      assert.strictEqual(await codeOf(a.request('x')), 'ERR_RELAY_CLOSED');
      assert.strictEqual(await codeOf(a.subscribe('x', () => {})), 'ERR_RELAY_CLOSED');
      assert.throws(() => a.publish('x', 1), /closed/);
    });
  });
}

async function waitUntil(what: string, condition: () => boolean): Promise<void> {
  const givenUpAt = performance.now() + watchdogMs;
  while (!condition()) {
    if (performance.now() > givenUpAt) throw new Error(`waited in vain: ${what}`);
    await pause(lookMs);
  }
}

async function codeOf(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
  } catch (error) {
    assert.ok(error instanceof IpcError, String(error));
    return error.code;
  }
  return 'nothing was thrown';
}
