// The viewer: looks at each frame where the filter has written it, and now and then keeps one as a PNG file.
import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { connect } from 'actor-ipc';
import { type InSession, type Io, server } from 'actor-ipc/kinds';
import { PNG } from 'pngjs';
import { Meter } from './meter.ts';
import { numberOf, pixelsOf } from './picture.ts';
import { ahead, height, pipeline, width } from './universe.ts';

const folder = process.env.PICTURES ?? 'pictures';
/** How long it looks at each frame: with more than a frame's time, all before it wait. */
const lookMs = Number(process.env.LOOK_MS ?? 0);
const keepPeriodMs = 2_000;
const keptMax = 5;

const meter = new Meter('seen');
let kept = 0;
let keptAtMs = performance.now() - keepPeriodMs;
mkdirSync(folder, { recursive: true });

/** A killed viewer leaves a whole picture or none. */
function keep(frame: Uint8Array): void {
  const { buffer, byteOffset, byteLength } = pixelsOf(frame);
  const picture = new PNG({ width, height });
  picture.data = Buffer.from(buffer, byteOffset, byteLength);
  const file = join(folder, `frame-${kept++ % keptMax}.png`);
  writeFileSync(`${file}.part`, PNG.sync.write(picture, { deflateLevel: 1, filterType: 1 }));
  renameSync(`${file}.part`, file);
  console.log(`frame ${numberOf(frame)} is in ${file}`);
}

const look = server(
  async ({ session, sleep }: Io<InSession<typeof pipeline.filter, 'client'>>) => {
    const { frames, wanted } = session.channels;
    await wanted.send(ahead);
    for (;;) {
      {
        using frame = await frames.receive({ borrow: true });
        meter.work(frame.bytes.length, () => {
          if (performance.now() - keptAtMs < keepPeriodMs) return;
          keptAtMs = performance.now();
          keep(frame.bytes);
        });
        if (lookMs > 0) await sleep(lookMs);
      }
      await wanted.send(1);
    }
  },
  { name: 'look' },
);

await connect(pipeline.viewer, pipeline.filter, look);
