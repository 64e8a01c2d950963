// Payload: what travels. Each message is written anew at its sender and checked at its reader, so that no transport wins by
// leaving data where it is: of bytes, each cache line is written and summed; of an object, each field is made and read.
import type { Job } from './job.ts';

/** An object of twenty fields, as a price feed sends it. */
export interface Quote {
  sequence: number;
  symbol: string;
  exchange: string;
  currency: string;
  bid: number;
  ask: number;
  bidSize: number;
  askSize: number;
  last: number;
  lastSize: number;
  open: number;
  high: number;
  low: number;
  close: number;
  volume: number;
  turnover: number;
  halted: boolean;
  condition: string | null;
  sentAtMs: number;
  venueSequence: number;
}

/** Bytes as they are, bytes as base64 for JSON, or an object. */
export type Message = Uint8Array | string | Quote;

export interface Payload {
  /** Message number `n`. May be the same object each time: send it before the next call. */
  write(n: number): Message;
  /** Throws unless the message is number `n` and whole. */
  check(message: unknown, n: number): void;
  /** Says that a measure is over. */
  readonly end: Message;
  isEnd(message: unknown): boolean;
}

/** JSON carries no bytes, so what programs send over a JSON transport is base64. */
export function payloadOf({ payload, transport }: Job): Payload {
  if (payload === 'object') return quotePayload();
  return transport === 'fork-json' ? base64Payload(payload) : bytesPayload(payload);
}

/** Of an object: the bytes of its JSON. */
export function sizeBytesOf(payload: Job['payload']): number {
  return payload === 'object' ? JSON.stringify(quoteOf(0)).length : payload;
}

/** The ring of a session and of the limit beside it: the default for what is small, else more than twice the message. */
export function ringBytesOf(payload: Job['payload']): number {
  return payload === 'object' ? ringBytesMin : Math.max(ringBytesMin, payload * 4);
}

/** The default of a channel. */
const ringBytesMin = 256 * 1024;

/** The unit in which memory moves between cores. */
export const lineBytes = 64;

/** Writes the low byte of `n` into each cache line. */
export function stamp(bytes: Uint8Array, n: number): void {
  const mark = n & 0xff;
  for (let at = 0; at < bytes.length; at += lineBytes) bytes[at] = mark;
}

/** Throws unless the sum over all cache lines is that of message number `n`. */
export function checkStamp(bytes: Uint8Array, n: number): void {
  let sum = 0;
  for (let at = 0; at < bytes.length; at += lineBytes) sum += bytes[at]!;
  const expected = (n & 0xff) * Math.ceil(bytes.length / lineBytes);
  if (sum !== expected) throw new Error(`message ${n} arrived with the sum ${sum} instead of ${expected}`);
}

/** Writes the low byte of `n` into the first and the last byte, and into nothing between. */
export function markEnds(bytes: Uint8Array, n: number): void {
  bytes[0] = n & 0xff;
  bytes[bytes.length - 1] = n & 0xff;
}

/** Throws unless the first and the last byte are those of message number `n`. */
export function checkEnds(bytes: Uint8Array, n: number): void {
  const [first, last] = [bytes[0], bytes[bytes.length - 1]];
  if (first !== (n & 0xff) || last !== first)
    throw new Error(`message ${n} arrived with ${first} and ${last} at its ends`);
}

function bytesPayload(sizeBytes: number): Payload {
  const bytes = Buffer.alloc(sizeBytes, 0x5a);
  return {
    write(n) {
      stamp(bytes, n);
      return bytes;
    },
    check(message, n) {
      if (!(message instanceof Uint8Array) || message.length !== sizeBytes)
        throw new Error(`message ${n} is not of ${sizeBytes} bytes`);
      checkStamp(message, n);
    },
    end: Buffer.alloc(1),
    isEnd: (message) => message instanceof Uint8Array && message.length === 1,
  };
}

function base64Payload(sizeBytes: number): Payload {
  const bytes = bytesPayload(sizeBytes);
  return {
    write: (n) => (bytes.write(n) as Buffer).toString('base64'),
    check: (message, n) => bytes.check(Buffer.from(message as string, 'base64'), n),
    end: '',
    isEnd: (message) => message === '',
  };
}

function quotePayload(): Payload {
  const sumOfFirst = sumOf(quoteOf(0));
  return {
    write: quoteOf,
    check(message, n) {
      const sum = sumOf(message as Quote);
      // Three fields are prices, four count the messages.
      const expected = sumOfFirst + 3 * priceStep * (n & 0xff) + 4 * n;
      if (sum !== expected) throw new Error(`quote ${n} arrived with the sum ${sum} instead of ${expected}`);
    },
    end: quoteOf(-1),
    isEnd: (message) => (message as Quote).sequence === -1,
  };
}

/** A power of two, so that sums of prices are exact. */
const priceStep = 0.125;

function quoteOf(n: number): Quote {
  const price = 100 + priceStep * (n & 0xff);
  return {
    sequence: n,
    symbol: 'ACME',
    exchange: 'XNAS',
    currency: 'USD',
    bid: price - 0.25,
    ask: price + 0.25,
    bidSize: 300,
    askSize: 500,
    last: price,
    lastSize: 100,
    open: 101.5,
    high: 133.25,
    low: 99.75,
    close: 102.125,
    volume: 1_234_567 + n,
    turnover: 126_543_210.5,
    halted: false,
    condition: null,
    sentAtMs: 1_790_000_000_000 + n,
    venueSequence: 7_000_000 + n,
  };
}

function sumOf(quote: Quote): number {
  const { symbol, exchange, currency, halted, condition } = quote;
  const words =
    symbol.length + exchange.length + currency.length + (halted ? 1 : 0) + (condition === null ? 0 : 1);
  const prices = quote.bid + quote.ask + quote.last + quote.open + quote.high + quote.low + quote.close;
  const sizes = quote.bidSize + quote.askSize + quote.lastSize + quote.volume + quote.turnover;
  return words + prices + sizes + quote.sequence + quote.sentAtMs + quote.venueSequence;
}
