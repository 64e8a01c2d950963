// What is built of kinds: remote calls that happen at most once, relays, batches, repeated calls.
import { assert } from 'chai';
import {
  collector,
  type Io,
  listener,
  type Sender,
  server,
  service,
} from '../../../src/actors/kinds/kinds.ts';
import { stage, turns } from '../../support/kinds/stage.ts';

describe('an at-most-once server', () => {
  type Request = { type: 'request'; client: string; number: number; op: string };
  type Reply = { type: 'reply'; number: number; result: string };

  /** Executes each numbered request of a client once; the last reply of each is kept and sent again. */
  const replica = server(
    async ({
      inbox,
      spawn,
      select,
      input,
    }: Io<{ messages: Request; input: { execute(op: string): Promise<string>; reply: Sender<Reply> } }>) => {
      const execution = collector(async ({ input: op }: Io<{ input: string }>) => input.execute(op), {
        name: 'execution',
      });
      const last = new Map<string, { number: number; reply?: Reply }>();
      let executed = 0;
      for await (const { client, number, op } of inbox) {
        const entry = last.get(client);
        if (entry && number < entry.number) continue;
        if (entry?.number === number) {
          if (entry.reply) await input.reply.send(entry.reply);
          continue;
        }
        last.set(client, { number });
        executed++;
        const { value } = await select({ done: spawn(execution, op).joined });
        const reply: Reply = { type: 'reply', number, result: value };
        last.set(client, { number, reply });
        await input.reply.send(reply);
      }
      return { executed };
    },
    { name: 'replica' },
  );

  it('executes a request once, repeats its reply, and ignores older ones (B09)', async () => {
    const { start } = stage();
    const replies: Reply[] = [];
    const ops: string[] = [];
    const running = start(replica, {
      execute: async (op) => {
        ops.push(op);
        return `did ${op}`;
      },
      reply: {
        trySend: (reply) => replies.push(reply) > 0,
        send: async (reply) => void replies.push(reply),
      },
    });
    const request = (number: number, op: string) =>
      running.trySend({ type: 'request', client: 'c', number, op });
    for (let time = 0; time < 3; time++) request(2, 'write');
    request(1, 'older');
    running.close();
    assert.deepEqual(await running.join(), { executed: 1 });
    assert.deepEqual(ops, ['write']);
    assert.deepEqual(replies, Array(3).fill({ type: 'reply', number: 2, result: 'did write' }));
  });
});

describe('a listener with malformed input', () => {
  it('counts and drops it, and goes on (B12)', async () => {
    type Packet = { type: 'packet'; value: number };
    const { start } = stage();
    let malformed = 0;
    const parsing = listener(async ({ input, emit }: Io<{ input: string[]; emitted: Packet }>) => {
      for (const text of input) {
        let value: number;
        try {
          ({ value } = JSON.parse(text));
        } catch {
          malformed++;
          continue;
        }
        await emit({ type: 'packet', value });
      }
    });
    const running = start(parsing, ['{"value":1}', '{"val', '\u0000', '{"value":2}']);
    const seen: number[] = [];
    for await (const { value } of running.stream()) seen.push(value);
    assert.deepEqual([seen, malformed], [[1, 2], 2]);
    await running.join();
  });
});

describe('two kinds that share one transport', () => {
  type Ping = { type: 'ping'; to: 'a' | 'b'; n: number };
  type Pong = { type: 'pong'; from: 'a' | 'b'; n: number };
  const player = (who: 'a' | 'b') =>
    collector(
      async ({ inbox, input }: Io<{ messages: Ping; input: Sender<Pong> }>) => {
        const seen: number[] = [];
        while (seen.length < 3) {
          const { n } = await inbox.receive();
          seen.push(n);
          // The transport takes more than this kind can say.
          await input.send({ type: 'pong', from: who, n });
        }
        return seen;
      },
      { name: who },
    );

  it('each see only their messages, which the parent hands on (B14)', async () => {
    const { start } = stage();
    const sent: (Pong | { type: 'other' })[] = [];
    const transport: Sender<Pong | { type: 'other' }> = {
      trySend: (message) => sent.push(message) > 0,
      send: async (message) => void sent.push(message),
    };
    const parent = start(
      collector(
        async ({ inbox, spawn, input }: Io<{ messages: Ping; input: Sender<Pong | { type: 'other' }> }>) => {
          const children = { a: spawn(player('a'), input), b: spawn(player('b'), input) };
          for (let n = 0; n < 6; n++) {
            const ping = await inbox.receive();
            await children[ping.to].send(ping);
          }
          return Promise.all([children.a.join(), children.b.join()]);
        },
      ),
      transport,
    );
    for (let n = 0; n < 6; n++) parent.trySend({ type: 'ping', to: n % 2 === 0 ? 'a' : 'b', n });
    assert.deepEqual(await parent.join(), [
      [0, 2, 4],
      [1, 3, 5],
    ]);
    assert.sameMembers(
      sent.map((message) => (message.type === 'pong' ? `${message.from}${message.n}` : '')),
      ['a0', 'b1', 'a2', 'b3', 'a4', 'b5'],
    );
  });
});

describe('a batching collector', () => {
  type Item = { type: 'item'; n: number };

  it('takes what comes until the permit is there or the batch is full', async () => {
    const { start, clock } = stage();
    const batching = start(
      collector(async ({ inbox, select, timer }: Io<{ messages: Item }>) => {
        const batch = [(await inbox.receive()).n];
        const permit = timer(10);
        while (batch.length < 100) {
          const got = await select({ item: inbox, permit });
          if (got.from === 'permit') break;
          batch.push(got.value.n);
        }
        return batch;
      }),
    );
    for (const n of [1, 2, 3]) batching.trySend({ type: 'item', n });
    await turns();
    clock.advance(10);
    assert.deepEqual(await batching.join(), [1, 2, 3]);
  });
});

describe('a closed-loop workload', () => {
  it('asks again and again until its time is over, and asks again what got no reply in time', async () => {
    const { start, clock } = stage();
    let asked = 0;
    const echo = service(
      async (n: number, { sleep }) => {
        // The first one is lost.
        await sleep(++asked === 1 ? 1_000 : 1);
        return n;
      },
      { name: 'echo', concurrency: 8 },
    );
    const workload = collector(
      async ({ spawn, now, timer }: Io<{ input: { forMs: number; retryMs: number } }>) => {
        const server = spawn(echo);
        const over = timer(200);
        const latencies: number[] = [];
        let retries = 0;
        while (!over.ready()) {
          const startedMs = now();
          for (;;) {
            const reply = await server.request(latencies.length, { timeoutMs: 50 }).catch(() => undefined);
            if (reply !== undefined) break;
            retries++;
          }
          latencies.push(now() - startedMs);
        }
        server.stop();
        await server.join();
        return { first: latencies[0], second: latencies[1], retries };
      },
    );
    const running = start(workload, { forMs: 200, retryMs: 50 });
    for (let ms = 0; ms < 1_100 && !running.ended; ms++) {
      await turns(1);
      clock.advance(1);
    }
    const { first, second, retries } = await running.join();
    assert.isAtLeast(first!, 50);
    assert.isBelow(second!, 50);
    assert.equal(retries, 1);
  });
});
