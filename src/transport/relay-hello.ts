// Relay hello: the first frames of a link. Who it is, which versions it speaks, what it remembers of the other side and what it
// has got from it. Everything here was written by the peer.
import { isName, nameRule } from '../names.ts';
import { type RelayRole, relayRoles } from '../spec/relay.ts';
import { type Frame, mapOf, textOf, wholeOf } from './frame.ts';
import type { LineWindow } from './relay-line.ts';

/** Versions of the protocol that this release speaks. */
export const relayVersions = { min: 1, max: 1 } as const;

/** One run of a node: what it remembers of its peers dies with it. */
export type Incarnation = string;

export interface RelayHello {
  readonly versions: { readonly min: number; readonly max: number };
  readonly node: string;
  readonly role: RelayRole;
  /** Nodes of another cluster are refused. */
  readonly cluster: string;
  readonly me: Incarnation;
  /** Whom of the other side's runs it remembers; '' for none. */
  readonly you: Incarnation;
  /** The last message that it has got from that run. */
  readonly got: number;
  readonly window: LineWindow;
}

export interface RelayWelcome {
  readonly node: string;
  readonly role: RelayRole;
  readonly me: Incarnation;
  /** Both remember each other: what was under way goes on. */
  readonly resumed: boolean;
  readonly got: number;
  readonly window: LineWindow;
}

export function helloFrame(hello: RelayHello): Frame {
  return { t: 'hello', ...hello };
}

export function welcomeFrame(welcome: RelayWelcome): Frame {
  return { t: 'welcome', version: relayVersions.max, ...welcome };
}

/** @throws an Error that says what is wrong. */
export function parseHello(frame: Frame): RelayHello {
  if (frame.t !== 'hello') throw new Error(`it began with a frame ${frame.t}`);
  const versions = mapOf(frame, 'versions') as { t?: string } as Frame;
  return {
    versions: { min: wholeOf(versions, 'min'), max: wholeOf(versions, 'max') },
    cluster: textOf(frame, 'cluster', 64),
    you: textOf(frame, 'you', 64),
    ...who(frame),
  };
}

/** @throws an Error that says what is wrong. */
export function parseWelcome(frame: Frame): RelayWelcome {
  if (frame.t !== 'welcome') throw new Error(`it answered with a frame ${frame.t}`);
  if (typeof frame.resumed !== 'boolean') throw new Error('a welcome that does not say whether it goes on');
  return { resumed: frame.resumed, ...who(frame) };
}

function who(frame: Frame) {
  const node = nodeOf(frame);
  const role = textOf(frame, 'role', 64);
  if (!isRole(role)) throw new Error(`an unknown role ${JSON.stringify(role)}`);
  const me = textOf(frame, 'me', 64);
  if (me === '') throw new Error('it has no incarnation');
  return { node, role, me, got: wholeOf(frame, 'got'), window: windowOf(frame) };
}

function nodeOf(frame: Frame): string {
  const node = textOf(frame, 'node', 64);
  if (!isName(node)) throw new Error(`a node can't be called ${JSON.stringify(node)}: ${nameRule}`);
  return node;
}

/** A window of nothing would hold up everything for ever. */
function windowOf(frame: Frame): LineWindow {
  const window = mapOf(frame, 'window') as Frame;
  return {
    messages: Math.max(1, wholeOf(window, 'messages', 1_000_000)),
    bytes: Math.max(1, wholeOf(window, 'bytes', 2 ** 32)),
  };
}

function isRole(text: string): text is RelayRole {
  return (relayRoles as readonly string[]).includes(text);
}
