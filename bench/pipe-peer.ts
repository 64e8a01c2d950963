// Pipe peer: two processes that put packets into one pipe, or two that take them. The driver and the responder of a pair
// each start a second one of their kind.
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { type Pipe, region } from 'actor-ipc';
import { Flow } from './flow.ts';
import type { Figures, Job } from './job.ts';
import { payloadOf } from './payload.ts';
import { endWithStarter, sayReady, tell, untilReady, type Work, workOf } from './peer.ts';

type Packet = Uint8Array;

const work = workOf(process.argv);
const { role, job } = work;
const second = process.argv[3] === 'second';
const usersOfAKind = 2;
const size = job.payload as number;
/** A packet of one byte ends a flow for the consumer that takes it. */
const end = Uint8Array.of(0);

endWithStarter();
// Before anything else: a line that nobody waits for is lost.
const ready = untilReady();
const shared = await region('bench', { bytes: 4 * 1024 * 1024 });
const data = await shared.pipe<Packet>('data', { capacityPackets: 4096, codec: 'bytes' });
/** How long the second producer shall put packets in. */
const flows = await shared.pipe<number>('flows', { capacityPackets: 4 });
/** What a producer has put in, a consumer has taken. */
const sent = await shared.pipe<number>('sent', { capacityPackets: 4 });
const taken = await shared.pipe<number>('taken', { capacityPackets: 4 });
/** A consumer that has met an end goes on with the next flow. */
const next = await shared.pipe<true>('next', { capacityPackets: 4 });
if (!second) startSecond(work);

if (role === 'responder') {
  if (!second) sayReady();
  for (;;) {
    await taken.enqueue(await takeFlow(data));
    await next.dequeue();
  }
} else if (second) {
  for (;;) await sent.enqueue(await putFlow(data, job, (await flows.dequeue())!));
} else {
  await ready;
  await measure(job.warmUpMs);
  tell(await measure(job.measureMs));
  process.exit();
}

async function measure(durationMs: number): Promise<Figures> {
  const beganMs = performance.now();
  await flows.enqueue(durationMs);
  const mine = await putFlow(data, job, durationMs);
  const put = mine + (await sent.dequeue())!;
  for (let i = 0; i < usersOfAKind; i++) await data.enqueue(end);
  let got = 0;
  for (let i = 0; i < usersOfAKind; i++) got += (await taken.dequeue())!;
  const tookMs = performance.now() - beganMs;
  for (let i = 0; i < usersOfAKind; i++) await next.enqueue(true);
  if (got !== put) throw new Error(`${put} packets went in and ${got} came out`);
  const messages = (got / tookMs) * 1e3;
  return { messages, megabytes: (messages * size) / 1e6 };
}

async function putFlow(pipe: Pipe<Packet>, { payload }: Job, durationMs: number): Promise<number> {
  const { write } = payloadOf(job);
  const clock = new Flow(durationMs, payload as number);
  let n = 0;
  do {
    const packet = write(n++) as Packet;
    if (!pipe.tryEnqueue(packet)) await pipe.enqueue(packet);
  } while (clock.count());
  return n;
}

function takeFlow(pipe: Pipe<Packet>): Promise<number> {
  return new Promise((resolve) => {
    let n = 0;
    const stop = pipe.onPacket((packet) => {
      if (packet.length > 1) n++;
      else {
        stop();
        resolve(n);
      }
    });
  });
}

function startSecond(mine: Work): void {
  const file = fileURLToPath(import.meta.url);
  const child = spawn(process.execPath, [...process.execArgv, file, JSON.stringify(mine), 'second'], {
    stdio: ['pipe', 'inherit', 'inherit'],
  });
  child.unref();
  process.on('exit', () => child.kill('SIGKILL'));
}
