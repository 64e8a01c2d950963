// Pair: two fresh processes that do one job and are gone.
import { mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import type { Figures, Job, Placement } from './job.ts';
import { PeerProcess } from './peer-process.ts';
import { scratch } from './scratch.ts';

/** To start two processes and to end the last message of each measure, on a machine that does other things too. */
const slackMs = 30_000;

/** Has a fresh pair do the job. Rejects with what the process said that failed. */
export async function runPair(job: Job, placement: Placement): Promise<Figures> {
  const common = { job, placement, directory: mkdtempSync(join(scratch(), 'pair-')) };
  // Who forks its responder itself is alone with it.
  const responder = job.transport.startsWith('fork')
    ? undefined
    : new PeerProcess({ role: 'responder', ...common });
  const driver = new PeerProcess({ role: 'driver', ...common });
  const allMs = job.measures.length * (job.warmUpMs + job.measureMs) + slackMs;
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not done after ${allMs} ms`)), allMs);
  });
  try {
    const work = async () => {
      await responder?.line;
      driver.begin();
      const figures = JSON.parse(await driver.line) as Figures;
      responder?.release();
      await driver.ended();
      return figures;
    };
    return await Promise.race([work(), late, ...(responder ? [responder.crashed] : [])]);
  } finally {
    clearTimeout(timer);
    await Promise.all([driver.kill(), responder?.kill()]);
  }
}
