// Relay hub: where the nodes of a relay meet. Hands on what is published, finds who serves what is asked, and answers itself for
// leases, registry, small keys and blobs. It reads no message that it hands on, unless a hook asks for it. A node that takes too
// slowly holds up nobody: what has no room is dropped for it alone, counted, and told to it.
import { IpcError, messageOf } from '../errors.ts';
import type { RelayHandler, RelayNode, RelayRole } from '../spec/relay.ts';
import { type Frame, textOf, wholeOf } from './frame.ts';
import { HubBlobs } from './hub-blobs.ts';
import { HubKeys } from './hub-keys.ts';
import { HubLeases } from './hub-leases.ts';
import type { RelayPort } from './relay-port.ts';

const nameMax = 255;
/** For one node. */
const limits = { topics: 1_024, services: 1_024, requests: 1_024 } as const;

/** Sees what is published before anybody else; answers what is handed on, or undefined to keep it back. */
export type BeforeFanOut = (topic: string, body: unknown, from: string) => unknown;
/** Sees it once it has been handed on, and to how many. */
export type AfterFanOut = (topic: string, body: unknown, from: string, nodes: number) => void;

export interface HubOptions {
  /** Who holds a lease, where that is laid down; all others go to whoever asks first. */
  readonly leases?: Readonly<Record<string, string>>;
  /** Nodes that ought to be there. */
  readonly expected?: readonly { readonly node: string; readonly role: RelayRole }[];
  /** Called when a node comes, and when it has gone. */
  readonly onMember?: (member: { node: string; role: RelayRole }, there: boolean) => void;
  /** Milliseconds that never jump. */
  readonly now?: () => number;
}

interface Member {
  readonly port: RelayPort;
  readonly topics: Set<string>;
  /** Service to group. */
  readonly services: Map<string, string>;
  /** Their requests, by their number. */
  readonly asking: Map<number, Pending>;
  /** What has been dropped since it was last told. */
  dropped: number;
  there: boolean;
}

interface Pending {
  readonly asker: Member;
  readonly askerNumber: number;
  readonly server: Member | undefined;
  readonly number: number;
  readonly giveUp: AbortController | undefined;
  timer: NodeJS.Timeout | undefined;
}

export interface HubStats {
  readonly members: number;
  readonly published: number;
  readonly delivered: number;
  readonly dropped: number;
  readonly requests: number;
}

export class RelayHub {
  readonly #options: HubOptions;
  readonly #members = new Set<Member>();
  readonly #byTopic = new Map<string, Set<Member>>();
  readonly #byService = new Map<string, Member[]>();
  readonly #own = new Map<string, RelayHandler>();
  readonly #pending = new Map<number, Pending>();
  readonly #before: BeforeFanOut[] = [];
  readonly #after: AfterFanOut[] = [];
  #number = 0;
  #published = 0;
  #delivered = 0;
  #dropped = 0;
  #requests = 0;

  constructor(options: HubOptions = {}) {
    this.#options = options;
    const now = options.now ?? (() => performance.now());
    const leases = new HubLeases(now, options.leases ?? {});
    const keys = new HubKeys(leases, (bucket, change) =>
      this.#publish(`$kv.${bucket}`, change, '$hub', undefined),
    );
    const blobs = new HubBlobs();
    for (const [name, handler] of [...leases.services(), ...keys.services(), ...blobs.services()])
      this.#own.set(name, handler);
    this.#own.set('$nodes', () => this.nodes());
  }

  get stats(): HubStats {
    return {
      members: [...this.#members].filter(({ there }) => there).length,
      published: this.#published,
      delivered: this.#delivered,
      dropped: this.#dropped,
      requests: this.#requests,
    };
  }

  beforeFanOut(hook: BeforeFanOut): void {
    this.#before.push(hook);
  }

  afterFanOut(hook: AfterFanOut): void {
    this.#after.push(hook);
  }

  /** All nodes that are there, and those that ought to be. */
  nodes(): RelayNode[] {
    const there = [...this.#members]
      .filter((member) => member.there)
      .map(({ port: { node, role } }) => ({ node, role, connected: true }));
    const missing = (this.#options.expected ?? [])
      .filter(({ node }) => !there.some((other) => other.node === node))
      .map(({ node, role }) => ({ node, role, connected: false }));
    return [...there, ...missing];
  }

  /** Nodes whose link is lost and that may come back, and those that ought to be there and never came. */
  away(): { node: string; role: RelayRole }[] {
    const lost = [...this.#members]
      .filter(({ there }) => !there)
      .map(({ port: { node, role } }) => ({ node, role }));
    const missing = this.nodes().filter(({ connected }) => !connected);
    return [...lost.filter(({ node }) => !missing.some((other) => other.node === node)), ...missing];
  }

  /** Takes a node in; it is out when its port closes. */
  join(port: RelayPort): void {
    const member: Member = {
      port,
      topics: new Set(),
      services: new Map(),
      asking: new Map(),
      dropped: 0,
      there: false,
    };
    this.#members.add(member);
    port.listen({
      message: (message) => this.#onMessage(member, message),
      opened: (fresh) => {
        if (fresh) this.#forget(member);
        this.#setThere(member, true);
      },
      lost: () => this.#setThere(member, false),
      closed: () => {
        this.#setThere(member, false);
        this.#forget(member);
        this.#members.delete(member);
      },
    });
  }

  #setThere(member: Member, there: boolean): void {
    if (member.there === there) return;
    member.there = there;
    const { node, role } = member.port;
    this.#options.onMember?.({ node, role }, there);
  }

  #forget(member: Member): void {
    for (const topic of member.topics) this.#byTopic.get(topic)?.delete(member);
    member.topics.clear();
    for (const service of [...member.services.keys()]) this.#unserve(member, service);
    for (const pending of [...this.#pending.values()]) {
      if (pending.asker === member) this.#giveUp(pending, 'its asker is gone');
      else if (pending.server === member)
        this.#answer(
          pending,
          failure('ERR_RELAY_UNAVAILABLE', `request of ${member.port.node} has got no answer: it is gone`),
        );
    }
    member.dropped = 0;
  }

  #onMessage(member: Member, message: Frame): void {
    switch (message.t) {
      case 'publish':
        return this.#publish(textOf(message, 'topic', nameMax), message.body, member.port.node, member);
      case 'subscribe':
        return this.#done(member, message, this.#subscribe(member, textOf(message, 'topic', nameMax)));
      case 'unsubscribe': {
        const topic = textOf(message, 'topic', nameMax);
        member.topics.delete(topic);
        return this.#leave(topic, member);
      }
      case 'serve': {
        const group = textOf(message, 'group', nameMax);
        return this.#done(member, message, this.#serve(member, textOf(message, 'service', nameMax), group));
      }
      case 'unserve':
        return this.#unserve(member, textOf(message, 'service', nameMax));
      case 'request':
        return this.#request(member, message);
      case 'answer':
      case 'failure':
        return this.#onAnswer(member, message);
      case 'cancel': {
        const pending = member.asking.get(wholeOf(message, 'n'));
        if (pending) this.#giveUp(pending, 'its asker has given up');
        return;
      }
      default:
        throw new Error(`a message of unknown type ${message.t}`);
    }
  }

  // ---- publish and subscribe

  #publish(topic: string, published: unknown, from: string, publisher: Member | undefined): void {
    this.#published++;
    let body = published;
    for (const hook of this.#before) {
      body = hook(topic, body, from);
      if (body === undefined) return;
    }
    let nodes = 0;
    for (const member of this.#byTopic.get(topic) ?? []) {
      // It knows what it has said.
      if (member === publisher || (!publisher && member.port.node === from)) continue;
      if (this.#deliver(member, { t: 'message', topic, from, body })) nodes++;
    }
    for (const hook of this.#after) hook(topic, body, from, nodes);
  }

  /** Publishes as the hub's own node. */
  publish(topic: string, body: unknown, from: string): void {
    this.#publish(topic, body, from, undefined);
  }

  #deliver(member: Member, message: Frame): boolean {
    if (member.dropped > 0 && member.port.post({ t: 'gap', count: member.dropped })) member.dropped = 0;
    if (member.dropped === 0 && member.port.post(message)) {
      this.#delivered++;
      return true;
    }
    member.dropped++;
    this.#dropped++;
    return false;
  }

  #subscribe(member: Member, topic: string): string | undefined {
    if (member.topics.has(topic)) return undefined;
    if (member.topics.size >= limits.topics)
      return `${member.port.node} has ${limits.topics} subscriptions already`;
    member.topics.add(topic);
    const members = this.#byTopic.get(topic);
    if (members) members.add(member);
    else this.#byTopic.set(topic, new Set([member]));
    return undefined;
  }

  #leave(topic: string, member: Member): void {
    const members = this.#byTopic.get(topic);
    members?.delete(member);
    if (members?.size === 0) this.#byTopic.delete(topic);
  }

  // ---- serve and request

  #serve(member: Member, service: string, group: string): string | undefined {
    if (service.startsWith('$')) return 'a name with $ belongs to the hub';
    const servers = this.#byService.get(service) ?? [];
    const others = servers.filter((other) => other !== member);
    if (member.services.size >= limits.services)
      return `${member.port.node} serves ${limits.services} already`;
    // Nodes that serve the same without a group are told apart by `to`.
    const mixed = others.find((other) => other.services.get(service) !== group);
    if (mixed)
      return `${mixed.port.node} serves it ${group === '' ? 'in a group' : 'in another group, or in none'}`;
    member.services.set(service, group);
    this.#byService.set(service, [...others, member]);
    return undefined;
  }

  #unserve(member: Member, service: string): void {
    if (!member.services.delete(service)) return;
    const servers = (this.#byService.get(service) ?? []).filter((other) => other !== member);
    if (servers.length > 0) this.#byService.set(service, servers);
    else this.#byService.delete(service);
  }

  #request(asker: Member, message: Frame): void {
    const askerNumber = wholeOf(message, 'n');
    const service = textOf(message, 'service', nameMax);
    const ms = wholeOf(message, 'ms', 2 ** 31);
    const to = message.to === undefined ? undefined : textOf(message, 'to', 64);
    this.#requests++;
    const refuse = (code: string, why: string) =>
      void asker.port.post({ ...failure(code, why), n: askerNumber });
    if (asker.asking.has(askerNumber)) throw new Error(`a second request ${askerNumber}`);
    if (asker.asking.size >= limits.requests)
      return refuse(
        'ERR_RELAY_FULL',
        `request ${service} was refused for want of room: ${limits.requests} are under way`,
      );
    const own = to === undefined ? this.#own.get(service) : undefined;
    const server = own ? undefined : this.#serverOf(service, to);
    if (!own && !server)
      return refuse(
        'ERR_RELAY_UNAVAILABLE',
        `request ${service} has got no answer: ${to === undefined ? 'nobody' : `no node ${to}`} serves it now`,
      );
    const number = ++this.#number;
    const pending: Pending = {
      asker,
      askerNumber,
      server,
      number,
      giveUp: own && new AbortController(),
      timer: undefined,
    };
    this.#pending.set(number, pending);
    asker.asking.set(askerNumber, pending);
    // Its asker gives up by itself; this is for an asker that is cut off.
    pending.timer = setTimeout(
      () => this.#giveUp(pending, 'its time is over'),
      Math.min(ms + 1_000, 2 ** 31 - 1),
    );
    pending.timer.unref();
    const { node: from, role } = asker.port;
    if (own) return this.#answerOwn(pending, own, message.body, from, role);
    if (!server!.port.post({ t: 'request', n: number, service, from, role, body: message.body }))
      this.#answer(
        pending,
        failure(
          'ERR_RELAY_FULL',
          `request ${service} was refused for want of room: ${server!.port.node} takes nothing now`,
        ),
      );
  }

  /** In turn; nodes that are away are passed over while another one is there. */
  #serverOf(service: string, to: string | undefined): Member | undefined {
    const servers = this.#byService.get(service);
    if (!servers) return undefined;
    if (to !== undefined) return servers.find(({ port, there }) => there && port.node === to);
    const index = servers.findIndex(({ there }) => there);
    if (index < 0) return undefined;
    const [server] = servers.splice(index, 1);
    servers.push(server!);
    return server;
  }

  #answerOwn(pending: Pending, handler: RelayHandler, body: unknown, from: string, role: RelayRole): void {
    const signal = pending.giveUp!.signal;
    new Promise((resolve) => resolve(handler(body, { from, role, signal })))
      .then((answer) => this.#answer(pending, { t: 'answer', body: answer ?? null }))
      .catch((error: unknown) =>
        this.#answer(
          pending,
          error instanceof IpcError
            ? failure(error.code, error.message)
            : failure('ERR_REQUEST_FAILED', messageOf(error)),
        ),
      );
  }

  #onAnswer(server: Member, message: Frame): void {
    const pending = this.#pending.get(wholeOf(message, 'n'));
    // Given up, or another run's; a node answers only what it was asked.
    if (!pending || pending.server !== server) return;
    if (message.t === 'failure') textOf(message, 'code', 64);
    this.#answer(pending, message);
  }

  #answer(pending: Pending, answer: Frame): void {
    if (!this.#end(pending)) return;
    const { asker, askerNumber } = pending;
    let posted = false;
    try {
      posted = asker.port.post({ ...answer, n: askerNumber });
    } catch (error) {
      posted = asker.port.post({ ...failure('ERR_REQUEST_FAILED', messageOf(error)), n: askerNumber });
    }
    if (!posted) asker.dropped++;
  }

  #giveUp(pending: Pending, why: string): void {
    if (!this.#end(pending)) return;
    pending.giveUp?.abort(new Error(why));
    pending.server?.port.post({ t: 'cancel', n: pending.number });
  }

  #end(pending: Pending): boolean {
    clearTimeout(pending.timer);
    pending.asker.asking.delete(pending.askerNumber);
    return this.#pending.delete(pending.number);
  }

  #done(member: Member, message: Frame, refused: string | undefined): void {
    const n = wholeOf(message, 'n');
    member.port.post(
      refused === undefined
        ? { t: 'answer', n, body: null }
        : { ...failure('ERR_REFUSED', IpcError.of('ERR_REFUSED', message.t, refused).message), n },
    );
  }
}

function failure(code: string, why: string): Frame {
  return { t: 'failure', code, why };
}
