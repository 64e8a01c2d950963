// Rehearsal: a process that stands by opens a session with itself, before it says that it is warm. What has never run is compiled
// when it is first called; the clients that wait for the next server would have to wait for all of that.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { sessionOf, sessionSetup } from '../actors/session-setup.ts';
import { channel } from '../spec/channel-spec.ts';
import { defineUniverse } from '../spec/universe.ts';
import { Runtime } from './program.ts';

const stage = defineUniverse('rehearsal', {
  server: {
    allow: ['client'],
    channels: { line: channel<{ up: { question: number }; down: { answer: number } }>() },
  },
  client: {},
});
/** A second one finds what the first one has taught V8. */
const sessions = 2;
/** A machine on which it takes longer gains nothing by it. */
const limitMs = 5_000;

const quiet = { debug() {}, info() {}, warn() {}, error() {} };

const server = sessionSetup(stage.server, 'server', {
  actions: {
    answer: ({ self }) => void sessionOf(stage.server, self).channels.line.trySend({ answer: 1 }),
  },
}).createMachine({ on: { 'message.line': { actions: 'answer' } } });

/** Never fails: nothing depends on it. @returns how many sessions went as they should. */
export async function rehearse(): Promise<number> {
  let answered = 0;
  try {
    // A folder of its own, so that nobody else comes.
    const folder = mkdtempSync(join(tmpdir(), 'actor-ipc-rehearsal-'));
    const runtime = new Runtime({ log: quiet, runDirectory: folder });
    try {
      await runtime.serve(stage.server, server);
      for (let i = 0; i < sessions; i++) if (await converse(runtime)) answered++;
    } finally {
      rmSync(folder, { recursive: true, force: true });
      await runtime.stop();
    }
  } catch {
    // The first session takes its time then, as it would without.
  }
  return answered;
}

/** One session with a question. @returns whether it was answered. */
async function converse(runtime: Runtime): Promise<boolean> {
  let hear = (_: boolean) => {};
  const answered = new Promise<boolean>((resolve) => {
    hear = resolve;
  });
  const client = sessionSetup(stage.server, 'client', {
    actions: {
      ask: ({ self }) => void sessionOf(stage.server, self).channels.line.trySend({ question: 1 }),
      hear: () => hear(true),
    },
  }).createMachine({ entry: 'ask', on: { 'message.line': { actions: 'hear' } } });
  const part = runtime.connect(stage.client, stage.server, client);
  const good = await Promise.race([answered, pause(limitMs, false, { ref: false })]);
  await part.stop();
  return good;
}
