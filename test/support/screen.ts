// A terminal without a window: what is written to it is drawn as a real one would, so that tests see what a person sees.
import { type ChildProcess, spawn } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import headless from '@xterm/headless';
import { waitUntil } from './wait-until.ts';

/** Characters of a screen, from its end, that a failure shows. */
const shownMax = 4000;

export class Screen extends EventEmitter {
  readonly #terminal: InstanceType<typeof headless.Terminal>;
  /** All that was written, as it came. */
  raw = '';

  constructor(columns: number, rows: number) {
    super();
    this.#terminal = new headless.Terminal({
      cols: columns,
      rows,
      // What is waited for must not leave at the top before anybody has looked.
      scrollback: 50_000,
      allowProposedApi: true,
      convertEol: true,
    });
  }

  get columns(): number {
    return this.#terminal.cols;
  }

  get rows(): number {
    return this.#terminal.rows;
  }

  write(text: string): boolean {
    this.raw += text;
    this.#terminal.write(text);
    return true;
  }

  /** Another size, of which the program is told. */
  async resize(columns: number, rows: number): Promise<void> {
    await this.settled();
    this.#terminal.resize(columns, rows);
    this.emit('resize');
  }

  /** Until everything written is drawn. */
  settled(): Promise<void> {
    return new Promise((resolve) => this.#terminal.write('', resolve));
  }

  /** All lines, those that have left the window at the top among them, without the empty ones at the end. */
  async lines(): Promise<string[]> {
    await this.settled();
    const { active } = this.#terminal.buffer;
    const lines = Array.from({ length: active.length }, (_, at) =>
      active.getLine(at)!.translateToString(true),
    );
    return lines.slice(0, lines.findLastIndex((line) => line !== '') + 1);
  }

  /** Numbers of lines that go on from the one above, since that was too long. */
  async wrapped(): Promise<number[]> {
    await this.settled();
    const { active } = this.#terminal.buffer;
    return Array.from({ length: active.length }, (_, at) => at).filter((at) => active.getLine(at)!.isWrapped);
  }

  get onOtherPage(): boolean {
    return this.#terminal.buffer.active.type === 'alternate';
  }
}

/** A program in a terminal of its own, as util-linux's `script` makes one. */
export class ProgramOnScreen {
  readonly screen: Screen;
  readonly process: ChildProcess;
  readonly ended: Promise<number | null>;

  constructor(command: readonly string[], env: NodeJS.ProcessEnv, columns = 80, rows = 24) {
    this.screen = new Screen(columns, rows);
    const quoted = command.map((word) => `'${word}'`).join(' ');
    const { CI: _, NO_COLOR: __, ...rest } = process.env;
    this.process = spawn(
      'script',
      ['-qefc', `stty cols ${columns} rows ${rows}; exec ${quoted}`, '/dev/null'],
      {
        stdio: ['pipe', 'pipe', 'inherit'],
        env: { ...rest, TERM: 'xterm-256color', ...env },
      },
    );
    this.process.stdout!.on('data', (bytes: Buffer) => this.screen.write(bytes.toString()));
    this.ended = once(this.process, 'close').then(([code]) => code as number | null);
  }

  /** Presses keys. */
  press(keys: string): void {
    this.process.stdin!.write(keys);
  }

  async sees(pattern: RegExp): Promise<string> {
    let text = '';
    let drawn = -1;
    const look = async () => {
      if (drawn === this.screen.raw.length) return;
      drawn = this.screen.raw.length;
      text = (await this.screen.lines()).join('\n');
    };
    await look();
    await waitUntil(`a screen with ${pattern}`, () => {
      void look();
      return pattern.test(text);
    }).catch((error: Error) => {
      throw new Error(`${error.message}\n${text.slice(-shownMax)}`);
    });
    return text;
  }
}

export const hasScript =
  (await once(spawn('script', ['--version'], { stdio: 'ignore' }), 'exit').catch(() => [1]))[0] === 0;
