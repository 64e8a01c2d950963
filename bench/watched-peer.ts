// Watched peer: what it costs a process that somebody looks on. One machine turns on and off, hosted as all actors are; the responder of
// the pair is only there because each pair has one.
import { gzipSync } from 'node:zlib';
import { createActor, setup } from 'xstate';
import { addressOf } from '../src/names.ts';
import type { FeedRecord } from '../src/runtime/feed.ts';
import { Host } from '../src/runtime/host.ts';
import { RecordQueue } from '../src/runtime/record-queue.ts';
import { codecs } from '../src/transport/codec.ts';
import { FlightRecorder } from '../src/transport/flight-recorder.ts';
import { Flow } from './flow.ts';
import { endWithStarter, sayReady, tell, untilReady, workOf } from './peer.ts';

const { role, job } = workOf(process.argv);
/** As the feed of a child sends them. */
const batch = 100;
/** As a recording compresses them. */
const chunk = 5_000;

const lamp = setup({ types: { events: {} as { type: 'turn' } } }).createMachine({
  id: 'lamp',
  initial: 'dark',
  states: { dark: { on: { turn: 'bright' } }, bright: { on: { turn: 'dark' } } },
});

endWithStarter();
if (role === 'responder') sayReady();
else {
  await untilReady();
  const turn = job.transport === 'turn' ? alone() : hosted();
  flow(job.warmUpMs);
  tell(flow(job.measureMs));
  process.exit();

  function flow(durationMs: number) {
    const clock = new Flow(durationMs, 0);
    do turn();
    while (clock.count());
    return clock.figures();
  }
}

function alone(): () => void {
  const actor = createActor(lamp).start();
  return () => actor.send({ type: 'turn' });
}

function hosted(): () => void {
  const silent = { debug() {}, info() {}, warn() {}, error() {} };
  const host = new Host({ log: silent, recorder: new FlightRecorder() });
  const hosted = host.start(lamp, { address: addressOf('lamp') });
  const queue = new RecordQueue();
  const encoder = codecs.msgpack.encoder();
  let recorded: FeedRecord[] = [];
  if (job.transport !== 'turn-hosted')
    host.feed.watch((record) => {
      queue.push(record);
      if (queue.length < batch) return;
      const records = queue.take(batch);
      encoder.encode(records);
      if (job.transport !== 'turn-recorded') return;
      recorded.push(...records);
      if (recorded.length < chunk) return;
      gzipSync(JSON.stringify([0, { type: 'records', batches: [{ process: 'lamp#1', records: recorded }] }]));
      recorded = [];
    });
  return () => hosted.post({ type: 'turn' });
}
