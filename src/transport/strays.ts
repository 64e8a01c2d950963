// Strays: what came on a channel and was not used. Counted, told to those who listen, and, where it was a reply, told to
// the peer that sent it.
import { IpcError, messageOf } from '../errors.ts';
import type { Stray } from '../spec/conversation.ts';

/** Sends [number, late, unknown]; resolves when that stands in the ring. */
export type TellPeer = (requestId: number, counts: readonly [late: number, unknown: number]) => Promise<void>;

export class Strays {
  lateReplies = 0;
  unknownReplies = 0;
  refusedReplies = 0;
  rejected = 0;
  unexpected = 0;
  unhandled = 0;

  readonly #tellPeer: TellPeer;
  readonly #observe: (stray: Stray) => void;
  readonly #handlers = new Set<(stray: Stray) => void>();
  /** What the peer has told of our replies. */
  #refused: readonly [late: number, unknown: number] = [0, 0];
  #telling = false;
  #untold: number | undefined;

  constructor(tellPeer: TellPeer, observe: (stray: Stray) => void) {
    this.#tellPeer = tellPeer;
    this.#observe = observe;
  }

  onStray(handler: (stray: Stray) => void): () => void {
    this.#handlers.add(handler);
    return () => void this.#handlers.delete(handler);
  }

  reply(requestId: number, reason: 'late' | 'unknown'): void {
    if (reason === 'late') this.lateReplies++;
    else this.unknownReplies++;
    this.#emit({ type: `reply.${reason}`, requestId });
    this.#untold = requestId;
    this.#tell();
  }

  /** The peer had no use for a reply of ours. Throws if what it says makes no sense. */
  refused(requestId: number, counts: unknown): void {
    const [late, unknown] = Array.isArray(counts) ? (counts as unknown[]) : [];
    const [lateBefore, unknownBefore] = this.#refused;
    if (!isCount(late, lateBefore) || !isCount(unknown, unknownBefore))
      throw new Error('counts of dropped replies that make no sense');
    this.#refused = [late, unknown];
    this.refusedReplies = late + unknown;
    this.#emit({ type: 'reply.refused', requestId, reason: unknown > unknownBefore ? 'unknown' : 'late' });
  }

  /** A message failed its schema. */
  reject(error: unknown, request?: string): void {
    this.rejected++;
    const rejection =
      error instanceof IpcError
        ? error
        : IpcError.from(error, 'ERR_MESSAGE_REJECTED', 'a message', messageOf(error));
    this.#emit({ type: 'message.rejected', request, error: rejection });
  }

  /** A message was dropped because nobody took it. */
  drop(): void {
    this.unexpected++;
    this.#emit({ type: 'message.unexpected' });
  }

  /** Nobody here has answered a request. */
  unanswered(request: string): void {
    this.unhandled++;
    this.#emit({ type: 'request.unhandled', request });
  }

  /** One record at a time; the counts in the next one make up for those that were left out. */
  #tell(): void {
    const requestId = this.#untold;
    if (this.#telling || requestId === undefined) return;
    this.#telling = true;
    this.#untold = undefined;
    this.#tellPeer(requestId, [this.lateReplies, this.unknownReplies]).then(
      () => {
        this.#telling = false;
        this.#tell();
      },
      () => {
        this.#telling = false;
      },
    );
  }

  #emit(stray: Stray): void {
    this.#observe(stray);
    for (const handler of this.#handlers) {
      try {
        handler(stray);
      } catch (error) {
        // A handler's own mistake is none of the channel's; it is thrown where any handler's would be.
        queueMicrotask(() => {
          throw error;
        });
      }
    }
  }
}

function isCount(value: unknown, before: number): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= before;
}
