// Takeover peer: a Node process below a root that is killed again and again, with another one standing by or without. How long it
// takes until the next process does the work: by itself, or for a client whose session is opened again.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { percentilesOf } from './histogram.ts';
import type { Figures, Transport } from './job.ts';
import { endWithStarter, sayReady, tell, untilReady, workOf } from './peer.ts';
import { atOnce, Root } from './root.ts';

const { role, job, directory } = workOf(process.argv);
const entry = new URL('../dist/index.js', import.meta.url).href;
/** A run that measures briefly has few. */
const kills = job.measureMs >= 1_000 ? 20 : 5;
/** From the first word of a process that stands by until it has told its root that it does; and until all are quiet again. */
const settleMs = 300;

const module = (name: string, text: string): string => {
  const file = join(directory, name);
  writeFileSync(file, text);
  return file;
};

const worker = () =>
  module(
    'worker.mjs',
    `import { activated } from '${entry}';
console.log('loaded');
await activated();
console.log('works', process.pid, String(process.hrtime.bigint()));
setInterval(() => {}, 1e6);
`,
  );

const universe = `import { channel, defineUniverse } from '${entry}';
export const { server, client } = defineUniverse('takeover', { server: { allow: ['client'], channels: { work: channel() } }, client: {} });
`;

/** Tells whoever asks which process it is. */
const server = () =>
  module(
    'server.mjs',
    `import { serve, sessionOf, sessionSetup } from '${entry}';
import { server } from './universe.mjs';
console.log('loaded');
const answer = ({ self }) => void sessionOf(server, self).channels.work.send(process.pid);
await serve(server, sessionSetup(server, 'server', { actions: { answer } }).createMachine({ on: { 'message.work': { actions: 'answer' } } }));
`,
  );

/** Asks in each session. */
const client = () =>
  module(
    'client.mjs',
    `import { connect, sessionOf, sessionSetup } from '${entry}';
import { client, server } from './universe.mjs';
const ask = ({ self }) => void sessionOf(server, self).channels.work.send('who');
const hear = ({ event }) => console.log('works', event.message, String(process.hrtime.bigint()));
await connect(client, server, sessionSetup(server, 'client', { actions: { ask, hear } }).createMachine({ entry: 'ask', on: { 'message.work': { actions: 'hear' } } }));
`,
  );

/** What a unit itself writes, by the clock that all processes share; the record of an exit has its last lines in it, too. */
const works = /^\{(?!.*"exit").*works (\d+) (\d+)/;
const loaded = /^\{(?!.*"exit").*loaded/;

async function takeovers(transport: Transport): Promise<Figures> {
  const standby = transport.endsWith('standby') ? 1 : 0;
  const node = (file: string) => ({ kind: 'node', file, ...atOnce });
  let units: object;
  if (transport.startsWith('process')) units = { worker: { ...node(worker()), standby } };
  else {
    module('universe.mjs', universe);
    units = { server: { ...node(server()), standby }, client: node(client()) };
  }
  const root = new Root(directory, 'one', units);
  let { match, index } = await root.sees(works);
  /** Where the last of those that stand by has said that it is loaded; the first process said it, too. */
  let behind = (await root.sees(loaded)).index;
  const samples: number[] = [];
  for (let i = 0; i < kills; i++) {
    if (standby > 0) behind = (await root.sees(loaded, behind + 1)).index;
    await sleep(settleMs);
    const beganNs = process.hrtime.bigint();
    process.kill(Number(match[1]), 'SIGKILL');
    ({ match, index } = await root.sees(works, index + 1));
    samples.push(Number(BigInt(match[2]!) - beganNs));
  }
  await root.stop();
  return percentilesOf(Uint32Array.from(samples));
}

endWithStarter();
if (role === 'responder') sayReady();
else {
  await untilReady();
  tell(await takeovers(job.transport));
  process.exit();
}
