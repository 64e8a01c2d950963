// What stands in files, or is written on a command line: configurations, variables, topologies, workspaces, conditions, uris and
// recordings. Each is taken, or refused with its own code and a message of a bounded length; nothing else, and nothing for long.
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { assert } from 'chai';
import { type ErrorCode, IpcError } from '../../src/errors.ts';
import { Playback } from '../../src/inspector/playback.ts';
import { loadEnvFile } from '../../src/runtime/env-file.ts';
import { readTopology } from '../../src/runtime/loader.ts';
import { parseCondition } from '../../src/spec/condition.ts';
import { readRelayConfig } from '../../src/spec/relay-config.ts';
import { stars } from '../../src/spec/secret.ts';
import { identityOf, maskedUri, parseUri, secretsOf } from '../../src/spec/uri.ts';
import { readFingerprint } from '../../src/workspace/fingerprint-file.ts';
import { ProcessFiles, readSecrets } from '../../src/workspace/process-file.ts';
import { readSessionFile } from '../../src/workspace/session-file.ts';
import type { Random } from '../support/random.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { mutate, mutateText } from './mutate.ts';
import type { Target } from './targets.ts';
import { conditions, envFiles, processFiles, recordings, relayConfigs, topologies, uris } from './texts.ts';

/** A message says what is wrong; it doesn't repeat a file of a megabyte. */
const messageMax = 64 * 1024;

function checkRefusal(error: unknown, ...codes: ErrorCode[]): void {
  if (!(error instanceof IpcError) || !codes.includes(error.code as ErrorCode)) throw error;
  assert.isAbove(error.message.length, 0, 'it was refused without a word');
  assert.isBelow(error.message.length, messageMax, 'the message is longer than anybody reads');
}

/** @returns what the call gives; undefined if it was refused with one of these codes. */
function taken<T>(call: () => T, ...codes: ErrorCode[]): T | undefined {
  try {
    return call();
  } catch (error) {
    checkRefusal(error, ...codes);
    return undefined;
  }
}

async function takenLater<T>(promise: Promise<T>, ...codes: ErrorCode[]): Promise<T | undefined> {
  try {
    return await promise;
  } catch (error) {
    checkRefusal(error, ...codes);
    return undefined;
  }
}

/** A folder with files of these names. */
function place() {
  const folder = temporaryFolder();
  return {
    folder: folder.path,
    write(name: string, content: string | Uint8Array): string {
      const path = join(folder.path, name);
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, content);
      return path;
    },
    close: () => folder[Symbol.dispose](),
  };
}

export function relayConfigTarget(): Target {
  const { write, close } = place();
  return {
    feed(random) {
      // Each may name the other, or itself, as its sibling.
      write('sibling.conf', mutateText(random, relayConfigs));
      const file = write('relay.conf', mutateText(random, relayConfigs));
      const config = taken(() => readRelayConfig(file), 'ERR_RELAY_CONFIG');
      if (config) assert.include(['relay', 'sibling', 'expansion', 'aging', 'relief'], config.spec.role);
    },
    close,
  };
}

export function envFileTarget(): Target {
  const { folder, write, close } = place();
  const before = { ...process.env };
  return {
    feed(random) {
      const file = write('.env', mutateText(random, envFiles));
      const loaded = taken(() => loadEnvFile(join(folder, 'topology.mjs'), file), 'ERR_TOPOLOGY_INVALID');
      for (const [name, value] of Object.entries(before)) assert.equal(process.env[name], value, name);
      write('.env', '');
      const gone = loaded?.reload() ?? [];
      for (const name of gone) assert.notProperty(before, name);
      assert.deepEqual({ ...process.env }, before, 'what a file has set goes with it');
    },
    close,
  };
}

export function topologyTarget(): Target {
  const { write, close } = place();
  return {
    async feed(random) {
      const ending = random.below(4) === 0 ? 'json' : 'yaml';
      const file = write(`topology.${ending}`, mutateText(random, topologies));
      const topology = await takenLater(readTopology(file), 'ERR_TOPOLOGY_INVALID');
      if (topology) assert.isString(topology.name);
    },
    close,
  };
}

export function workspaceTarget(): Target {
  const { folder, write, close } = place();
  const files = new ProcessFiles(folder);
  return {
    feed(random) {
      const file = write('master.tws.yaml', mutateText(random, processFiles));
      const code = 'ERR_WORKSPACE_FILE';
      taken(() => readFingerprint(file), code);
      taken(() => readSecrets(file), code);
      taken(() => readSessionFile(file), code);
      const read = taken(() => files.read('master.tws'), code);
      if (!read) return;
      // What was understood is still there, and the same, after a change beside it.
      files.update('master.tws', { alias: 'x' });
      const { alias: _, name: __, ...rest } = read;
      const { alias, name, ...again } = files.read('master.tws')!;
      assert.deepEqual([alias, name], ['x', 'master.tws']);
      assert.deepEqual(again, rest);
    },
    close,
  };
}

export function conditionTarget(): Target {
  const some = (random: Random, of: string[]) => of.slice(0, random.below(of.length + 1));
  return {
    feed(random) {
      const text = mutateText(random, conditions);
      const condition = taken(() => parseCondition(text), 'ERR_CONDITION_INVALID');
      if (!condition) return;
      const facts = {
        fp: {
          cmdline: some(random, ['java', '-jar', 'a'.repeat(40)]),
          listen: some(random, ['tcp 127.0.0.1:80', 'unix /run/x']),
          established: [],
          udp: [],
          files: some(
            random,
            Array.from({ length: 50 }, (_, n) => `/var/log/${n}.log`),
          ),
        },
        state: random.below(2) === 0 ? '' : 'operative',
        health: 'healthy' as const,
        uptimeMs: random.next(),
      };
      const holds = taken(() => condition.holds(facts), 'ERR_CONDITION_INVALID');
      if (holds !== undefined) assert.isBoolean(holds);
    },
  };
}

export function uriTarget(): Target {
  return {
    feed(random) {
      const text = mutateText(random, uris);
      const uri = taken(() => parseUri(text), 'ERR_URI_INVALID');
      if (!uri) return;
      // Whatever it is: its name holds no secret, and what is shown has stars in their places.
      assert.deepEqual(secretsOf(parseUri(identityOf(uri))), {}, identityOf(uri));
      const shown = secretsOf(parseUri(maskedUri(uri)));
      assert.deepEqual(Object.keys(shown), Object.keys(secretsOf(uri)));
      for (const value of Object.values(shown)) assert.equal(value, stars);
    },
  };
}

export function recordingTarget(): Target {
  const { write, close } = place();
  const bytes = recordings.map((text) => Uint8Array.from(Buffer.from(text)));
  return {
    async feed(random) {
      let content: Uint8Array = mutate(random, bytes);
      if (random.below(3) === 0) content = gzipSync(content);
      // Cut off, or spoilt on its way to the disk.
      if (random.below(3) === 0) content = mutate(random, [Uint8Array.from(content)]);
      const file = write('recording.jsonl', content);
      const playback = await takenLater(Playback.open(file), 'ERR_RECORDING');
      if (!playback) return;
      const showing = playback.show({ tell() {}, record() {} });
      const { fromMs, toMs } = playback.span;
      for (const at of [fromMs, toMs, fromMs + random.below(1_000), Number.MAX_VALUE]) {
        showing.seek(at);
        showing.step(random.below(2) === 0 ? 1 : -1);
        const { messages, actors, past } = showing.dump();
        JSON.stringify([playback.hello(), messages, [...actors], [...past]]);
      }
      showing.close();
    },
    close,
  };
}
