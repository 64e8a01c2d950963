// Broadcast peer: one process of a pair of which the driver publishes to all readers that the responder holds, each with a
// session of its own. Readers block, so that every one of them gets every message.
import { broadcast, channel, connect, defineUniverse, serve, sessionOf, sessionSetup } from 'actor-ipc';
import { Flow } from './flow.ts';
import type { Figures } from './job.ts';
import { type Message, payloadOf, ringBytesOf } from './payload.ts';
import { endWithStarter, sayReady, tell, untilReady, workOf } from './peer.ts';

const { role, job } = workOf(process.argv);
const readers = job.readers ?? 1;

const bench = defineUniverse('bench', {
  writer: {
    allow: ['reader'],
    channels: { marks: channel<{ up: number }>() },
    broadcasts: {
      data: broadcast<Message>({
        codec: job.payload === 'object' ? 'msgpack' : 'bytes',
        capacityBytes: ringBytesOf(job.payload),
        reader: 'block',
      }),
    },
  },
  reader: {},
});
const payload = payloadOf(job);
const limits = job.spinUs === undefined ? {} : { spinUs: job.spinUs };
/** How often the driver looks whether all readers are there. */
const lookMs = 5;

endWithStarter();
if (role === 'responder') {
  sayReady();
  const reconnect = { minMs: 20, maxMs: 50 };
  for (let i = 0; i < readers; i++)
    await connect(bench.reader, bench.writer, reading(), { ...limits, reconnect });
} else {
  await untilReady();
  await write();
}

async function write(): Promise<void> {
  let marks = 0;
  let onMark = () => {};
  const taking = sessionSetup(bench.writer, 'server', {
    actions: {
      take: ({ self }) =>
        sessionOf(bench.writer, self).channels.marks.onBatch((batch) => {
          marks += batch.length;
          onMark();
        }),
    },
  }).createMachine({ entry: 'take' });
  const serving = await serve(bench.writer, taking, limits);
  const { data } = serving.broadcasts;
  while (data.stats().readers < readers) await new Promise((resolve) => setTimeout(resolve, lookMs));

  const flow = async (durationMs: number): Promise<Figures> => {
    const clock = new Flow(durationMs, job.payload === 'object' ? undefined : job.payload);
    let n = 0;
    do {
      const message = payload.write(n++);
      if (!data.tryPublish(message)) await data.publish(message);
    } while (clock.count());
    const wanted = marks + readers;
    const taken = new Promise<void>((resolve) => {
      onMark = () => {
        if (marks === wanted) resolve();
      };
    });
    await data.publish(payload.end);
    await taken;
    return clock.figures();
  };
  await flow(job.warmUpMs);
  tell(await flow(job.measureMs));
  await serving.stop();
  process.exit();
}

function reading() {
  return sessionSetup(bench.writer, 'client', {
    actions: {
      read: ({ self }) => {
        const { broadcasts, channels } = sessionOf(bench.writer, self);
        let n = 0;
        broadcasts.data.onBatch((messages) => {
          for (const message of messages) {
            if (payload.isEnd(message)) {
              n = 0;
              channels.marks.trySend(1);
            } else payload.check(message, n++);
          }
        });
      },
    },
  }).createMachine({ entry: 'read' });
}
