// Alone peer: what one process can do without anybody to talk to. The least that encoding an object, or one transition of
// the user's machine for each message, takes; the responder of the pair is only there because each pair has one.
import { createActor, setup } from 'xstate';
import { codecs } from '../src/transport/codec.ts';
import { Flow } from './flow.ts';
import { payloadOf } from './payload.ts';
import { endWithStarter, sayReady, tell, untilReady, workOf } from './peer.ts';

const { role, job } = workOf(process.argv);

endWithStarter();
if (role === 'responder') sayReady();
else {
  await untilReady();
  const one = job.transport === 'encoder' ? encoding() : transitions();
  flow(job.warmUpMs, one);
  tell(flow(job.measureMs, one));
  process.exit();
}

function flow(durationMs: number, one: (n: number) => void) {
  const clock = new Flow(durationMs, job.payload === 'object' ? undefined : job.payload);
  let n = 0;
  do one(n++);
  while (clock.count());
  return clock.figures();
}

function encoding(): (n: number) => void {
  const payload = payloadOf(job);
  const encoder = codecs.msgpack.encoder();
  return (n) => encoder.encode(payload.write(n));
}

function transitions(): (n: number) => void {
  const payload = payloadOf(job);
  const actor = createActor(
    setup({ types: { events: {} as { type: 'message.data'; message: unknown; n: number } } }).createMachine({
      on: { 'message.data': { actions: ({ event }) => payload.check(event.message, event.n) } },
    }),
  ).start();
  return (n) => actor.send({ type: 'message.data', message: payload.write(n), n });
}
