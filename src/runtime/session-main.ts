// Session main: the entry of the process that supervises a workspace, started detached by the commands under `session`. Tells
// whoever started it whether it does, and stays until the session is deactivated.
import { IpcError, messageOf } from '../errors.ts';
import { SessionWorkspace } from '../workspace/session-workspace.ts';
import { createLog } from './log.ts';
import { SessionSupervisor } from './session-supervisor.ts';
import { onStopSignals } from './signals.ts';

/** What whoever started it is told. */
export type SessionNews = { readonly pid: number } | { readonly error: { code: string; message: string } };

const [, , folder] = process.argv;

function tell(news: SessionNews): Promise<void> {
  return new Promise((resolve) => {
    // Whoever started it may be gone.
    if (!process.connected) return resolve();
    process.send!(news, undefined, {}, () => {
      process.disconnect?.();
      resolve();
    });
  });
}

try {
  const workspace = new SessionWorkspace(folder!);
  const log = createLog({ terminal: 'none', file: workspace.logPath });
  const session = new SessionSupervisor(workspace, log);
  log.info({ pid: process.pid }, `supervisor of ${workspace.folder} is process ${process.pid}`);
  onStopSignals(
    () => void session.deactivate(),
    () => session.force(),
  );
  void session.ended.then(() => process.exit());
  void tell({ pid: process.pid });
} catch (error) {
  const { code, message } =
    error instanceof IpcError ? error : { code: 'ERR_SYSTEM', message: messageOf(error) };
  void tell({ error: { code, message } }).then(() => process.exit(1));
}
