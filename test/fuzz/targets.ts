// What is fed with input that nobody promised anything about. Each target throws when something happens that must not: any
// error but the ones it names, an answer outside what it may be, or a peer that no longer serves.
import { assert } from 'chai';
import {
  numberOf,
  parseRejected as parseDeclined,
  parseOffer,
  parseAccepted as parseOpened,
  parseParted,
} from '../../src/actors/offer-frame.ts';
import {
  parseAccepted,
  parseGoodbye,
  parseHandle,
  parseHello,
  parseRejected,
} from '../../src/actors/session-frame.ts';
import { IpcError } from '../../src/errors.ts';
import { checkLogin, type LoginPolicy, protocolVersions } from '../../src/machines/login.ts';
import { ControlServer } from '../../src/runtime/control-server.ts';
import { type ChannelSpec, channelDefaults } from '../../src/spec/channel-spec.ts';
import { ChannelEnd } from '../../src/transport/channel-end.ts';
import { codecs, packPlain, unpackPlain } from '../../src/transport/codec.ts';
import { offerIn } from '../../src/transport/feed-link.ts';
import { decodeFrame, type Frame } from '../../src/transport/frame.ts';
import { LaneWriter } from '../../src/transport/lane.ts';
import { Link, segmentKind } from '../../src/transport/link.ts';
import { type NativeSegment, native, nativeCode } from '../../src/transport/native.ts';
import { recordKind } from '../../src/transport/record.ts';
import { Court, holder, type ServerSession, tennis } from '../actors/pair.ts';
import { RawClient } from '../actors/raw-client.ts';
import { openDescriptors } from '../support/descriptors.ts';
import type { Random } from '../support/random.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { LaneEnds, newPlace } from '../support/transport/lane-ends.ts';
import { waitUntil } from '../support/wait-until.ts';
import { frames, messages, requests } from './corpus.ts';
import {
  conditionTarget,
  envFileTarget,
  recordingTarget,
  relayConfigTarget,
  topologyTarget,
  uriTarget,
  workspaceTarget,
} from './file-targets.ts';
import { handleTarget, regionTarget } from './memory-targets.ts';
import { mutate } from './mutate.ts';
import {
  inspectorTarget,
  linkTarget,
  natsTarget,
  probeTarget,
  recordTarget,
  relayTarget,
} from './peer-targets.ts';

export interface Target {
  /** One input. */
  feed(random: Random): void | Promise<void>;
  close?(): void | Promise<void>;
}

/** Calls what may refuse its input; a refusal is an Error that says why, and never one of the engine's own limits. */
function refusable(call: () => void): void {
  try {
    call();
  } catch (error) {
    if (!(error instanceof Error)) throw new Error(`it threw ${String(error)}, which is no Error`);
    if (error.message === '') throw new Error('it was refused without a word');
  }
}

const policy: LoginPolicy = {
  app: tennis.wall,
  versions: protocolVersions,
  layoutHash: native().layout.hash,
  own: { uid: process.getuid!(), gid: process.getgid!() },
};
const peer = { pid: process.pid, ...policy.own };

function frameTarget(): Target {
  const offers = [numberOf, parseOffer, parseOpened, parseDeclined, parseParted];
  const parsers = [
    ...offers,
    parseAccepted,
    parseRejected,
    parseGoodbye,
    parseHandle,
    (frame: Frame) => offerIn(frame, []),
  ];
  return {
    feed(random) {
      const bytes = mutate(random, frames);
      let frame: Frame | undefined;
      refusable(() => {
        frame = decodeFrame(bytes);
      });
      if (!frame) return;
      const decoded = frame;
      for (const parse of parsers) refusable(() => parse(decoded));
      let parsed: ReturnType<typeof parseHello> | undefined;
      refusable(() => {
        parsed = parseHello(decoded);
      });
      // What was parsed is judged outside any net: an error here would end the server.
      if (parsed) checkLogin(policy, parsed, peer);
    },
  };
}

function msgpackTarget(): Target {
  return {
    feed(random) {
      const decoder = codecs.msgpack.decoder();
      const bytes = mutate(random, messages);
      for (let index = 0; index < random.below(3); index++)
        refusable(() => {
          const told = unpackPlain(mutate(random, requests)) as unknown[];
          if (Array.isArray(told)) decoder.learn(told[0] as number, told[1]);
        });
      const before = Uint8Array.from(bytes);
      refusable(() => decoder.decode(bytes, 0, bytes.length));
      assert.deepEqual(bytes, before, "the writer's memory was written to");
      refusable(() => unpackPlain(bytes));
      // Whatever happened, honest messages are still understood.
      assert.deepEqual(unpackPlain(packPlain({ a: [1, 'b'] })), { a: [1, 'b'] });
    },
  };
}

function laneTarget(): Target {
  const capacity = 1024;
  const interesting = [0, 1, 8, capacity, capacity - 8, 0x7fffffff, 0x80000000, 0xfffffff8, 0xffffffff];
  return {
    feed(random) {
      using ends = new LaneEnds(capacity, random.below(2) === 0 ? 0 : 0xffff_fe00);
      const place = newPlace();
      for (let round = 0; round < 4; round++) {
        for (let left = random.below(12); left > 0; left--)
          ends.writer.write(2 + random.below(7), random.below(256), random.bytes(60), random.below(60));
        ends.writer.publish();
        for (let left = random.below(4); left > 0; left--) {
          const value =
            random.below(2) === 0 ? interesting[random.below(interesting.length)]! : random.next();
          if (random.below(3) === 0)
            ends.tail = random.below(2) === 0 ? value : ends.tail + (random.below(64) - 32) * 4;
          else ends.ringWords[random.below(capacity >> 2)] = value;
        }
        // A record takes at least its header.
        let left = capacity / 8 + 1;
        while (ends.reader.read(place)) {
          assert.isAbove(left--, 0, 'more records than fit the ring');
          assert.isTrue(place.at >= 8 && place.at + place.bytes <= capacity, 'a record outside the ring');
        }
        ends.reader.release();
        ends.writer.eachUnread(() => assert.isAbove(left-- + capacity, 0));
        assert.isAtMost(ends.writer.unreadBytes(), capacity);
      }
    },
  };
}

/** A schema that some of what comes at random fits. */
const anything = {
  '~standard': {
    version: 1 as const,
    vendor: 'fuzz',
    validate: (value: unknown) =>
      typeof value === 'number' ? { issues: [{ message: 'a number' }] } : { value },
  },
};

/** A channel whose peer frames its records well and fills them with anything. */
function channelTarget(): Target {
  const options = {
    ...channelDefaults,
    capacityBytes: 16_384,
    maxMessageBytes: 8_184,
    unexpectedMax: 2,
    unexpectedTimeoutMs: 1,
  };
  const kinds = Object.values(recordKind);
  return {
    feed(random) {
      const { Segment, Doorbell, dupFd } = native();
      const link = new Link([options.capacityBytes], 0);
      const own = new Segment(segmentKind.session, [options.capacityBytes], 0);
      const bell = new Doorbell(own, 0);
      link.attach(own.bytes, dupFd(own.fd), dupFd(bell.fd));
      const { offer } = link;
      const seen = new Segment(segmentKind.session, dupFd(offer.fds[0]), offer.bytes, offer.bytes);
      const writer = new LaneWriter(own, seen, 0);
      let broken: string | undefined;
      const place = { side: 'server' as const, peerOf: () => ({ ...peer, app: 'fuzzer', metadata: null }) };
      const spec: ChannelSpec = {
        ...options,
        unexpected: random.below(2) === 0 ? 'block' : 'drop-newest',
        ...(random.below(2) === 0 && { schema: { up: anything, requests: { add: [anything, anything] } } }),
      };
      const observer = {
        peerEnded() {},
        broken: (why: string) => {
          broken = why;
        },
        sendHandle() {},
      };
      const end = new ChannelEnd('fuzzed', spec, link, 0, observer, undefined, place);
      end.openForUse();
      if (random.below(2) === 0) end.onBatch(() => undefined);
      end.onRequest(
        'add',
        random.below(2) === 0
          ? () => 1
          : async function* () {
              yield 1;
              yield 'two';
            },
      );
      end.onDialog('talk', async (_, dialog) => {
        for await (const value of dialog) await dialog.send(value);
      });
      const asked: Promise<unknown>[] = [
        end.request('add', 'x'),
        end.requestMany('add', 'x', { ahead: 2 }).next(),
        end.dialog('talk', 'x').ask('y'),
      ].map((call) => call.catch((error: unknown) => error));
      let lastRequest = 0;
      let lastHandle = 0;
      for (let left = 24; left > 0; left--) {
        const kind = random.below(20) === 0 ? random.below(256) : kinds[random.below(kinds.length)]!;
        const payload = mutate(random, random.below(3) === 0 ? messages : requests);
        const flags = random.below(4) === 0 ? random.below(5) : 0;
        // Numbers that are those of our requests, or of new ones, or neither.
        const honest = kind === recordKind.request ? ++lastRequest : 1 + random.below(3);
        const number = random.below(8) === 0 ? random.next() | 0 : honest;
        if (kind === recordKind.message && flags === 0) writer.write(kind, 0, payload, payload.length);
        else writer.writeNumbered(kind, flags, number, payload, payload.length);
        writer.publish();
        if (random.below(6) === 0)
          refusable(() =>
            end.receiveHandle(random.below(4) === 0 ? random.below(9) : ++lastHandle, dupFd(0)),
          );
        end.poll();
        if (broken !== undefined) break;
      }
      const { size } = openDescriptors();
      end.finish(IpcError.of('ERR_CHANNEL_CLOSED', 'fuzzed'));
      assert.isAtMost(openDescriptors().size, size, 'a descriptor was opened by the end');
      for (const segment of [own, seen] as NativeSegment[]) segment.close();
      bell.close();
      link.close();
      return settled(asked).then(() => {
        // What no message belonged to, and what nobody has received, is closed by now.
        const left = [...openDescriptors().values()].filter((path) => path === stdin).length;
        assert.isAtMost(left, stdinOpen, 'a descriptor was left');
      });
    },
  };
}

/** Where the descriptors lead that a peer sends here, and how many lead there by themselves. */
const stdin = openDescriptors().get(0);
const stdinOpen = [...openDescriptors().values()].filter((path) => path === stdin).length;

/** Nobody waits for an answer that will never come. */
async function settled(calls: Promise<unknown>[]): Promise<void> {
  let done = false;
  const all = Promise.all(calls).then(() => {
    done = true;
  });
  for (let turn = 0; turn < 10 && !done; turn++) await new Promise(setImmediate);
  if (!done) throw new Error('a request was never answered');
  await all;
}

function segmentTarget(): Target {
  const codes = ['BAD_LAYOUT', 'BAD_SEGMENT', 'TOO_LARGE'];
  return {
    feed(random) {
      const { Segment, dupFd, layout } = native();
      const kind = random.below(4);
      const own = new Segment(segmentKind.session, [1024, 2048], 0);
      const words = new Uint32Array(own.buffer);
      const at = [0, 1, 2, 3, 4, 5, (layout.lanesOffset >> 2) + 2, (layout.lanesOffset >> 2) + 3];
      for (let left = random.below(3); left > 0; left--)
        words[random.below(2) === 0 ? at[random.below(at.length)]! : random.below(words.length)] =
          random.next();
      const bytes = random.below(4) === 0 ? random.next() : own.bytes;
      try {
        const seen = new Segment(
          kind,
          dupFd(own.fd),
          bytes,
          random.below(4) === 0 ? random.next() : 2 ** 32 - 1,
        );
        for (let lane = 0; lane < seen.rings.length; lane += 2)
          assert.isAtMost(seen.rings[lane]! + seen.rings[lane + 1]!, seen.bytes);
        seen.close();
      } catch (error) {
        if (!codes.includes(nativeCode(error) ?? '')) throw error;
      }
      own.close();
    },
  };
}

/** A real server: clients say anything, before and after their log-in; it serves on. */
async function serverTarget(): Promise<Target> {
  const court = new Court();
  let sessions = 0;
  await court.runtime().serve(
    tennis.wall,
    holder<ServerSession>(() => sessions++),
    { loginTimeoutMs: 500 },
  );
  const say = async (random: Random, client: RawClient) => {
    for (let left = 1 + random.below(3); left > 0 && client.end === undefined; left--) {
      const bytes = mutate(random, frames);
      try {
        if (bytes.length > 0) client.sendBytes(bytes, random.below(3) === 0 ? client.fds : []);
      } catch (error) {
        if (!['CLOSED', 'RESET'].includes(nativeCode(error) ?? '')) throw error;
      }
      await new Promise(setImmediate);
    }
  };
  return {
    async feed(random) {
      const client = new RawClient(court);
      const before = sessions;
      if (random.below(2) === 0) {
        await client.logIn();
        await waitUntil('the session of an honest client', () => sessions > before);
      }
      await say(random, client);
      client.close();
    },
    async close() {
      const before = sessions;
      const client = new RawClient(court);
      await client.logIn();
      await waitUntil('the session of an honest client', () => sessions > before);
      client.close();
      await court.close();
    },
  };
}

/** The root's control socket. */
function controlTarget(): Target {
  const folder = temporaryFolder();
  const path = `${folder.path}/control.sock`;
  const server = new ControlServer(path, { status: () => ({ units: ['x'.repeat(100_000)] }) });
  return {
    async feed(random) {
      const socket = new (native().Socket)(path);
      let answers = 0;
      let ended = false;
      socket.listen(
        () => answers++,
        () => {
          ended = true;
        },
        () => undefined,
      );
      const bytes = mutate(random, frames);
      if (bytes.length > 0) socket.send(bytes);
      await waitUntil('an answer or the end', () => ended || answers > 0 || bytes.length === 0);
      socket.close();
    },
    close() {
      server.close();
      folder[Symbol.dispose]();
    },
  };
}

export const targets: Readonly<Record<string, () => Target | Promise<Target>>> = {
  frame: frameTarget,
  msgpack: msgpackTarget,
  lane: laneTarget,
  channel: channelTarget,
  segment: segmentTarget,
  server: serverTarget,
  control: controlTarget,
  handle: handleTarget,
  region: regionTarget,
  'relay-config': relayConfigTarget,
  'env-file': envFileTarget,
  topology: topologyTarget,
  workspace: workspaceTarget,
  condition: conditionTarget,
  uri: uriTarget,
  recording: recordingTarget,
  inspector: inspectorTarget,
  record: recordTarget,
  probe: probeTarget,
  link: linkTarget,
  relay: relayTarget,
  nats: natsTarget,
};
