// The camera: draws each picture into memory that its reader sees, as many as are wanted, and so many a second at most.
import { performance } from 'node:perf_hooks';
import { serve } from 'actor-ipc';
import { type InSession, type Io, server } from 'actor-ipc/kinds';
import { Meter } from './meter.ts';
import { draw } from './picture.ts';
import { frameBytes, pipeline } from './universe.ts';

const periodMs = 1000 / Number(process.env.FPS ?? 60);
const meter = new Meter('drawn');
let number = 0;

const film = server(
  async ({ session, sleep }: Io<InSession<typeof pipeline.camera, 'server'>>) => {
    const { frames, wanted } = session.channels;
    let dueMs = performance.now();
    for await (const count of wanted)
      for (let i = 0; i < count; i++) {
        const earlyMs = dueMs - performance.now();
        if (earlyMs > 1) await sleep(earlyMs);
        dueMs = Math.max(dueMs, performance.now() - periodMs) + periodMs;
        using loan = frames.loan(frameBytes);
        meter.work(frameBytes, () => draw(loan.bytes, number++));
        await loan.send();
      }
  },
  { name: 'film' },
);

await serve(pipeline.camera, film);
