// Waiting: how long a call may wait, wherever one does.

export interface WaitOptions {
  /** Give up after this many milliseconds with ERR_TIMEOUT. Default: wait as long as the channel lives. */
  timeoutMs?: number;
  /** Gives up with `signal.reason`. */
  signal?: AbortSignal;
}
