// Playback: a recording as a source. Everything in the file is input: what is cut off or spoilt is left out from there on, and
// said. Each audience stands at a moment of its own.
import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { constants, createGunzip } from 'node:zlib';
import { IpcError, messageOf } from '../errors.ts';
import { checkedRecord } from '../runtime/record-check.ts';
import { Mirror } from './mirror.ts';
import {
  type ActorPlace,
  type Hello,
  type LogLine,
  type ProcessId,
  protocolVersion,
  type RecordBatch,
  type ServerMessage,
  type UnitView,
  type ViewRecord,
} from './protocol.ts';
import { type RecordingHeader, recordingVersion } from './recording.ts';
import type { Audience, Dump, Showing, Source } from './source.ts';

type Told = Exclude<ServerMessage, { type: 'records' | 'dropped' | 'hello' }>;

/** One thing that happened. */
type Entry =
  | { readonly at: number; readonly process: ProcessId; readonly record: ViewRecord }
  | { readonly at: number; readonly message: Told };

interface Keyframe {
  /** Entries before it are in it. */
  readonly index: number;
  readonly latest: ReadonlyMap<string, Told>;
  readonly actors: readonly RecordBatch[];
}

const keyframeEntries = 20_000;
/** Of a longer one only the beginning is shown: it is held in memory. */
const entriesMax = 2_000_000;
const lineBytesMax = 256 * 1024 * 1024;
/** As many are told as what has happened before a moment. */
const pastEntries = 5_000;
const tickMs = 50;
const linesMax = 500;
const kept: ReadonlySet<string> = new Set(['processes', 'dependences', 'resources', 'metrics']);

export class Playback implements Source {
  readonly #header: RecordingHeader;
  readonly #entries: readonly Entry[];
  readonly #keyframes: readonly Keyframe[];
  /** What is missing and why, in words; undefined if nothing is. */
  readonly problem: string | undefined;

  /** @throws {IpcError} ERR_RECORDING for what is no recording, or one that this version can't read. */
  static async open(file: string): Promise<Playback> {
    const { header, entries, problem } = await readRecording(file);
    return new Playback(header, entries, problem);
  }

  private constructor(header: RecordingHeader, entries: Entry[], problem: string | undefined) {
    this.#header = header;
    // Records of several processes come in one after another; they are shown as they happened.
    this.#entries = entries.sort((one, other) => one.at - other.at);
    this.problem = problem;
    this.#keyframes = keyframesOf(this.#entries);
  }

  get span(): { fromMs: number; toMs: number } {
    const { startedAtMs } = this.#header;
    return { fromMs: startedAtMs, toMs: Math.max(startedAtMs, this.#entries.at(-1)?.at ?? startedAtMs) };
  }

  hello(): Hello {
    const { topology } = this.#header;
    return {
      type: 'hello',
      protocol: protocolVersion,
      topology,
      mode: 'recording',
      write: false,
      span: this.span,
      ...(this.problem !== undefined && { problem: this.problem }),
    };
  }

  show(audience: Audience): Showing {
    const player = new Player(this.#entries, this.#keyframes, this.span, audience);
    return {
      dump: () => player.dump(),
      actor: (place) => player.actor(place),
      watch() {},
      send: () => 'a recording takes no events',
      seek: (atMs) => player.seek(atMs),
      step: (by) => player.step(by),
      play: (speed) => player.play(speed),
      pause: () => player.pause(),
      close: () => player.close(),
    };
  }
}

class Player {
  readonly #entries: readonly Entry[];
  readonly #keyframes: readonly Keyframe[];
  readonly #span: { fromMs: number; toMs: number };
  readonly #audience: Audience;
  readonly #mirror = new Mirror();
  #latest = new Map<string, Told>();
  #lines: LogLine[] = [];
  /** The first entry that has not been shown. */
  #index = 0;
  #atMs: number;
  #speed = 1;
  #timer: NodeJS.Timeout | undefined;
  #lastTickMs = 0;

  constructor(
    entries: readonly Entry[],
    keyframes: readonly Keyframe[],
    span: { fromMs: number; toMs: number },
    audience: Audience,
  ) {
    this.#entries = entries;
    this.#keyframes = keyframes;
    this.#span = span;
    this.#audience = audience;
    this.#atMs = span.fromMs;
    this.#goTo(span.fromMs);
  }

  dump(): Dump {
    return {
      messages: [...this.#latest.values(), { type: 'log', lines: [...this.#lines] }, this.#place()],
      actors: this.#mirror.dump(),
      past: this.#mirror.past(),
    };
  }

  actor(place: ActorPlace): ViewRecord | undefined {
    return this.#mirror.actor(place);
  }

  /** The audience asks for a dump after it. */
  seek(atMs: number): void {
    this.#goTo(Math.min(this.#span.toMs, Math.max(this.#span.fromMs, atMs)));
  }

  /** To the next thing that has happened, or to before the last one. The audience asks for a dump after a step back. */
  step(by: 1 | -1): void {
    this.pause();
    if (by < 0) {
      const last = this.#lastStep(this.#index);
      if (last < 0) return;
      const before = this.#lastStep(last);
      this.#goToIndex(last);
      this.#atMs = Math.max(this.#span.fromMs, this.#entries[before]?.at ?? this.#span.fromMs);
      return;
    }
    for (let entry = this.#entries[this.#index]; entry; entry = this.#entries[this.#index]) {
      this.#show(entry);
      this.#atMs = Math.max(this.#atMs, entry.at);
      if (isStep(entry)) break;
    }
    this.#audience.tell(this.#place());
  }

  play(speed: number): void {
    this.#speed = speed;
    this.#lastTickMs = performance.now();
    this.#timer ??= setInterval(() => this.#tick(), tickMs).unref();
    this.#audience.tell(this.#place());
  }

  pause(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#audience.tell(this.#place());
  }

  close(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #place(): Told {
    return { type: 'playing', at: this.#atMs, playing: this.#timer !== undefined, speed: this.#speed };
  }

  #tick(): void {
    const nowMs = performance.now();
    this.#atMs = Math.min(this.#span.toMs, this.#atMs + (nowMs - this.#lastTickMs) * this.#speed);
    this.#lastTickMs = nowMs;
    for (let entry = this.#entries[this.#index]; entry; entry = this.#entries[this.#index]) {
      if (entry.at > this.#atMs) break;
      this.#show(entry);
    }
    if (this.#atMs >= this.#span.toMs) return this.pause();
    this.#audience.tell(this.#place());
  }

  /** Everything as it was at that moment. */
  #goTo(atMs: number): void {
    let low = 0;
    for (let high = this.#entries.length; low < high; ) {
      const middle = (low + high) >>> 1;
      if (this.#entries[middle]!.at <= atMs) low = middle + 1;
      else high = middle;
    }
    this.#goToIndex(low);
    this.#atMs = atMs;
  }

  /** Everything as it was before that entry. */
  #goToIndex(index: number): void {
    // From so far back that what has happened lately is told, too.
    const keyframe = this.#keyframes.findLast((each) => each.index <= Math.max(0, index - pastEntries))!;
    this.#mirror.clear();
    this.#latest = new Map(keyframe.latest);
    this.#lines = [];
    for (const { process, records } of keyframe.actors)
      for (const record of records) this.#mirror.apply(process, record);
    for (this.#index = keyframe.index; this.#index < index; this.#index++)
      this.#apply(this.#entries[this.#index]!);
  }

  /** The last entry before that one that is a step; -1: none is. */
  #lastStep(index: number): number {
    for (let at = index - 1; at >= 0; at--) if (isStep(this.#entries[at]!)) return at;
    return -1;
  }

  #show(entry: Entry): void {
    this.#index++;
    for (const record of this.#apply(entry))
      if ('record' in entry) this.#audience.record(entry.process, record);
    if ('message' in entry) this.#audience.tell(entry.message);
  }

  #apply(entry: Entry): ViewRecord[] {
    if ('record' in entry) return applyRecord(this.#mirror, entry.process, entry.record);
    const { message } = entry;
    if (message.type === 'log') this.#lines = [...this.#lines, ...message.lines].slice(-linesMax);
    else applyMessage(this.#mirror, this.#latest, message);
    return [];
  }
}

/** What a list of the page has a row for; figures come on the way. */
function isStep(entry: Entry): boolean {
  if ('message' in entry) return entry.message.type === 'log';
  return entry.record.k !== 'chart' && entry.record.k !== 'dropped';
}

/** What was told as a message of a session needs no link here. */
function applyRecord(mirror: Mirror, process: ProcessId, record: ViewRecord): ViewRecord[] {
  return mirror.apply(process, record);
}

function applyMessage(mirror: Mirror, latest: Map<string, Told>, message: Told): void {
  if (!kept.has(message.type)) return;
  if (message.type === 'processes')
    for (const { dead } of message.units) for (const { process } of dead) mirror.end(process);
  latest.set(message.type, message);
}

function keyframesOf(entries: readonly Entry[]): Keyframe[] {
  const mirror = new Mirror();
  const latest = new Map<string, Told>();
  const keyframes: Keyframe[] = [];
  for (let index = 0; index <= entries.length; index++) {
    if (index % keyframeEntries === 0)
      keyframes.push({ index, latest: new Map(latest), actors: [...mirror.dump()] });
    const entry = entries[index];
    if (!entry) break;
    if ('record' in entry) applyRecord(mirror, entry.process, entry.record);
    else applyMessage(mirror, latest, entry.message);
  }
  return keyframes;
}

async function readRecording(
  file: string,
): Promise<{ header: RecordingHeader; entries: Entry[]; problem: string | undefined }> {
  const entries: Entry[] = [];
  let header: RecordingHeader | undefined;
  let problem: string | undefined;
  try {
    for await (const line of linesOf(file)) {
      if (!header) header = headerIn(file, line);
      else if (entries.length >= entriesMax) {
        problem = `only its first ${entriesMax} records are shown`;
        break;
      } else if (!addEntries(line, entries)) problem = 'it was cut off, or spoilt: some of it is missing';
    }
  } catch (error) {
    if (error instanceof IpcError) throw error;
    if (!header) throw IpcError.from(error, 'ERR_RECORDING', file, whyUnreadable(error));
    problem = `it can be read only up to some point (${messageOf(error)})`;
  }
  if (!header) throw IpcError.of('ERR_RECORDING', file, 'it is empty');
  if (entries.length === 0) throw IpcError.of('ERR_RECORDING', file, 'it holds nothing but its header');
  return { header, entries, problem };
}

function whyUnreadable(error: unknown): string {
  const { code } = error as NodeJS.ErrnoException;
  if (code === 'ENOENT') return 'there is no such file';
  if (code?.startsWith('Z_') || code?.startsWith('ERR_')) return 'it is no recording of actor-ipc';
  return `it can't be read: ${messageOf(error)}`;
}

/** One without its end gives the lines that are whole. */
async function* linesOf(file: string): AsyncGenerator<string> {
  const handle = await open(file);
  const magic = Buffer.alloc(2);
  try {
    await handle.read(magic, 0, 2, 0);
  } finally {
    await handle.close();
  }
  const compressed = magic[0] === 0x1f && magic[1] === 0x8b;
  const source = createReadStream(file);
  // What was synchronised last is all that a killed run leaves; there is no end mark.
  const input = compressed ? source.pipe(createGunzip({ finishFlush: constants.Z_SYNC_FLUSH })) : source;
  let failure: unknown;
  const fail = (error: unknown) => {
    failure = error;
    lines.close();
  };
  const lines = createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY });
  input.on('error', fail);
  source.on('error', fail);
  for await (const line of lines) if (line.length <= lineBytesMax) yield line;
  source.destroy();
  if (failure !== undefined) throw failure;
}

function headerIn(file: string, line: string): RecordingHeader {
  let header: Partial<RecordingHeader> | null = null;
  try {
    header = JSON.parse(line) as Partial<RecordingHeader> | null;
  } catch {
    // As what is JSON and no header.
  }
  if (header?.actorIpc !== 'recording' || typeof header.version !== 'number')
    throw IpcError.of('ERR_RECORDING', file, 'it is no recording of actor-ipc');
  if (header.version > recordingVersion)
    throw IpcError.of(
      'ERR_RECORDING',
      file,
      `its format has version ${header.version}, and this actor-ipc reads up to ${recordingVersion}`,
    );
  const { startedAtMs, topology } = header;
  const name = topology?.name;
  if (typeof startedAtMs !== 'number' || typeof name !== 'string')
    throw IpcError.of('ERR_RECORDING', file, 'its header makes no sense');
  return header as RecordingHeader;
}

/** A message between processes is made by the root; all else is as a process tells it. */
function recordIn(value: ViewRecord | null): ViewRecord | undefined {
  if (value?.k !== 'message') return checkedRecord(value) as ViewRecord | undefined;
  const { from, at, to, event } = value;
  // Its other fields are those of what one actor sends to another.
  const known = checkedRecord({ k: 'send', at, from: from?.actor, to, event });
  return known && typeof from.process === 'string' ? value : undefined;
}

function isUnit(unit: UnitView | null): boolean {
  if (typeof unit?.path !== 'string' || !Array.isArray(unit.dead)) return false;
  return unit.dead.every((life) => typeof life?.process === 'string');
}

/** @returns whether all of the line makes sense. */
function addEntries(line: string, entries: Entry[]): boolean {
  let at: unknown;
  let message: ServerMessage | undefined;
  try {
    [at, message] = JSON.parse(line) as [unknown, ServerMessage];
  } catch {
    return false;
  }
  if (typeof at !== 'number' || typeof message !== 'object' || message === null) return false;
  switch (message.type) {
    case 'records': {
      if (!Array.isArray(message.batches)) return false;
      let whole = true;
      for (const batch of message.batches) {
        const { process, records } = batch ?? {};
        if (!Array.isArray(records)) whole = false;
        for (const each of Array.isArray(records) ? records : []) {
          const record = recordIn(each);
          if (!record || typeof process !== 'string') whole = false;
          else
            entries.push({
              at: 'at' in record && typeof record.at === 'number' ? record.at : 0,
              process,
              record,
            });
        }
      }
      return whole;
    }
    case 'processes':
      if (!Array.isArray(message.units) || !message.units.every(isUnit)) return false;
      entries.push({ at, message });
      return true;
    case 'log':
      if (!Array.isArray(message.lines)) return false;
      entries.push({ at, message });
      return true;
    case 'dependences':
    case 'resources':
    case 'metrics':
      entries.push({ at, message });
      return true;
    // What a later version tells.
    default:
      return true;
  }
}
