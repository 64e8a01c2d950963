// Value encoder: any value of a program as JSON for those who look on, in one pass, bounded, and never throwing: cycles,
// getters that throw, proxies, what JSON has no word for. src/inspector/protocol.ts says what comes of each. Secrets are left out here, in the process
// that has them.
import { messageOf } from '../errors.ts';
import { isSecretKey } from '../spec/secret.ts';
import type { Encoded } from './feed.ts';

/**
 * What stands in place of a value that not everybody may see. Called for each value below a context before anything is read
 * from it.
 * @param path as in `$.user.cards[3]`; `$` is the context itself.
 * @returns the value itself, another one, or undefined for "left out".
 */
export type Redact = (path: string, value: unknown) => unknown;

export interface EncoderOptions {
  readonly redact?: Redact | undefined;
  /** Texts that stand nowhere, also not within others. */
  readonly secrets?: readonly string[];
  readonly depthMax?: number;
  /** Of each object, array, map and set. */
  readonly entriesMax?: number;
  /** Of one text. */
  readonly textMax?: number;
  /** Of the whole, as JSON; about. */
  readonly bytesMax?: number;
}

const depthMaxDefault = 6;
const entriesMaxDefault = 100;
const textMaxDefault = 4 * 1024;
const bytesMaxDefault = 64 * 1024;
/** Bytes of binary data that are shown. */
const hexMax = 32;
/** Shorter ones would leave holes in ordinary words. */
const secretLengthMin = 4;

const hidden = { $: 'Redacted' } as const;

/** Encodes one value. Never throws. */
export function encodeValue(value: unknown, options: EncoderOptions = {}): Encoded {
  return new Encoding(options).begin(value);
}

/** A text without the secrets in it. */
export function withoutSecrets(text: string, secrets: readonly string[]): string {
  let shown = text;
  for (const secret of secrets)
    if (secret.length >= secretLengthMin && shown.includes(secret)) shown = shown.replaceAll(secret, '***');
  return shown;
}

class Encoding {
  readonly #options: EncoderOptions;
  readonly #secrets: readonly string[];
  readonly #secretMax: number;
  readonly #depthMax: number;
  readonly #entriesMax: number;
  readonly #textMax: number;
  /** Left of all bytes. */
  #room: number;
  /** Those in which we are, with their paths. */
  readonly #above = new Map<object, string>();

  constructor(options: EncoderOptions) {
    this.#options = options;
    this.#secrets = options.secrets ?? [];
    this.#secretMax = this.#secrets.reduce((most, { length }) => Math.max(most, length), 0);
    this.#depthMax = options.depthMax ?? depthMaxDefault;
    this.#entriesMax = options.entriesMax ?? entriesMaxDefault;
    this.#textMax = options.textMax ?? textMaxDefault;
    this.#room = options.bytesMax ?? bytesMaxDefault;
  }

  begin(value: unknown): Encoded {
    return this.#encode('$', '', value, 0);
  }

  #encode(path: string, key: string, given: unknown, depth: number): Encoded {
    this.#room -= 8;
    if (this.#room < 0) return { $: 'Deep', of: 'too much' };
    if (isSecretKey(key) && given !== null && given !== undefined) return hidden;
    try {
      const { redact } = this.#options;
      const value = redact ? redact(path, given) : given;
      if (redact && value === undefined && given !== undefined) return hidden;
      return this.#encodeValue(path, value, depth);
    } catch (error) {
      // A getter, a proxy or the hook. What was thrown may itself throw when it is looked at.
      return { $: 'Thrown', v: this.#text(whatWasThrown(error)) };
    }
  }

  #encodeValue(path: string, value: unknown, depth: number): Encoded {
    switch (typeof value) {
      case 'string':
        return this.#string(value);
      case 'number':
        return Number.isFinite(value) && !Object.is(value, -0)
          ? value
          : { $: 'Number', v: numberText(value) };
      case 'boolean':
        return value;
      case 'undefined':
        return { $: 'Undefined' };
      case 'bigint':
        return { $: 'BigInt', v: bigintText(value) };
      case 'symbol':
        return { $: 'Symbol', v: this.#text(value.description ?? '') };
      case 'function':
        return { $: 'Function', v: this.#text(String(value.name)) };
      default:
        return value === null ? null : this.#object(path, value as object, depth);
    }
  }

  #string(value: string): Encoded {
    if (value.length <= this.#textMax) return this.#text(value);
    return { $: 'Text', n: value.length, v: this.#text(value) };
  }

  #text(value: string): string {
    // A secret across the end of what is shown must not leave its beginning.
    const text = withoutSecrets(value.slice(0, this.#textMax + this.#secretMax), this.#secrets).slice(
      0,
      this.#textMax,
    );
    this.#room -= text.length;
    return text;
  }

  #object(path: string, value: object, depth: number): Encoded {
    const above = this.#above.get(value);
    if (above !== undefined) return { $: 'Cycle', v: above };
    const plain = this.#withoutEntries(value);
    if (plain !== undefined) return plain;
    if (depth >= this.#depthMax) return { $: 'Deep', of: this.#text(classOf(value)) };
    this.#above.set(value, path);
    try {
      if (Array.isArray(value)) return this.#array(path, value, depth);
      if (value instanceof Map) return this.#map(path, value, depth);
      if (value instanceof Set) return this.#set(path, value, depth);
      if (value instanceof Error) return this.#error(path, value, depth);
      return this.#record(path, value, depth);
    } finally {
      this.#above.delete(value);
    }
  }

  /** Undefined for what has entries. */
  #withoutEntries(value: object): Encoded | undefined {
    if (ArrayBuffer.isView(value)) {
      const bytes = new Uint8Array(value.buffer, value.byteOffset, Math.min(hexMax, value.byteLength));
      this.#room -= 2 * bytes.length;
      return { $: 'Bytes', of: classOf(value), n: value.byteLength, v: Buffer.from(bytes).toString('hex') };
    }
    if (value instanceof ArrayBuffer || value instanceof SharedArrayBuffer) {
      const bytes = new Uint8Array(value, 0, Math.min(hexMax, value.byteLength));
      return { $: 'Bytes', of: classOf(value), n: value.byteLength, v: Buffer.from(bytes).toString('hex') };
    }
    if (value instanceof Date) {
      const ms = Date.prototype.getTime.call(value);
      return { $: 'Date', v: Number.isNaN(ms) ? 'Invalid Date' : new Date(ms).toISOString() };
    }
    if (value instanceof RegExp || value instanceof URL)
      return { $: 'Object', of: classOf(value), n: 0, e: { text: this.#text(String(value)) } };
    // A reference to an actor leads to its whole system.
    if ('sessionId' in value && 'getSnapshot' in value)
      return { $: 'Actor', id: this.#text(String((value as { id?: unknown }).id)) };
    return undefined;
  }

  #array(path: string, value: readonly unknown[], depth: number): Encoded {
    const shown: Encoded[] = [];
    for (let i = 0; i < Math.min(value.length, this.#entriesMax) && this.#room > 0; i++)
      shown.push(this.#entry(`${path}[${i}]`, '', () => value[i], depth));
    return shown.length === value.length ? shown : { $: 'Array', n: value.length, e: shown };
  }

  #map(path: string, value: Map<unknown, unknown>, depth: number): Encoded {
    const shown: Encoded[] = [];
    for (const [key, item] of Map.prototype.entries.call(value)) {
      if (shown.length === this.#entriesMax || this.#room <= 0) break;
      const at = `${path}[${shown.length}]`;
      const name = typeof key === 'string' ? key : '';
      shown.push([this.#encode(at, '', key, depth + 1), this.#encode(at, name, item, depth + 1)]);
    }
    return { $: 'Map', n: value.size, e: shown };
  }

  #set(path: string, value: Set<unknown>, depth: number): Encoded {
    const shown: Encoded[] = [];
    for (const item of Set.prototype.values.call(value)) {
      if (shown.length === this.#entriesMax || this.#room <= 0) break;
      shown.push(this.#encode(`${path}[${shown.length}]`, '', item, depth + 1));
    }
    return { $: 'Set', n: value.size, e: shown };
  }

  #error(path: string, value: Error, depth: number): Encoded {
    return {
      $: 'Error',
      name: this.#text(String(value.name)),
      message: this.#text(messageOf(value)),
      ...(typeof value.stack === 'string' && { stack: this.#text(value.stack) }),
      ...(value.cause !== undefined && {
        cause: this.#encode(`${path}.cause`, 'cause', value.cause, depth + 1),
      }),
    };
  }

  #record(path: string, value: object, depth: number): Encoded {
    const shown: Record<string, Encoded> = {};
    const keys = Object.keys(value);
    let count = 0;
    for (const key of keys) {
      if (count === this.#entriesMax || this.#room <= 0) break;
      count++;
      const name = this.#text(key);
      // Not by assignment: `__proto__` is a key like any other.
      Object.defineProperty(shown, name, {
        value: this.#entry(`${path}.${key}`, key, () => (value as Record<string, unknown>)[key], depth),
        enumerable: true,
      });
    }
    const of = classOf(value);
    if (count === keys.length && of === 'Object' && !Object.hasOwn(shown, '$')) return shown;
    return { $: 'Object', ...(of !== 'Object' && { of: this.#text(of) }), n: keys.length, e: shown };
  }

  /** @param read called once; it may be a getter. */
  #entry(path: string, key: string, read: () => unknown, depth: number): Encoded {
    let value: unknown;
    try {
      value = read();
    } catch (error) {
      return { $: 'Thrown', v: this.#text(whatWasThrown(error)) };
    }
    return this.#encode(path, key, value, depth + 1);
  }
}

function classOf(value: object): string {
  const prototype = Object.getPrototypeOf(value) as { constructor?: { name?: unknown } } | null;
  const name = prototype?.constructor?.name;
  return typeof name === 'string' && name !== '' ? name : 'Object';
}

function numberText(value: number): string {
  return Object.is(value, -0) ? '-0' : String(value);
}

/** All digits of a number of a million take seconds. */
function bigintText(value: bigint): string {
  return value < 10n ** 100n && value > -(10n ** 100n)
    ? value.toString()
    : `0x${BigInt.asUintN(256, value).toString(16)}... (low 256 bits)`;
}

function whatWasThrown(error: unknown): string {
  try {
    return messageOf(error);
  } catch {
    return 'something that can not be shown';
  }
}
