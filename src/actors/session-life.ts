// Session life: what a session learns of its peer's signs of life.
import type { Live } from './live-session.ts';

/** From now on the session's machine is told when the peer falls silent, stalls, or turns again. */
export function watchPeer(live: Live): void {
  live.link!.onLife((stalledMs, silent) => {
    if (silent) return onSilence(live);
    live.hosted!.post(stalledMs > 0 ? { type: 'peer.stalled', ms: stalledMs } : { type: 'peer.resumed' });
  });
}

/** What the peer had said before it fell silent counts first: a goodbye or an end that our busy loop has not seen yet. */
function onSilence(live: Live): void {
  live.socket!.readNow();
  if (!live.link?.silent) return;
  const { idleMs } = live.options.limits.keepAlive;
  live.hosted!.post({ type: 'peer.idle', why: `it gave no sign of life for ${idleMs} ms` });
}
