// Tree reports: what the supervisors of a tree report, as log records and as records of the feed. The exit of a process takes
// with it what its machines did last and the last lines that it wrote.
import type { Log, LogLevel } from '../actors/hosting.ts';
import type { GateReport, SupervisorReport } from '../machines/supervisor.ts';
import { type Address, addressOf } from '../names.ts';
import type { FlightRecord } from '../transport/flight-recorder.ts';
import type { Feed, FeedRecord } from './feed.ts';
import { notifyService } from './init.ts';
import { describeExit, describeFlight } from './status.ts';
import type { UnitLogs } from './unit-logs.ts';
import { nameOf } from './unit-place.ts';

const gateWords = { opened: 'opened', closed: 'closed', barred: 'no way to open' } as const;

export class TreeReports {
  readonly #root: string;
  readonly #log: Log;
  readonly #feed: Feed;
  readonly #logs: UnitLogs;
  /** What the last process of each unit did at its end, until its exit has been reported. */
  readonly #flights = new Map<string, readonly FlightRecord[]>();

  /** @param root the name of the tree. */
  constructor(root: string, log: Log, feed: Feed, logs: UnitLogs) {
    this.#root = root;
    this.#log = log;
    this.#feed = feed;
    this.#logs = logs;
  }

  /** A process has ended; its exit is reported later. */
  keepFlight(unit: Address, flight: readonly FlightRecord[]): void {
    this.#flights.set(unit, flight);
  }

  /** Something that a unit, or who runs it, has to say. */
  ofUnit(unit: Address, level: LogLevel, facts: object, message: string): void {
    this.#tell({ k: 'log', at: Date.now(), level, message, facts: { unit, ...facts } });
    this.#log[level]({ unit, ...facts }, `${nameOf(unit)}: ${message}`);
  }

  /** @param path where the units of that supervisor stand. */
  ofSupervisor(path: Address, report: SupervisorReport): void {
    this.#tell({ k: 'report', at: Date.now(), actor: path, report });
    switch (report.type) {
      case 'supervisor.changed':
        return this.#ofState(path, report.state);
      case 'gates.changed':
        return this.#ofGates(path, report.gates);
      case 'child.exited':
        return this.#ofExit(path, report);
    }
  }

  #tell(record: FeedRecord): void {
    if (this.#feed.watched) this.#feed.tell(record);
  }

  #ofState(path: Address, state: string): void {
    this.#log.info({ unit: path, state }, `${path} is ${state}`);
    if (path !== this.#root) return;
    if (state === 'operative') notifyService(process.env, 'READY=1');
    if (state === 'stopping') notifyService(process.env, 'STOPPING=1');
  }

  #ofGates(path: Address, gates: readonly GateReport[]): void {
    for (const { id, gate, why } of gates) {
      const unit = addressOf(path, id);
      const level = gate === 'barred' ? 'warn' : 'debug';
      const words = why === null ? '' : `: ${why}`;
      this.#log[level]({ unit, gate, why }, `gate of ${nameOf(unit)} has ${gateWords[gate]}${words}`);
    }
  }

  #ofExit(path: Address, report: Extract<SupervisorReport, { type: 'child.exited' }>): void {
    const { id, epoch, exit, verdict, delayMs, restartsLeft } = report;
    const unit = addressOf(path, id);
    const flight = this.#flights.get(unit) ?? [];
    this.#flights.delete(unit);
    const unwanted = exit.requested === 'none' && exit.class !== 'normal';
    const facts = { unit, epoch, exit, verdict, delayMs, restartsLeft };
    const message = `${nameOf(unit)}: ${describeExit(exit)}; ${verdict}${delayMs > 0 ? ` in ${delayMs} ms` : ''}`;
    const crash = unwanted ? `${new Date().toISOString()} ${message}` : undefined;
    const lines = this.#logs.last(unit, crash);
    this.#logs.forget(unit);
    this.#log[unwanted ? 'warn' : 'info'](
      unwanted ? { ...facts, flight: describeFlight(flight), lines } : facts,
      message,
    );
  }
}
