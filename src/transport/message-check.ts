// MessageCheck: the schemas of a channel as one side applies them. What we send is checked and sent as it is; what arrives
// is handed on as its schema gives it back.
import { IpcError, messageOf } from '../errors.ts';
import type { Side } from '../spec/peer.ts';
import type { ChannelSchema, SchemaIssue, StandardSchema } from '../spec/schema.ts';

/** Issues that a message of an error names; one is what people need. */
const issuesMax = 3;

export class MessageCheck {
  readonly #channel: string;
  readonly #outgoing: StandardSchema | undefined;
  readonly #incoming: StandardSchema | undefined;
  readonly #requests: NonNullable<ChannelSchema['requests']>;

  private constructor(channel: string, { up, down, requests = {} }: ChannelSchema, side: Side) {
    this.#channel = channel;
    this.#outgoing = side === 'client' ? up : down;
    this.#incoming = side === 'client' ? down : up;
    this.#requests = requests;
  }

  /** Nothing where there is no schema, so that nobody asks. */
  static of(channel: string, schema: ChannelSchema | undefined, side: Side): MessageCheck | undefined {
    return schema && new MessageCheck(channel, schema, side);
  }

  /** @throws {IpcError} ERR_MESSAGE_REJECTED, as all of these. */
  outgoing(message: unknown): void {
    checked(this.#outgoing, message, `a message on channel ${this.#channel}`);
  }

  incoming(message: unknown): unknown {
    return checked(this.#incoming, message, `a message on channel ${this.#channel}`);
  }

  request(name: string, value: unknown): unknown {
    return checked(this.#pair(name)?.[0], value, `request ${name} on channel ${this.#channel}`);
  }

  reply(name: string, value: unknown): unknown {
    return checked(this.#pair(name)?.[1], value, `a reply to ${name} on channel ${this.#channel}`);
  }

  #pair(name: string) {
    return Object.hasOwn(this.#requests, name) ? this.#requests[name] : undefined;
  }
}

function checked(schema: StandardSchema | undefined, value: unknown, what: string): unknown {
  if (!schema) return value;
  const fail = (why: string, cause?: unknown) => IpcError.from(cause, 'ERR_MESSAGE_REJECTED', what, why);
  let result: ReturnType<StandardSchema['~standard']['validate']>;
  try {
    result = schema['~standard'].validate(value);
  } catch (error) {
    throw fail(messageOf(error), error);
  }
  if ('then' in result) {
    // It would settle after messages that came later.
    result.then(undefined, () => undefined);
    throw fail('the schema is asynchronous; messages are checked in order, so it must answer at once');
  }
  if (result.issues)
    throw fail(result.issues.slice(0, issuesMax).map(wordsOf).join('; ') || 'it was refused');
  return result.value;
}

function wordsOf({ message, path = [] }: SchemaIssue): string {
  const place = path.map((part) => String(typeof part === 'object' ? part.key : part)).join('.');
  return place === '' ? message : `${place}: ${message}`;
}
