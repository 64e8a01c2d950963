// The frames by which on-demand channels are opened, and any channel is ended by itself. Parsing checks every field; a frame
// that makes no sense throws.
//
// A channel has a number for the whole session: an init-channel that of its lane, an on-demand one the next of the side that
// offers it. Numbers never come again, so a frame can't be meant for another use of the same lanes.
import { type ErrorData, IpcError } from '../errors.ts';
import { type Frame, metadataOf, textOf, wholeOf } from '../transport/frame.ts';

/** Above all numbers of init-channels. Offers of the server have even numbers, those of the client odd ones. */
export const firstOfferNumber = 1024;
const wordMax = 2 ** 32 - 1;

/** One side wants to open a channel. The server says in which of the reserved lanes; for a client it chooses when it accepts. */
export interface OfferFacts {
  readonly number: number;
  readonly channel: string;
  readonly metadata: unknown;
  readonly slot: number | undefined;
}

export function offerFrame({ number, channel, metadata, slot }: OfferFacts): Frame {
  return { t: 'offer', number, channel, metadata, ...(slot !== undefined && { slot }) };
}

export function parseOffer(frame: Frame): OfferFacts {
  return {
    number: numberOf(frame),
    channel: textOf(frame, 'channel', 64),
    metadata: metadataOf(frame, 'metadata'),
    slot: slotOf(frame),
  };
}

/** Its program has the offer before it. */
export function noticedFrame(number: number): Frame {
  return { t: 'noticed', number };
}

export function acceptedFrame(number: number, slot: number | undefined): Frame {
  return { t: 'opened', number, ...(slot !== undefined && { slot }) };
}

export function parseAccepted(frame: Frame): { number: number; slot: number | undefined } {
  return { number: numberOf(frame), slot: slotOf(frame) };
}

export function rejectedFrame(number: number, { code, message }: ErrorData): Frame {
  return { t: 'declined', number, code, message: message.slice(0, 4000) };
}

export function parseRejected(frame: Frame): { number: number; error: IpcError } {
  const error = IpcError.received({
    code: textOf(frame, 'code', 64),
    message: textOf(frame, 'message', 4000),
  });
  return { number: numberOf(frame), error };
}

/** Whoever offered it waits no longer. */
export function withdrawnFrame(number: number): Frame {
  return { t: 'withdrawn', number };
}

/** The sender neither reads nor writes that channel's lanes any more; `tail` is where its own direction has ended. */
export function partedFrame(number: number, tail: number): Frame {
  return { t: 'parted', number, tail };
}

export function parseParted(frame: Frame): { number: number; tail: number } {
  return { number: numberOf(frame), tail: wholeOf(frame, 'tail', wordMax) };
}

export function numberOf(frame: Frame): number {
  return wholeOf(frame, 'number', wordMax);
}

function slotOf(frame: Frame): number | undefined {
  return frame.slot === undefined ? undefined : wholeOf(frame, 'slot', 63);
}
