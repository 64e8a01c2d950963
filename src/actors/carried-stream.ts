// Carried stream: batches in order between the gateways of one session, each taken once, whatever becomes of the links between.
// What the other side has not confirmed is sent again, from the first on, and it leaves out what it has already. A request of a
// relay alone promises less: it fails at once while a link is down, and is lost with its hub.
import { messageOf } from '../errors.ts';
import type { Clock } from '../machines/clock.ts';
import type { Relay } from '../spec/relay.ts';
import { mapOf, wholeOf } from '../transport/frame.ts';

/** The service by which gateways hand each other batches. */
export const carryService = 'session.carry';

/** Batches without a confirmation, of one session. */
const underwayMax = 4;
/** For one try. */
const answerTimeoutMs = 3_000;
const retryMs = 100;
/** How often a stream with nothing to say asks whether the other side is there. */
const beatMs = 1_000;

export type Items = readonly unknown[];

interface Batch {
  readonly number: number;
  readonly items: Items;
}

export interface StreamSettings {
  readonly relay: Relay;
  readonly clock: Clock;
  /** The node of the other gateway, and the session's name. */
  readonly node: string;
  readonly session: string;
  /** Without a word for so long, the other side is lost. */
  readonly outageMs: number;
  /** There is room for another batch. */
  readonly onRoom: () => void;
  /** Called once. */
  readonly onLost: (why: string) => void;
}

export class CarriedStream {
  readonly #settings: StreamSettings;
  #underway: Batch[] = [];
  #number = 0;
  #taken = 0;
  #heardAtMs: number;
  /** Counts the times that all was sent again; answers to earlier ones say nothing. */
  #turn = 0;
  #retry: unknown;
  #beat: unknown;
  #asking = 0;
  #closed = false;

  constructor(settings: StreamSettings) {
    this.#settings = settings;
    this.#heardAtMs = settings.clock.now();
    this.#beat = settings.clock.setTimeout(() => this.#onBeat(), beatMs);
  }

  get hasRoom(): boolean {
    return !this.#closed && this.#underway.length < underwayMax;
  }

  /** Whether everything is confirmed. */
  get settled(): boolean {
    return this.#underway.length === 0;
  }

  push(items: Items): void {
    const batch = { number: ++this.#number, items };
    this.#underway.push(batch);
    if (this.#retry === undefined) this.#send(batch);
  }

  /** A batch of the other side. @returns the answer. @param take throws if the batch makes no sense. */
  accept(number: number, items: Items, take: (items: Items) => void): { got: number } {
    this.#heardAtMs = this.#settings.clock.now();
    if (number === this.#taken + 1) {
      this.#taken = number;
      take(items);
    }
    return { got: this.#taken };
  }

  close(): void {
    this.#closed = true;
    this.#underway = [];
    this.#settings.clock.clearTimeout(this.#beat);
    this.#settings.clock.clearTimeout(this.#retry);
  }

  #send({ number, items }: Batch): void {
    const { relay, node, session } = this.#settings;
    const turn = this.#turn;
    this.#asking++;
    const options = { to: node, timeoutMs: answerTimeoutMs };
    relay.request(carryService, { session, number, items }, options).then(
      (answer) => {
        this.#asking--;
        if (!this.#closed) this.#onAnswer(number, turn, answer);
      },
      (error) => {
        this.#asking--;
        if (!this.#closed && turn === this.#turn) this.#again(messageOf(error));
      },
    );
  }

  #onAnswer(number: number, turn: number, answer: unknown): void {
    const facts = mapOf({ t: carryService, answer }, 'answer');
    if (typeof facts.gone === 'string') return this.#lose(facts.gone.slice(0, 900));
    let got: number;
    try {
      got = wholeOf({ t: carryService, ...facts }, 'got', this.#number);
    } catch (error) {
      return this.#lose(messageOf(error));
    }
    this.#heardAtMs = this.#settings.clock.now();
    const before = this.#underway.length;
    while (this.#underway.length > 0 && this.#underway[0]!.number <= got) this.#underway.shift();
    if (got < number && turn === this.#turn) this.#again('the node did not get what went before');
    if (this.#underway.length < before) this.#settings.onRoom();
  }

  /** Sends all that is not confirmed once more, after a pause. */
  #again(why: string): void {
    const { clock, node, outageMs } = this.#settings;
    if (this.#retry !== undefined) return;
    const silentMs = clock.now() - this.#heardAtMs;
    if (silentMs >= outageMs)
      return this.#lose(`nothing was heard of the node ${node} for ${Math.round(silentMs)} ms: ${why}`);
    this.#turn++;
    this.#retry = clock.setTimeout(() => {
      this.#retry = undefined;
      for (const batch of this.#underway) this.#send(batch);
    }, retryMs);
  }

  /** An empty batch with a number that was taken long ago. */
  #onBeat(): void {
    this.#beat = this.#settings.clock.setTimeout(() => this.#onBeat(), beatMs);
    if (this.#asking === 0 && this.#retry === undefined) this.#send({ number: 0, items: [] });
  }

  #lose(why: string): void {
    if (this.#closed) return;
    this.close();
    this.#settings.onLost(why);
  }
}
