// Charts: the charts of machines as plain data, each told once under the hash of its text.
import { createHash } from 'node:crypto';
import type { AnyStateMachine } from 'xstate';
import type { ChartRecord } from './feed.ts';

export interface Chart {
  readonly hash: string;
  readonly machine: AnyStateMachine;
}

export class Charts {
  /** By their configurations, which all copies of a machine share. */
  readonly #charts = new WeakMap<object, Chart>();
  /** Hashes of the charts that all present watchers know. */
  readonly #told = new Set<string>();

  /** Undefined for logic that is no machine. */
  of(logic: object): Chart | undefined {
    if (!('config' in logic) || typeof logic.config !== 'object' || !('root' in logic)) return undefined;
    const machine = logic as AnyStateMachine;
    let chart = this.#charts.get(machine.config);
    if (chart === undefined) {
      const hash = createHash('sha1')
        .update(JSON.stringify(plainChart(machine)))
        .digest('hex')
        .slice(0, 16);
      chart = { hash, machine };
      this.#charts.set(machine.config, chart);
    }
    return chart;
  }

  /** A new watcher has not heard what the others have: from here on each chart is told with its next actor again. */
  tellAllAgain(): void {
    this.#told.clear();
  }

  /** The record of a chart that not all watchers know; undefined if they do. */
  recordOf({ hash, machine }: Chart): ChartRecord | undefined {
    if (this.#told.has(hash)) return undefined;
    this.#told.add(hash);
    return { k: 'chart', hash, chart: plainChart(machine) };
  }
}

/** A machine's configuration as plain data: what can't be data becomes its name. */
function plainChart(machine: AnyStateMachine): unknown {
  return JSON.parse(
    JSON.stringify(machine.config, (key, value) => {
      if (key === 'context' || key === 'input' || key === 'output' || key === 'types') return undefined;
      if (typeof value === 'bigint') return `${value}n`;
      return typeof value === 'function' ? value.name || key : value;
    }),
  );
}
