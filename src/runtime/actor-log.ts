// Actor log: what supervisors of actors report, as log records and as records of the feed.
import type { Log } from '../actors/hosting.ts';
import type { ActorChild } from '../machines/actor-child.ts';
import type { ActorReport } from '../machines/actor-report.ts';
import { type Address, addressOf } from '../names.ts';
import { type Feed, momentMs } from './feed.ts';
import { describeExit } from './status.ts';

/** One log record and one of the feed for each report. Starts are told to the feed and, but for those asked for, to the log. */
export function reportActors(log: Log, feed: Feed): (supervisor: Address, report: ActorReport) => void {
  return (supervisor, report) => {
    if (feed.watched)
      feed.tell({ k: 'report', at: momentMs(), actor: supervisor, report: plain(supervisor, report) });
    switch (report.type) {
      case 'supervisor.changed':
        return log.info({ supervisor, state: report.state }, `${supervisor} is ${report.state}`);
      case 'limit.reached':
        return log.error({ supervisor, reason: report.reason }, `${supervisor} gives up: ${report.reason}`);
      case 'child.started': {
        // Whoever asked for it knows; of a hundred thousand that is enough.
        if (report.cause === 'call') return;
        const { epoch } = report.child;
        const unit = unitOf(supervisor, report.child);
        const start = epoch > 1 ? ` (start ${epoch})` : '';
        return log.info({ supervisor, unit, epoch, cause: report.cause }, `${unit} started${start}`);
      }
      case 'child.exited': {
        const { child, context, exit, verdict, delayMs } = report;
        // OTP tells of each end of a permanent child, and of the bad ends of others.
        const loud = context !== null;
        const facts = plain(supervisor, report);
        const wait = delayMs > 0 ? ` in ${delayMs} ms` : '';
        return log[loud ? 'warn' : 'info'](
          facts,
          `${unitOf(supervisor, child)}: ${describeExit(exit)}; ${verdict}${wait}`,
        );
      }
    }
  };
}

/** The report as plain data, with its offender as OTP's reports have it. */
function plain(supervisor: Address, report: ActorReport): object {
  if (!('child' in report)) return { supervisor, ...report };
  const { child, ...facts } = report;
  const { kind, restart, shutdown, significant } = child.spec;
  const unit = unitOf(supervisor, child);
  const offender = { unit, id: child.id, kind, restart, shutdown, significant };
  return { supervisor, unit, ...facts, epoch: child.epoch, offender };
}

function unitOf(supervisor: Address, { key }: ActorChild): Address {
  return addressOf(supervisor, typeof key === 'string' ? key : `#${key}`);
}
