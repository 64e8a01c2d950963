// Outlet: where the lines of a tree go to, which must not stand still when whoever reads them does: "run | less", a terminal
// stopped by Ctrl-S, a log collector that hangs. What can't go out waits in a backlog.
import { Backlog } from './backlog.ts';

/** A stream of Node, as far as it is needed here. */
export interface OutletStream {
  /** Set while what was written before is still on its way. Files have none: they are written at once. */
  readonly writableNeedDrain?: boolean;
  readonly writableLength?: number;
  write(text: string): boolean;
  once(event: 'drain', listener: () => void): unknown;
  once(event: 'error', listener: (error: Error) => void): unknown;
}

/** What is given to the stream at once. */
const portionLength = 16 * 1024;
/** At the end: who takes nothing for so long is not waited for. */
const patienceMs = 2_000;
const lookMs = 20;

export class Outlet {
  readonly #stream: OutletStream;
  readonly #backlog: Backlog;
  #waits = false;
  #gone = false;

  /** @param tellGap the line that stands for so many that nobody has read in time. */
  constructor(stream: OutletStream, tellGap: (lines: number) => string) {
    this.#stream = stream;
    this.#backlog = new Backlog(tellGap);
    unblock(stream);
    stream.once('error', () => {
      this.#gone = true;
      this.#backlog.clear();
    });
  }

  /** @param text one or several whole lines. */
  write(text: string): void {
    if (this.#gone) return;
    if (this.#backlog.length === 0 && !this.#stream.writableNeedDrain) return void this.#stream.write(text);
    this.#backlog.add(text);
    this.#flush();
  }

  /** Until all has gone out; whoever reads nothing is not waited for. */
  async finished(): Promise<void> {
    let left = this.#left;
    for (let waitedMs = 0; left > 0 && waitedMs < patienceMs; waitedMs += lookMs) {
      await new Promise((resolve) => setTimeout(resolve, lookMs));
      if (this.#left < left) waitedMs = 0;
      left = this.#left;
    }
  }

  get #left(): number {
    return this.#gone ? 0 : this.#backlog.length + (this.#stream.writableLength ?? 0);
  }

  #flush(): void {
    while (this.#backlog.length > 0 && !this.#stream.writableNeedDrain)
      this.#stream.write(this.#backlog.take(portionLength));
    if (this.#backlog.length === 0 || this.#waits) return;
    this.#waits = true;
    this.#stream.once('drain', () => {
      this.#waits = false;
      this.#flush();
    });
  }
}

/**
 * Node writes to a terminal synchronously, and so would stand still with it. Only where it has opened the terminal for itself:
 * descriptors that others inherited from the same shell would change with ours.
 */
function unblock(stream: OutletStream): void {
  const { isTTY, fd, _handle: handle } = stream as unknown as Partial<TerminalStream>;
  if (isTTY && handle && handle.fd !== fd) handle.setBlocking?.(false);
}

/** What Node does not describe of a terminal's stream. */
interface TerminalStream {
  readonly isTTY: boolean;
  readonly fd: number;
  readonly _handle: { readonly fd: number; setBlocking?(blocking: boolean): void };
}
