// The filter: reads a frame where the camera has drawn it, and writes what it makes of it where the viewer will read it.
import { type Channel, connect, serve } from 'actor-ipc';
import { type InSession, type Io, server } from 'actor-ipc/kinds';
import { Demand } from './demand.ts';
import { Meter } from './meter.ts';
import { emboss } from './picture.ts';
import { ahead, frameBytes, pipeline } from './universe.ts';

const meter = new Meter('filtered');
const demand = new Demand<Channel<Uint8Array, never>>();

/** A viewer: says what it wants. */
const asked = server(
  async ({ session }: Io<InSession<typeof pipeline.filter, 'server'>>) => {
    for await (const count of session.channels.wanted)
      for (let i = 0; i < count; i++) demand.add(session.channels.frames);
  },
  { name: 'asked' },
);

/** The camera: a frame is taken when somebody wants it. */
const taken = server(
  async ({ session }: Io<InSession<typeof pipeline.camera, 'client'>>) => {
    const { frames, wanted } = session.channels;
    await wanted.send(ahead);
    for (;;) {
      const viewer = await demand.next();
      using frame = await frames.receive({ borrow: true }).catch((lost: Error) => {
        // Who has asked gets a frame of the next camera.
        demand.add(viewer);
        throw lost;
      });
      // What a viewer wanted that has gone meanwhile is dropped.
      if (viewer.open) {
        using loan = viewer.loan(frameBytes);
        meter.work(frameBytes, () => emboss(frame.bytes, loan.bytes));
        if (!loan.trySend()) throw new Error('a ring has room for all frames that are wanted');
      }
      frame.release();
      await wanted.send(1);
    }
  },
  { name: 'taken' },
);

await serve(pipeline.filter, asked);
await connect(pipeline.filter, pipeline.camera, taken);
