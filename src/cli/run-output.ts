// Run output: where `run` prints to. In a terminal what units and supervisor say stands above rows that show how the units
// are; elsewhere it is lines only.
import type { TreeStatus } from '../runtime/status.ts';
import type { Tree, TreeOptions } from '../runtime/tree.ts';
import { isColored, isTerminal } from './color.ts';
import { LiveView } from './live-view.ts';
import { Outlet } from './outlet.ts';
import { runRows } from './run-rows.ts';
import { shownText } from './shown-line.ts';
import { unitPrinter } from './unit-printer.ts';

/** What the units use is looked up this often while a person sees it. */
const usageMs = 2_000;

export class RunOutput {
  readonly onLine: TreeOptions['onLine'];
  readonly #rows: boolean;
  readonly #tellGap: (lines: number) => string;
  readonly #outlet: Outlet;
  #view: LiveView | undefined;
  #timer: NodeJS.Timeout | undefined;

  /** @param json one object per line, for programs; there are no rows then. */
  constructor(units: readonly string[], json: boolean) {
    this.#rows = isTerminal && !json;
    this.#tellGap = (lines) =>
      json
        ? `${JSON.stringify({ time: new Date().toISOString(), missed: lines })}\n`
        : `(${lines} lines are not shown: they came faster than they were read; "actor-ipc logs" has them)\n`;
    this.#outlet = new Outlet(process.stdout, this.#tellGap);
    this.onLine = unitPrinter({
      units,
      json,
      color: isColored,
      terminal: isTerminal,
      write: (text) => this.#write(text),
    });
  }

  /** What the supervisor's log says; others may have had a part in it. */
  readonly write = (text: string): void => this.#write(this.#rows ? shownText(text, isColored) : text);

  /** From now on the rows show this tree. */
  show(tree: Tree): void {
    if (!this.#rows) return;
    let usages = new Map<number | null, TreeStatus['usage']>();
    const draw = (width: number, height: number) => {
      const status = tree.status();
      const units = status.units.map((unit) => ({ ...unit, usage: usages.get(unit.pid) ?? null }));
      return runRows({ ...status, units, usage: usages.get(status.pid) ?? null }, width, height);
    };
    const look = () =>
      void tree.usage().then((found) => {
        usages = new Map(found);
        this.#view?.refresh();
      });
    this.#view = new LiveView(process.stdout, draw, this.#tellGap);
    this.#timer = setInterval(look, usageMs);
    this.#timer.unref();
    look();
  }

  /** Takes the rows away. */
  close(): void {
    clearInterval(this.#timer);
    this.#view?.close();
    this.#view = undefined;
  }

  /** Until what was written has gone out; whoever reads nothing is not waited for. */
  finished(): Promise<void> {
    return this.#outlet.finished();
  }

  #write(text: string): void {
    if (this.#view) this.#view.write(text);
    else this.#outlet.write(text);
  }
}
