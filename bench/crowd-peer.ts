// Crowd peer: one process of a pair with many sessions between them, of which one is busy while the others are idle.
import { readFileSync } from 'node:fs';
import {
  type Channel,
  channel,
  connect,
  defineUniverse,
  type Participation,
  serve,
  sessionSetup,
} from 'actor-ipc';
import { fromCallback } from 'xstate';
import { drive } from './driver.ts';
import { median } from './histogram.ts';
import type { Figures } from './job.ts';
import { type Message, payloadOf } from './payload.ts';
import { endWithStarter, sayReady, tell, untilReady, workOf } from './peer.ts';
import type { Port } from './port.ts';
import { respond } from './responder.ts';

const { role, job } = workOf(process.argv);

/** What a session of the goal has: one channel with rings of this size. */
const ringBytes = 64 * 1024;

const bench = defineUniverse('crowd', {
  responder: {
    allow: ['driver'],
    channels: {
      data: channel<{ up: Message; down: Message }>({ codec: 'bytes', capacityBytes: ringBytes }),
    },
  },
  driver: {},
});

interface Opened {
  readonly port: Port;
  /** Of the responder. */
  readonly pid: number;
  readonly openMs: number;
  readonly part: Promise<Participation>;
}

endWithStarter();
if (role === 'responder') {
  await serve(bench.responder, responding());
  sayReady();
} else {
  await untilReady();
  const busy = await open();
  const { figures, parts } = await crowd(job.crowd, busy.pid);
  tell({ ...(await drive(busy.port, job)), ...figures });
  await Promise.all([busy.part, ...parts].map(async (part) => (await part).stop()));
  process.exit();
}

/** Opens that many sessions one after another, and leaves them idle. */
async function crowd(count: number, pid: number): Promise<{ figures: Figures; parts: Opened['part'][] }> {
  if (count === 0) return { figures: {}, parts: [] };
  const beforeKb = memoryKb(pid);
  const openings: Opened[] = [];
  while (openings.length < count) openings.push(await open());
  const openMs = openings.map((opening) => opening.openMs);
  const figures = { open: median(openMs), memory: (memoryKb(pid) - beforeKb) / count };
  return { figures, parts: openings.map(({ part }) => part) };
}

/** From `connect` until the machines of both sides have exchanged a message. */
async function open(): Promise<Opened> {
  const beganMs = performance.now();
  const { end, isEnd } = payloadOf(job);
  return new Promise((resolve) => {
    const connecting = connect(
      bench.driver,
      bench.responder,
      sessionSetup(bench.responder, 'client', {
        actors: {
          opener: fromCallback(({ input }) => {
            const { channels, peer } = input.session;
            const port = portOf(channels.data);
            port.listen((message) => {
              if (!isEnd(message)) throw new Error('the responder answered an end mark with something else');
              resolve({ port, pid: peer.pid, openMs: performance.now() - beganMs, part: connecting });
              return undefined;
            });
            port.send(end);
          }),
        },
      }).createMachine({
        invoke: { src: 'opener' },
        on: { 'session.hosed': { actions: ({ event }) => fail(event.error) } },
      }),
    );
  });
}

function responding() {
  return sessionSetup(bench.responder, 'server', {
    actors: {
      // One end mark more than of a measure alone: that of `open`.
      responder: fromCallback(({ input }) => respond(portOf(input.session.channels.data), job, -2)),
    },
  }).createMachine({ invoke: { src: 'responder' } });
}

function portOf(data: Channel<Message, Message>): Port {
  return {
    send: (message) => (data.trySend(message) ? undefined : data.send(message)),
    listen(handler) {
      data.onBatch((messages) => {
        for (const message of messages) handler(message);
      });
    },
  };
}

/** What a process holds of its own and of shared memory. */
function memoryKb(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const of = (name: string) => Number(new RegExp(`^${name}:\\s*(\\d+) kB`, 'm').exec(status)![1]);
  return of('RssAnon') + of('RssShmem');
}

function fail(error: unknown): never {
  console.error(error);
  process.exit(1);
}
