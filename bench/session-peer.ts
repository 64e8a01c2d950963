// Session peer: one process of a pair that talks over a channel of actor-ipc, as a program of its users would.
import {
  type Arena,
  type Channel,
  channel,
  connect,
  defineUniverse,
  IpcError,
  serve,
  sessionOf,
  sessionSetup,
  type WithSession,
} from 'actor-ipc';
import { fromCallback, fromPromise } from 'xstate';
import { drive } from './driver.ts';
import { arenaBytesOf, type End, isInPlace, lentEnd, loanEnd, loansMax } from './in-place.ts';
import type { Figures } from './job.ts';
import { type Message, payloadOf, ringBytesOf } from './payload.ts';
import { endWithStarter, sayReady, tell, untilReady, workOf } from './peer.ts';
import type { Port } from './port.ts';
import { respond } from './responder.ts';

const { role, job } = workOf(process.argv);

const bench = defineUniverse('bench', {
  responder: {
    allow: ['driver'],
    arenaBytes: arenaBytesOf(job),
    channels: {
      data: channel<{ up: Message; down: Message }>({
        codec: job.payload === 'object' ? 'msgpack' : 'bytes',
        // What is lent stands elsewhere.
        ...(isInPlace(job)
          ? { maxMessageBytes: job.payload as number, maxLoans: loansMax }
          : { capacityBytes: ringBytesOf(job.payload) }),
      }),
    },
  },
  driver: {},
});

const limits = job.spinUs === undefined ? {} : { spinUs: job.spinUs };

endWithStarter();
if (role === 'responder') {
  await serve(bench.responder, responding(), limits);
  sayReady();
} else {
  await untilReady();
  const driver = await connect(
    bench.driver,
    bench.responder,
    driving((figures) => {
      tell(figures);
      void driver.stop().then(() => process.exit());
    }),
    limits,
  );
}

function responding() {
  return job.transport === 'session-events' ? respondingByEvents() : respondingByCalls();
}

/** Each message is an event of the machine. */
function respondingByEvents() {
  let handler: (message: unknown) => unknown = () => undefined;
  return sessionSetup(bench.responder, 'server', {
    actions: {
      begin: ({ self }) => {
        const { data } = sessionOf(bench.responder, self).channels;
        const send = batchPort(data as Channel<Message, Message>).send;
        const listen: Port['listen'] = (next) => {
          handler = next;
        };
        respond({ send, listen }, job);
      },
    },
  }).createMachine({
    entry: 'begin',
    on: { 'message.data': { actions: ({ event }) => void handler(event.message) } },
  });
}

function respondingByCalls() {
  return sessionSetup(bench.responder, 'server', {
    actors: {
      responder: fromCallback(({ input }) => {
        const { port, payload } = endOf(input.session.channels.data, () => input.session.arena);
        respond(port, job, undefined, payload);
      }),
    },
  }).createMachine({ invoke: { src: 'responder' } });
}

function driving(onDone: (figures: Figures) => void) {
  return sessionSetup(bench.responder, 'client', {
    actors: {
      driver: fromPromise<Figures, WithSession<typeof bench.responder, 'client'>>(({ input }) => {
        const { port, payload } = endOf(input.session.channels.data, () => input.session.arena);
        return drive(port, job, payload);
      }),
    },
  }).createMachine({
    initial: 'driving',
    states: {
      driving: {
        invoke: {
          src: 'driver',
          onDone: { target: 'done', actions: ({ event }) => onDone(event.output) },
          onError: { target: 'done', actions: ({ event }) => fail(event.error) },
        },
        on: { 'session.hosed': { actions: ({ event }) => fail(event.error) } },
      },
      done: {},
    },
  });
}

/** The runtime would log an error of this machine and open the next session; a measure has but one. */
function fail(error: unknown): never {
  console.error(error);
  process.exit(1);
}

/** A session has an arena only if something is lent in it. */
function endOf(data: Channel<Message, Message>, arena: () => Arena): End {
  switch (job.transport) {
    case 'loan':
    case 'loan-view':
      return loanEnd(data, job);
    case 'lent':
      return lentEnd(data, arena(), job);
    case 'session-await':
      return { port: awaitingPort(data), payload: payloadOf(job) };
    case 'session-borrow':
      return { port: borrowingPort(data), payload: payloadOf(job) };
    case 'session-into':
      return { port: intoPort(data, job.payload as number), payload: payloadOf(job) };
    default:
      return { port: batchPort(data), payload: payloadOf(job) };
  }
}

function batchPort(data: Channel<Message, Message>): Port {
  return {
    send: (message) => (data.trySend(message) ? undefined : data.send(message)),
    listen(handler) {
      data.onBatch((messages) => {
        for (const message of messages) handler(message);
      });
    },
  };
}

function borrowingPort(data: Channel<Message, Message>): Port {
  return {
    send: batchPort(data).send,
    listen(handler) {
      data.onBatch(
        (borrows) => {
          for (const borrow of borrows) {
            handler(borrow.bytes);
            borrow.release();
          }
        },
        { borrow: true },
      );
    },
  };
}

/** Each message is copied into the same memory. */
function intoPort(data: Channel<Message, Message>, sizeBytes: number): Port {
  const memory = new Uint8Array(sizeBytes);
  return {
    send: batchPort(data).send,
    async listen(handler) {
      try {
        for (;;) await handler(memory.subarray(0, await data.receiveInto(memory)));
      } catch (error) {
        if (!(error instanceof IpcError && error.code === 'ERR_CHANNEL_CLOSED')) fail(error);
      }
    },
  };
}

function awaitingPort(data: Channel<Message, Message>): Port {
  return {
    send: (message) => data.send(message),
    async listen(handler) {
      for await (const message of data) await handler(message);
    },
  };
}
