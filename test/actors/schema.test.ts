// Schemas: what does not fit is refused where it is sent, and rejected where it arrives.
import { assert } from 'chai';
import { z } from 'zod';
import { channel, type IpcError, type Stray } from '../../src/index.ts';
import { codecs, packPlain } from '../../src/transport/codec.ts';
import { recordKind } from '../../src/transport/record.ts';
import { waitUntil } from '../support/wait-until.ts';
import { type AtCaller, type AtDesk, failureOf, office, openOffice } from './office.ts';
import { Court, holder } from './pair.ts';
import { RawClient } from './raw-client.ts';

function errorOf(call: () => unknown): IpcError {
  try {
    call();
  } catch (error) {
    return error as IpcError;
  }
  return assert.fail('it succeeded');
}

describe('a channel with schemas', () => {
  let court: Court;
  let atDesk: AtDesk;
  let atCaller: AtCaller;
  beforeEach(async () => {
    court = new Court();
    ({ atDesk, atCaller } = await openOffice(court));
  });
  afterEach(() => court.close());

  it('carries what fits', async () => {
    const { orders } = atCaller.channels;
    orders.trySend({ id: 1, side: 'buy' });
    assert.deepEqual(await atDesk.channels.orders.receive(), { id: 1, side: 'buy' });
    atDesk.channels.orders.onRequest('place', ({ id }) => ({ filled: id > 1 }));
    assert.deepEqual(await orders.request('place', { id: 2, side: 'sell' }), { filled: true });
  });

  it('refuses to send what does not fit, and says where', async () => {
    const { orders } = atCaller.channels;
    const wrong = { id: 1.5, side: 'buy' } as const;
    const error = errorOf(() => orders.trySend(wrong));
    assert.equal(error.code, 'ERR_MESSAGE_REJECTED');
    assert.match(error.message, /a message on channel orders does not fit its schema: id: /);
    assert.equal((await failureOf(orders.send(wrong))).code, 'ERR_MESSAGE_REJECTED');
    assert.equal((await failureOf(orders.request('place', wrong))).code, 'ERR_MESSAGE_REJECTED');
    assert.equal(
      (await failureOf(orders.requestMany('watch', 'x' as never).next())).code,
      'ERR_MESSAGE_REJECTED',
    );
    assert.equal(orders.stats().sent, 0);
  });

  it('does not let a handler answer with what does not fit; the asker gets the cause', async () => {
    atDesk.channels.orders.onRequest('place', () => ({ filled: 'yes' }) as never);
    const failure = await failureOf(atCaller.channels.orders.request('place', { id: 1, side: 'buy' }));
    assert.equal(failure.code, 'ERR_REQUEST_FAILED');
    assert.equal(failure.cause?.code, 'ERR_MESSAGE_REJECTED');
    assert.match(failure.message, /filled/);
  });

  it('checks each of many replies and each word of a dialog', async () => {
    atDesk.channels.orders.onRequest('watch', async function* () {
      yield 1;
      yield 2;
      yield 3;
    });
    const seen: number[] = [];
    const failure = await failureOf(
      (async () => {
        for await (const n of atCaller.channels.orders.requestMany('watch', 1)) seen.push(n);
      })(),
    );
    assert.deepEqual(seen, [1, 2]);
    assert.equal(failure.cause?.code, 'ERR_MESSAGE_REJECTED');
    atDesk.channels.orders.onDialog('haggle', async (price, dialog) => {
      await dialog.send(price + 1);
      await dialog.receive();
    });
    using dialog = atCaller.channels.orders.dialog('haggle', 5);
    assert.equal(await dialog.receive(), 6);
    assert.equal((await failureOf(dialog.send('seven' as never))).code, 'ERR_MESSAGE_REJECTED');
  });

  it('refuses everything where a schema answers later or throws', async () => {
    const { odd } = atCaller.channels;
    assert.match(errorOf(() => odd.trySend('x')).message, /a broken schema/);
    assert.match((await failureOf(odd.request('late', 1))).message, /asynchronous/);
  });

  it('is made of Standard Schemas only', () => {
    assert.match(errorOf(() => channel({ schema: { up: {} as never } })).message, /up is no Standard Schema/);
    assert.match(
      errorOf(() => channel({ schema: { requests: { ask: [z.number(), 7 as never] } } })).message,
      /reply of ask is no Standard Schema/,
    );
    assert.match(errorOf(() => channel({ schema: { upp: z.number() } as never })).message, /did you mean up/);
  });
});

describe('a peer that does not check what it sends', () => {
  let court: Court;
  let client: RawClient;
  beforeEach(() => {
    court = new Court();
  });
  afterEach(async () => {
    client.close();
    await court.close();
  });

  it('has it rejected and counted, and loses nothing else', async () => {
    let atDesk: AtDesk | undefined;
    await court.runtime().serve(
      office.desk,
      holder<AtDesk>((session) => {
        atDesk = session;
      }),
    );
    client = new RawClient(court, office.desk, 'caller');
    await client.logIn();
    await waitUntil('the session', () => atDesk !== undefined);
    const { orders } = atDesk!.channels;
    const seen: unknown[] = [];
    const strays: Stray[] = [];
    orders.onStray((stray) => strays.push(stray));
    orders.onBatch((batch) => seen.push(...batch));
    orders.onRequest('place', () => ({ filled: true }));
    const lane = client.lane('orders');
    const encoder = codecs.msgpack.encoder();
    let told = 0;
    const write = (kind: number, value: unknown) => {
      if (kind === recordKind.request) {
        const bytes = packPlain(value);
        lane.writeNumbered(kind, 0, 1, bytes, bytes.length);
      } else {
        encoder.encode(value);
        const bytes = Uint8Array.from(encoder.buffer.subarray(encoder.start, encoder.start + encoder.length));
        for (; told < encoder.structures.length; told++) {
          const shape = packPlain([told, encoder.structures[told]]);
          lane.write(recordKind.structure, 0, shape, shape.length);
        }
        lane.write(kind, 0, bytes, bytes.length);
      }
      lane.publish();
      client.ring();
    };
    write(recordKind.message, { id: 'one' });
    await waitUntil('the rejection', () => strays.length === 1);
    write(recordKind.request, ['place', { id: 1, side: 'keep' }]);
    await waitUntil('the second', () => strays.length === 2);
    write(recordKind.message, { id: 3, side: 'buy', more: true });
    await waitUntil('what fits', () => seen.length === 1);
    // As the schema gives it back.
    assert.deepEqual(seen, [{ id: 3, side: 'buy' }]);
    assert.equal(orders.stats().rejected, 2);
    assert.deepEqual(
      strays.map((stray) => stray.type === 'message.rejected' && [stray.request, stray.error.code]),
      [
        [undefined, 'ERR_MESSAGE_REJECTED'],
        ['place', 'ERR_MESSAGE_REJECTED'],
      ],
    );
    // A reply that fits its answerer's idea of it, and not ours.
    const call = failureOf(orders.request('place', { id: 1, side: 'buy' }));
    const reply = packPlain({ filled: 1 });
    lane.writeNumbered(recordKind.reply, 0, 1, reply, reply.length);
    lane.publish();
    client.ring();
    assert.equal((await call).code, 'ERR_MESSAGE_REJECTED');
    assert.equal(orders.stats().rejected, 3);
  });
});
