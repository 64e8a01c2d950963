// Messages, requests and handles as events of a machine, and a channel as the target of its sendTo.
import { closeSync, openSync } from 'node:fs';
import { assert } from 'chai';
import { sendTo } from 'xstate';
import {
  channel,
  channelTarget,
  defineUniverse,
  type Session,
  sessionOf,
  sessionSetup,
} from '../../src/index.ts';
import { isOpen } from '../support/descriptors.ts';
import { waitUntil } from '../support/wait-until.ts';
import { deferred } from './library.ts';
import { failureOf } from './office.ts';
import { Court, holder } from './pair.ts';

type Line = { type: 'line'; text: string };

const { echo } = defineUniverse('events', {
  echo: {
    allow: ['caller'],
    channels: {
      lines: channel<{
        up: Line;
        down: Line;
        requests: { upper: [string, string]; ignored: [string, string]; dialog: [string, string] };
      }>({ capacityBytes: 4096 }),
    },
  },
  caller: {},
});
const { caller } = defineUniverse('events', { echo: {}, caller: {} });

type AtCaller = Session<typeof echo, 'client'>;

describe('the events of a machine', () => {
  let court: Court;
  beforeEach(() => {
    court = new Court();
  });
  afterEach(() => court.close());

  async function open() {
    const seen: { request?: string | undefined; open?: boolean | undefined; fd?: number }[] = [];
    const machine = sessionSetup(echo, 'server', {
      actions: {
        note: ({ event }) => {
          if (event.type !== 'message.lines') return;
          const { request, handle } = event;
          seen.push({ request, open: handle?.open, ...(handle && { fd: handle.fd }) });
        },
        answer: ({ event, self }) => {
          if (event.type !== 'message.lines' || event.request === undefined) return;
          if (event.request !== 'ignored')
            sessionOf(echo, self).channels.lines.reply(event, event.message.toUpperCase());
        },
        closeHandle: ({ event }) => {
          if (event.type === 'message.lines' && event.request === undefined) event.handle?.close();
        },
        back: sendTo(
          ({ self }) => channelTarget(sessionOf(echo, self).channels.lines),
          ({ event }): Line => ({
            type: 'line',
            text: event.type === 'message.lines' && !event.request ? event.message.text : '',
          }),
        ),
      },
      guards: { isRequest: ({ event }) => event.type === 'message.lines' && event.request !== undefined },
    }).createMachine({
      on: {
        'message.lines': [
          { guard: 'isRequest', actions: ['note', 'answer'] },
          { actions: ['note', 'closeHandle', 'back'] },
        ],
      },
    });
    await court.runtime().serve(echo, machine);
    const { promise, resolve } = deferred<AtCaller>();
    court.runtime().connect(caller, echo, holder<AtCaller>(resolve));
    return { lines: (await promise).channels.lines, seen };
  }

  it('carry requests and their numbers, for one reply, for many and for dialogs', async () => {
    const { lines, seen } = await open();
    assert.equal(await lines.request('upper', 'a'), 'A');
    const replies: string[] = [];
    for await (const reply of lines.requestMany('upper', 'b')) replies.push(reply);
    assert.deepEqual(replies, ['B']);
    const dialog = lines.dialog('dialog', 'c');
    assert.equal(await dialog.receive(), 'C');
    assert.equal((await failureOf(dialog.receive())).code, 'ERR_DIALOG_CLOSED');
    assert.deepEqual(
      seen.map(({ request }) => request),
      ['upper', 'upper', 'dialog'],
    );
  });

  it('carry handles; that of a request is closed with it', async () => {
    const { lines, seen } = await open();
    const fd = openSync('/dev/null', 'r');
    await lines.send({ type: 'line', text: 'x' }, { handle: fd });
    assert.equal(await lines.request('upper', 'a', { handle: fd }), 'A');
    await failureOf(lines.request('ignored', 'a', { handle: fd, timeoutMs: 50 }));
    closeSync(fd);
    assert.deepEqual(
      seen.map(({ open }) => open),
      [true, true, true],
    );
    await waitUntil('all to be closed', () => seen.every((one) => !isOpen(one.fd!)));
  });

  it('go back by sendTo, as messages', async () => {
    const { lines } = await open();
    for (let n = 0; n < 200; n++) await lines.send({ type: 'line', text: `line ${n}` });
    for (let n = 0; n < 200; n++)
      assert.deepEqual(await lines.receive(), { type: 'line', text: `line ${n}` });
  });
});

describe('channelTarget()', () => {
  it('takes nothing once its channel has ended, and refuses what can not be sent', async () => {
    const court = new Court();
    const { atClient } = await court.play();
    const target = channelTarget(atClient.channels.balls);
    assert.throws(() => target.send({ type: 'x'.repeat(20_000) } as never), /above its limit/);
    atClient.close();
    await waitUntil('the end', () => !atClient.channels.balls.open);
    target.send({ type: 'late' } as never);
    await court.close();
  });
});
