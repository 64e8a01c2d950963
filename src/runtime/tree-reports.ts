// Tree reports: what the supervisors of a tree report, as log records and as records of the feed. The exit of a process takes
// with it what its machines did last and the last lines that it wrote.
import type { Log, LogLevel } from '../actors/hosting.ts';
import type { GateReport, SupervisorReport } from '../machines/supervisor.ts';
import { type Address, addressOf } from '../names.ts';
import type { ChildSpec } from '../spec/child.ts';
import type { FlightRecord } from '../transport/flight-recorder.ts';
import type { Deaths } from './deaths.ts';
import { type Feed, type FeedRecord, momentMs } from './feed.ts';
import { notifyService } from './init.ts';
import { describeExit, describeFlight } from './status.ts';
import type { UnitLogs } from './unit-logs.ts';
import { nameOf } from './unit-place.ts';

/** Transitions that the log gets with an exit; `postmortem` shows more. */
const flightLogged = 32;

const gateWords = { opened: 'opened', closed: 'closed', barred: 'no way to open' } as const;

/** What the topology says about a unit. */
type SpecOf = (unit: Address) => ChildSpec | undefined;

/** A process that has ended, and what its machines did last. */
interface Dead {
  readonly pid: number | null;
  readonly flight: readonly FlightRecord[];
}

interface Reported {
  readonly log: Log;
  readonly feed: Feed;
  readonly logs: UnitLogs;
  readonly deaths: Deaths;
  readonly specOf: SpecOf;
}

export class TreeReports {
  readonly #root: string;
  readonly #log: Log;
  readonly #feed: Feed;
  readonly #logs: UnitLogs;
  /** The last process of each unit and what it did at its end, until its exit has been reported. */
  readonly #dead = new Map<string, Dead>();
  readonly #specOf: SpecOf;
  readonly #deaths: Deaths;

  /** @param root the name of the tree. @param specOf what its topology says about a unit now. */
  constructor(root: string, { log, feed, logs, deaths, specOf }: Reported) {
    this.#deaths = deaths;
    this.#root = root;
    this.#log = log;
    this.#specOf = specOf;
    this.#feed = feed;
    this.#logs = logs;
  }

  /** A process has ended; its exit is reported later. Another one may do the unit's work by then: the first counts. */
  keepEnd(unit: Address, dead: Dead): void {
    if (!this.#dead.has(unit)) this.#dead.set(unit, dead);
  }

  /** Something that a unit, or who runs it, has to say. */
  ofUnit(unit: Address, level: LogLevel, facts: object, message: string): void {
    this.#tell({ k: 'log', at: momentMs(), level, message, facts: { unit, ...facts } });
    this.#log[level]({ unit, ...facts }, `${nameOf(unit)}: ${message}`);
  }

  /** @param path where the units of that supervisor stand. */
  ofSupervisor(path: Address, report: SupervisorReport): void {
    this.#tell({ k: 'report', at: momentMs(), actor: path, report });
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

  /** Who it was, with what the topology says about it; as in OTP's reports. */
  #offender(unit: Address, pid: number | null): object {
    const child = this.#specOf(unit);
    if (!child) return { unit, pid };
    const { kind, restart, shutdown, significant } = child;
    return { unit, pid, kind, restart, shutdown, significant, ...('file' in child && { file: child.file }) };
  }

  #ofExit(path: Address, report: Extract<SupervisorReport, { type: 'child.exited' }>): void {
    const { id, epoch, exit, verdict, delayMs, restartsLeft } = report;
    const unit = addressOf(path, id);
    const { pid, flight } = this.#dead.get(unit) ?? { pid: null, flight: [] };
    this.#dead.delete(unit);
    const unwanted = exit.requested === 'none' && exit.class !== 'normal';
    const offender = this.#offender(unit, pid);
    const facts = { unit, epoch, exit, verdict, delayMs, restartsLeft, offender };
    const message = `${nameOf(unit)}: ${describeExit(exit)}; ${verdict}${delayMs > 0 ? ` in ${delayMs} ms` : ''}`;
    const crash = unwanted ? `${new Date().toISOString()} ${message}` : undefined;
    // The exit's own time is that of the machines' clock.
    const endedAtMs = Date.now();
    this.#deaths.add({
      ...{ unit: nameOf(unit), incarnation: epoch, pid, endedAtMs, exit, verdict, flight, unwanted },
      lines: [...this.#logs.lastLines(unit)],
    });
    const lines = this.#logs.last(unit, crash);
    this.#logs.forget(unit);
    this.#log[unwanted ? 'warn' : 'info'](
      unwanted ? { ...facts, flight: describeFlight(flight.slice(-flightLogged)), lines } : facts,
      message,
    );
  }
}
