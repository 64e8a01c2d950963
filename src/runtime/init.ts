// Init: what a root does as the first process of a container, to which the kernel gives every orphan, and under a service
// manager, which wants to know when it is ready.
import { zombies } from '../actors/process-group.ts';
import { native } from '../transport/native.ts';

/** Node takes the status of its own children as soon as its event loop turns. What is there for longer is an orphan. */
const orphanMs = 1_000;

/**
 * Takes the status of orphans that have ended, if this is the first process.
 * @returns how to stop.
 */
export function reapOrphans(isFirst = process.pid === 1): () => void {
  if (!isFirst) return () => {};
  let seen = new Set<number>();
  let timer: NodeJS.Timeout | undefined;
  const look = () => {
    timer = undefined;
    const now = zombies();
    for (const pid of now) if (seen.has(pid)) native().reapChild(pid);
    seen = new Set(now.filter((pid) => !seen.has(pid)));
    if (seen.size > 0) lookLater();
  };
  const lookLater = () => {
    timer ??= setTimeout(look, orphanMs).unref();
  };
  process.on('SIGCHLD', lookLater);
  return () => {
    process.off('SIGCHLD', lookLater);
    clearTimeout(timer);
  };
}

/** Tells the service manager that started this process, as sd_notify(3) does; does nothing without one. */
export function notifyService(env: NodeJS.ProcessEnv, state: 'READY=1' | 'STOPPING=1'): void {
  const path = env.NOTIFY_SOCKET;
  if (path && /^[/@]/.test(path)) native().sendText(path, state);
}
