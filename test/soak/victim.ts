// The processes that the soak test kills, and what they leave behind to be read: the ledger.
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync, readSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { acceptedFrame, helloFrame, readyFrame } from '../../src/actors/session-frame.ts';
import { protocolVersions } from '../../src/machines/login.ts';
import type { AppSpec } from '../../src/spec/universe.ts';
import { extractOf } from '../../src/spec/universe-extract.ts';
import { encodeFrame, type Frame } from '../../src/transport/frame.ts';
import { segmentKind } from '../../src/transport/link.ts';
import { native } from '../../src/transport/native.ts';
import { soak } from './universe.ts';

/** Stand for the victim's process number and start ticks, which it puts in itself. */
const pid = 0x7abcdef1;
const startTicks = 0x7abcdef2;

export type VictimKind = 'client' | 'server' | 'node-client';

/** What a victim had done when it died. Of a Node.js victim only `open` is known. */
export interface Ledger {
  readonly open: boolean;
  /** The messages that it sent are at least `published` and at most `publishing`; and so on. */
  readonly published: number;
  readonly publishing: number;
  readonly taken: number;
  readonly released: number;
  readonly releasing: number;
  readonly asked: number;
  readonly answered: number;
  readonly replied: number;
}

export class Victims {
  readonly #program: string;
  readonly #nodeProgram: string;
  readonly #folder: string;
  readonly #ledger: number;
  readonly #errors: number;

  /** @param program of cpp/test/soak_victim.cc; `nodeProgram` is the compiled node-victim.ts. */
  constructor(program: string, nodeProgram: string, folder: string) {
    this.#program = program;
    this.#nodeProgram = nodeProgram;
    this.#folder = folder;
    this.#ledger = openSync(join(folder, 'ledger'), 'w+');
    this.#errors = openSync(join(folder, 'errors'), 'a');
    writeFrames(join(folder, 'client.frames'), [hello(soak.store), readyFrame]);
    writeFrames(join(folder, 'server.frames'), [accepted(soak.vault)]);
  }

  /** @param dieAt the crash point at which it kills itself, counted from the log-in on; 0: it waits to be killed. */
  start(kind: VictimKind, socket: string, seed: number, dieAt: number): ChildProcess {
    writeSync(this.#ledger, new Uint8Array(4096), 0, 4096, 0);
    const stdio = ['ignore', 'ignore', this.#errors] as const;
    if (kind === 'node-client') {
      const env = { ...process.env, ACTOR_IPC_RUN_DIR: this.#folder };
      return spawn(process.execPath, [this.#nodeProgram], { stdio: [...stdio], env });
    }
    const args = [kind, socket, join(this.#folder, `${kind}.frames`), join(this.#folder, 'ledger')];
    return spawn(this.#program, [...args, String(seed), String(dieAt)], { stdio: [...stdio] });
  }

  get ledger(): Ledger {
    const words = new Uint32Array(9);
    readSync(this.#ledger, words, 0, words.byteLength, 0);
    const [open, publishing, published, taken, releasing, released, asked, answered, replied] =
      words as unknown as [number, number, number, number, number, number, number, number, number];
    return { open: open === 1, publishing, published, taken, releasing, released, asked, answered, replied };
  }

  /** What victims have complained about. */
  get errors(): string {
    return readFileSync(join(this.#folder, 'errors'), 'utf8');
  }

  close(): void {
    closeSync(this.#ledger);
    closeSync(this.#errors);
  }
}

function segmentBytes(app: AppSpec): number {
  const capacities = Object.values(app.channels).map(({ capacityBytes }) => capacityBytes);
  const segment = new (native().Segment)(segmentKind.session, capacities, 0);
  const { bytes } = segment;
  segment.close();
  return bytes;
}

function hello(server: AppSpec): Frame {
  return helloFrame({
    versions: protocolVersions,
    layoutHash: native().layout.hash,
    client: 'courier',
    server: server.name,
    universe: extractOf(server),
    pid,
    startTicks,
    segmentBytes: segmentBytes(server),
    metadata: null,
  });
}

function accepted(server: AppSpec): Frame {
  const token = '00112233445566778899aabbccddeeff';
  return acceptedFrame({
    version: protocolVersions[1],
    token,
    pid,
    startTicks,
    segmentBytes: segmentBytes(server),
    metadata: null,
  });
}

function writeFrames(path: string, frames: Frame[]): void {
  const parts = frames.flatMap((frame) => {
    const bytes = encodeFrame(frame);
    const length = Buffer.alloc(4);
    length.writeUInt32LE(bytes.length);
    return [length, bytes];
  });
  writeFileSync(path, Buffer.concat(parts));
}
