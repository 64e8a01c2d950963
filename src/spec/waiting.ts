// Waiting: how long a call may wait, wherever one does.

/** How long to wait. Every wait takes these. */
export interface WaitOptions {
  /** Give up after this many milliseconds with ERR_TIMEOUT. Default: wait as long as the channel lives. */
  timeoutMs?: number;
  /** Gives up with `signal.reason`. */
  signal?: AbortSignal;
}
