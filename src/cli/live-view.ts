// Live view: lines that stay, above rows that are drawn anew, in a terminal. All of a frame is one write, so that nothing
// is seen between its parts.
import { createLogUpdate } from 'log-update';
import stringWidth from 'string-width';
import { Backlog } from './backlog.ts';

/** A terminal, as far as it is needed here. */
export interface Terminal {
  readonly columns?: number;
  readonly rows?: number;
  /** Set while it takes nothing, as after Ctrl-S: then nothing is drawn. */
  readonly writableNeedDrain?: boolean;
  write(text: string): unknown;
  on(event: 'resize', listener: () => void): unknown;
  off(event: 'resize', listener: () => void): unknown;
  once(event: 'drain', listener: () => void): unknown;
}

/** What is written within this time is drawn together. */
const frameMs = 50;
/** What the rows say of time grows old. */
const tickMs = 1_000;
/** More text than this is written at once, whatever the time. */
const pendingLengthMax = 64 * 1024;

const hideCursor = '\x1b[?25l';
const showCursor = '\x1b[?25h';
/** A terminal that knows them shows what stands between them at once. */
const beginFrame = '\x1b[?2026h';
const endFrame = '\x1b[?2026l';
const eraseBelow = '\r\x1b[J';

export class LiveView {
  readonly #terminal: Terminal;
  readonly #draw: (width: number, height: number) => readonly string[];
  readonly #onResize = () => this.#resized();
  readonly #onExit = () => this.close();
  readonly #tick: NodeJS.Timeout;
  #frame: NodeJS.Timeout | undefined;
  readonly #pending: Backlog;
  #waits = false;
  #rows: readonly string[] = [];
  #closed = false;
  #buffer = '';
  readonly #update: ReturnType<typeof createLogUpdate>;

  /**
   * @param draw gives the rows for that room, none wider than it.
   * @param tellGap the line that stands for so many that the terminal did not take in time.
   */
  constructor(
    terminal: Terminal,
    draw: (width: number, height: number) => readonly string[],
    tellGap: (lines: number) => string = () => '',
  ) {
    this.#pending = new Backlog(tellGap);
    this.#terminal = terminal;
    this.#draw = draw;
    const paper = {
      get columns() {
        return terminal.columns ?? 80;
      },
      get rows() {
        return terminal.rows ?? 24;
      },
      write: (text: string) => {
        this.#buffer += text;
        return true;
      },
    };
    this.#update = createLogUpdate(paper as never, { showCursor: true });
    terminal.on('resize', this.#onResize);
    process.on('exit', this.#onExit);
    process.on('SIGCONT', this.#onResize);
    this.#tick = setInterval(() => this.#paint(), tickMs);
    this.#tick.unref();
    terminal.write(hideCursor);
    this.#paint();
  }

  /** Text that stays. Whatever is in it besides whole lines and colors has been taken out before. */
  write(text: string): void {
    if (this.#closed) return void this.#terminal.write(text);
    this.#pending.add(text);
    if (this.#pending.length > pendingLengthMax) this.#paint();
    else this.refresh();
  }

  /** What the rows show has changed. */
  refresh(): void {
    this.#frame ??= setTimeout(() => this.#paint(), frameMs);
  }

  /** Takes the rows away; what is written later goes out as it is. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    clearInterval(this.#tick);
    clearTimeout(this.#frame);
    this.#terminal.off('resize', this.#onResize);
    process.off('exit', this.#onExit);
    process.off('SIGCONT', this.#onResize);
    this.#update.clear();
    this.#buffer += this.#pending.take();
    this.#send(showCursor);
  }

  #paint(): void {
    clearTimeout(this.#frame);
    this.#frame = undefined;
    if (this.#closed) return;
    if (this.#terminal.writableNeedDrain) return this.#paintLater();
    if (this.#pending.length > 0) {
      this.#update.clear();
      this.#buffer += this.#pending.take();
    }
    const { columns = 80, rows = 24 } = this.#terminal;
    this.#rows = this.#draw(columns, rows);
    if (this.#rows.length > 0) this.#update(this.#rows.join('\n'));
    else this.#update.clear();
    this.#send('');
  }

  /** When the terminal takes something again. */
  #paintLater(): void {
    if (this.#waits) return;
    this.#waits = true;
    this.#terminal.once('drain', () => {
      this.#waits = false;
      this.#paint();
    });
  }

  /** A terminal that has become narrower has wrapped the rows, so that there are more of them than were drawn. */
  #resized(): void {
    const { columns = 80 } = this.#terminal;
    const lines = this.#rows.reduce(
      (sum, row) => sum + Math.max(1, Math.ceil(stringWidth(row) / columns)),
      0,
    );
    this.#update.done();
    if (lines > 0) this.#buffer += `\x1b[${lines}A`;
    this.#buffer += eraseBelow;
    this.#rows = [];
    this.#paint();
  }

  #send(last: string): void {
    const text = this.#buffer + last;
    this.#buffer = '';
    if (text !== '') this.#terminal.write(`${beginFrame}${text}${endFrame}`);
  }
}
