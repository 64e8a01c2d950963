// Frame: one packet of a session socket or control socket, a msgpack map whose `t` says what it is. What arrives is
// input: each field is looked at before it is used, and a frame that makes no sense throws.
import { packPlain, unpackPlain } from './codec.ts';

/** Everything that travels in a log-in or a request for a channel, at most, besides the universe. */
export const metadataBytesMax = 64 * 1024;

export interface Frame {
  readonly t: string;
  readonly [field: string]: unknown;
}

export function encodeFrame(frame: Frame): Uint8Array {
  return packPlain(frame);
}

/** @throws an Error that says what is wrong. */
export function decodeFrame(bytes: Uint8Array): Frame {
  let frame: unknown;
  try {
    frame = unpackPlain(bytes);
  } catch {
    throw new Error('a packet that is no frame');
  }
  if (typeof frame !== 'object' || frame === null || typeof (frame as Frame).t !== 'string')
    throw new Error('a frame without a type');
  return frame as Frame;
}

function wrong(frame: Frame, field: string, wanted: string): Error {
  return new Error(`frame ${frame.t}: ${field} is not ${wanted}`);
}

/** A string of at most `max` characters. */
export function textOf(frame: Frame, field: string, max = 4096): string {
  const value = frame[field];
  if (typeof value !== 'string' || value.length > max)
    throw wrong(frame, field, `a string of at most ${max} characters`);
  return value;
}

/** A whole number from 0 to `max`. */
export function wholeOf(frame: Frame, field: string, max = Number.MAX_SAFE_INTEGER): number {
  const value = frame[field];
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0 || value > max)
    throw wrong(frame, field, `a whole number up to ${max}`);
  return value;
}

/** A map. */
export function mapOf(frame: Frame, field: string): Record<string, unknown> {
  const value = frame[field];
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw wrong(frame, field, 'a map');
  return value as Record<string, unknown>;
}

/** A list. */
export function listOf(frame: Frame, field: string): unknown[] {
  const value = frame[field];
  if (!Array.isArray(value)) throw wrong(frame, field, 'a list');
  return value;
}

/** A value that JSON can express and that is not larger than metadata may be. */
export function metadataOf(frame: Frame, field: string): unknown {
  const value = frame[field] ?? null;
  if (JSON.stringify(value).length > metadataBytesMax)
    throw wrong(frame, field, `at most ${metadataBytesMax} bytes of JSON`);
  return value;
}
