// Peer: who is at the other end of a session, and which end is ours.

/** Which side of a session a program is on. Once the session is open, both can do the same. */
export type Side = 'server' | 'client';

/** The other end's process, as the kernel vouches for it. */
export interface Peer {
  readonly app: string;
  readonly pid: number;
  readonly uid: number;
  readonly gid: number;
  /** What the peer said about itself in the log-in; any JSON value. */
  readonly metadata: unknown;
  /** The relay node behind which it is, if it is on another machine; pid, uid and gid are then those of the gateway here. */
  readonly host?: string;
}
