// Churn: sessions opened and closed in one process, which must not hold more of anything afterwards.
//   npm run churn -- SESSIONS
// Prints { sessions, before, after, rssGrownBytes, sessionMs }: descriptors, mappings of shared memory and actors before and after,
// how much the resident memory has grown since the first half, and how long a session took in the first and the last quarter.
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setup } from 'xstate';
import { type Session, sessionOf } from '../../src/index.ts';
import { Runtime } from '../../src/runtime/program.ts';
import { Random } from '../support/random.ts';
import { waitUntil } from '../support/wait-until.ts';
import { makeMessage } from './message.ts';
import { soak } from './universe.ts';

type ServerSession = Session<typeof soak.store, 'server'>;
type ClientSession = Session<typeof soak.store, 'client'>;

const folder = mkdtempSync(join(tmpdir(), 'actor-ipc-churn-'));
const quiet = () => undefined;
const log = { debug: quiet, info: quiet, warn: quiet, error: quiet };
const [server, client] = [0, 1].map(() => new Runtime({ runDirectory: folder, log })) as [Runtime, Runtime];

function held(): { descriptors: number; mappings: number; actors: number } {
  return {
    descriptors: readdirSync('/proc/self/fd').length,
    mappings: readFileSync('/proc/self/maps', 'latin1').split('memfd:actor-ipc').length - 1,
    actors: server.host.addresses.length + client.host.addresses.length,
  };
}

const machine = <S>(begin: (session: S) => void) =>
  setup({
    actions: { begin: ({ self }) => begin(sessionOf(soak.store, self) as S) },
  }).createMachine({ entry: 'begin' });

const at: { server: ServerSession | undefined } = { server: undefined };
await server.serve(
  soak.store,
  machine<ServerSession>((session) => {
    at.server = session;
    session.channels.words.onBatch((messages) =>
      messages.map((message) => session.channels.words.trySend(message)),
    );
    session.channels.sums.onRequest('echo', (value) => value);
  }),
);

const random = new Random(1);

/** Opens a session, uses it and ends it from one side or the other. */
async function one(number: number): Promise<void> {
  const { promise, resolve } = later<ClientSession>();
  const part = client.connect(soak.courier, soak.store, machine<ClientSession>(resolve), {
    reconnect: { minMs: 60_000, maxMs: 60_000 },
  });
  const { words, sums } = (await promise).channels;
  for (let left = random.below(20); left > 0; left--) words.trySend(makeMessage(left, random));
  if ((await sums.request('echo', number)) !== number) throw new Error('another answer');
  if (number % 2 === 0) at.server?.close();
  await part.stop();
}

function later<T>() {
  let resolve: (value: T) => void = quiet;
  const promise = new Promise<T>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}

const sessions = Number(process.argv[2]);
for (let number = 0; number < 20; number++) await one(number);
const before = held();
const took: number[] = [];
let rss = 0;
for (let number = 0; number < sessions; number++) {
  const beganAt = performance.now();
  await one(number);
  took.push(performance.now() - beganAt);
  if (number === sessions >> 1) rss = process.memoryUsage.rss();
}
await waitUntil(
  'the last session to go',
  () => JSON.stringify(held()) === JSON.stringify(before),
  5_000,
).catch(quiet);
const rssGrownBytes = process.memoryUsage.rss() - rss;
const median = (times: number[]) => times.sort((a, b) => a - b)[times.length >> 1]!;
const quarter = sessions >> 2;
const sessionMs = { first: median(took.slice(0, quarter)), last: median(took.slice(-quarter)) };
console.log(JSON.stringify({ sessions, before, after: held(), rssGrownBytes, sessionMs }));
for (const runtime of [client, server]) await runtime.stop();
rmSync(folder, { recursive: true, force: true });
