// Full screen: a page that is drawn anew on the terminal's other screen, which leaves what was there before as it was; and
// the keys that are pressed meanwhile.
import { emitKeypressEvents } from 'node:readline';
import { fitted } from './grid.ts';

export interface Key {
  readonly name?: string;
  readonly sequence?: string;
  readonly ctrl?: boolean;
}

const enter = '\x1b[?1049h\x1b[?25l\x1b[H\x1b[J';
const leave = '\x1b[?25h\x1b[?1049l';
const beginFrame = '\x1b[?2026h';
const endFrame = '\x1b[?2026l';
const home = '\x1b[H';
const eraseLine = '\x1b[K';
const eraseBelow = '\x1b[J';

export class FullScreen {
  readonly #draw: (width: number) => readonly string[];
  readonly #onKey: (_: unknown, key: Key) => void;
  readonly #onResize = () => this.refresh();
  readonly #onExit = () => this.close();
  #closed = false;

  /** @param draw gives all lines for a width; those that find no room are left out. */
  constructor(draw: (width: number) => readonly string[], onKey: (key: Key) => void) {
    this.#draw = draw;
    this.#onKey = (_, key) => onKey(key);
    const { stdin, stdout } = process;
    stdout.write(enter);
    stdout.on('resize', this.#onResize);
    process.on('exit', this.#onExit);
    process.on('SIGCONT', this.#onResize);
    if (stdin.isTTY) {
      emitKeypressEvents(stdin);
      stdin.setRawMode(true);
      stdin.on('keypress', this.#onKey);
      stdin.resume();
    }
    this.refresh();
  }

  refresh(): void {
    if (this.#closed) return;
    const { columns = 80, rows = 24 } = process.stdout;
    const lines = this.#draw(columns)
      .slice(0, rows)
      .map((line) => `${fitted(line, columns)}${eraseLine}`);
    process.stdout.write(`${beginFrame}${home}${lines.join('\r\n')}${eraseBelow}${endFrame}`);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    const { stdin, stdout } = process;
    stdout.off('resize', this.#onResize);
    process.off('exit', this.#onExit);
    process.off('SIGCONT', this.#onResize);
    if (stdin.isTTY) {
      stdin.off('keypress', this.#onKey);
      stdin.setRawMode(false);
      stdin.pause();
    }
    stdout.write(leave);
  }
}
