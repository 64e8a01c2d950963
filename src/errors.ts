// The one error class of actor-ipc and the one table of its codes. A message names the thing, the cause and the next
// step; docs/errors.md has a row for each code.

/** What an error ends: the call that got it, the channel, the region, the cache, the session, or the whole server. */
export type FatalTo = 'call' | 'channel' | 'region' | 'cache' | 'session' | 'server';

interface CodeRow {
  readonly message: (...facts: never[]) => string;
  readonly fatalTo: FatalTo;
  /** Whether the same call can succeed later without a change of the program. */
  readonly retryable: boolean;
}

const row = <F extends unknown[]>(
  fatalTo: FatalTo,
  retryable: boolean,
  message: (...facts: F) => string,
) => ({
  message,
  fatalTo,
  retryable,
});

const codes = {
  // The installation and the machine.
  ERR_ADDON_MISSING: row(
    'server',
    false,
    (path: string, why: string) =>
      `the native addon could not be loaded from ${path}: ${why}; build it with "npm rebuild actor-ipc" (needs CMake and a C++20 compiler)`,
  ),
  ERR_KERNEL_UNSUPPORTED: row(
    'server',
    false,
    (feature: string, why: string) =>
      `this kernel does not offer ${feature} (${why}); actor-ipc needs Linux 5.6 or later, and a container's seccomp profile that allows it`,
  ),
  ERR_SYSTEM: row('call', true, (what: string, why: string) => `${what} failed: ${why}`),

  // Descriptions: universes and topologies.
  ERR_UNIVERSE_INVALID: row(
    'server',
    false,
    (universe: string, why: string) => `universe ${universe}: ${why}`,
  ),
  ERR_OPTIONS_INVALID: row('call', false, (what: string, why: string) => `the options of ${what}: ${why}`),
  ERR_TOPOLOGY_INVALID: row('server', false, (file: string, why: string) => `${file}: ${why}`),

  // Run directory, workspace and control.
  ERR_RUN_DIRECTORY: row(
    'server',
    false,
    (path: string, why: string) =>
      `the run directory ${path} can't be used: ${why}; set ACTOR_IPC_RUN_DIR to a folder that only you can enter`,
  ),
  ERR_WORKSPACE_BUSY: row(
    'server',
    false,
    (workspace: string, pid: number) =>
      `a supervisor with pid ${pid} runs the workspace ${workspace} already; stop it with "kill ${pid}" or choose another with --workspace`,
  ),
  ERR_NO_TREE: row(
    'call',
    true,
    (workspace: string) =>
      `nothing runs in the workspace ${workspace}; start it with "actor-ipc run", or name its topology or --workspace`,
  ),

  ERR_UNIT_UNKNOWN: row(
    'call',
    false,
    (unit: string, near: string | undefined, known: string) =>
      `there is no unit ${unit}${near === undefined ? '' : ` (did you mean ${near}?)`}; there are ${known}`,
  ),
  ERR_UNIT_FAILED: row('call', true, (unit: string, why: string) => `${unit}: ${why}`),
  ERR_UNIT_UNKILLABLE: row(
    'call',
    false,
    (unit: string) => `${unit} is stuck in the kernel and could not be killed`,
  ),
  ERR_HOST_UNKNOWN: row('server', false, (host: string, why: string) => `host ${host}: ${why}`),
  ERR_HOST_SILENT: row(
    'call',
    true,
    (host: string, why: string) =>
      `the root of host ${host} can't be asked: ${why}; ask again when it is heard, or run the command there`,
  ),
  ERR_REFUSED: row('call', false, (what: string, why: string) => `${what} was refused: ${why}`),

  // Opening a session.
  ERR_APP_ALREADY_SERVED: row(
    'server',
    true,
    (app: string, pid: number) =>
      `app ${app} is served by process ${pid} already; one process at a time serves an app`,
  ),
  ERR_NO_SERVER: row('call', true, (app: string, why: string) => `no server for app ${app}: ${why}`),
  ERR_LOGIN_TIMEOUT: row(
    'session',
    true,
    (who: string, ms: number) => `${who} did not complete the log-in within ${ms} ms`,
  ),
  ERR_PEER_UNIDENTIFIED: row(
    'session',
    false,
    (why: string) => `the peer's process could not be identified: ${why}`,
  ),
  ERR_PROTOCOL_VERSION: row(
    'session',
    false,
    (mine: string, theirs: string) =>
      `no common protocol version: this side speaks ${mine}, the other ${theirs}; use the same release of actor-ipc on both sides`,
  ),
  ERR_UNIVERSE_MISMATCH: row(
    'session',
    false,
    (difference: string) =>
      `the two sides have different universes: ${difference}; load the same description on both`,
  ),
  ERR_APP_UNKNOWN: row('session', false, (app: string) => `app ${app} is not in the server's universe`),
  ERR_APP_NOT_ALLOWED: row(
    'session',
    false,
    (client: string, server: string) =>
      `app ${server} does not allow app ${client}; add it to its "allow" list`,
  ),
  ERR_CREDENTIALS: row('session', false, (app: string, why: string) => `app ${app}: ${why}`),
  ERR_CONFIGURATION: row('session', false, (why: string) => `the two sides are set up differently: ${why}`),
  ERR_SERVER_BUSY: row(
    'session',
    true,
    (app: string, max: number) => `app ${app} has ${max} log-ins under way; try again later`,
  ),
  ERR_MEMORY: row('session', false, (why: string) => `the peer's shared memory was refused: ${why}`),

  // Talking.
  ERR_CHANNEL_CLOSED: row('channel', false, (channel: string) => `channel ${channel} is closed`),
  ERR_CHANNEL_HOSED: row(
    'channel',
    false,
    (channel: string, why: string) => `channel ${channel} is hosed: ${why}; wait for the next session`,
  ),
  ERR_CHANNEL_BUSY: row(
    'call',
    true,
    (channel: string, max: number) =>
      `channel ${channel} has ${max} calls waiting already; await some of them first`,
  ),
  ERR_CHANNEL_UNKNOWN: row(
    'call',
    false,
    (channel: string) => `the universe has no channel ${channel} with open: 'on-demand'`,
  ),
  ERR_CHANNEL_LIMIT: row(
    'call',
    true,
    (channel: string, max: number) =>
      `channel ${channel} is open or offered ${max} times already; close one of them, or raise maxOpen`,
  ),
  ERR_OFFER_REJECTED: row(
    'call',
    false,
    (channel: string, why: string) => `the peer rejected channel ${channel}: ${why}`,
  ),
  ERR_OFFER_TIMEOUT: row(
    'call',
    true,
    (channel: string, ms: number, doing: string) =>
      `the peer did not answer the offer of channel ${channel} within ${ms} ms: ${doing}`,
  ),
  ERR_OFFER_WITHDRAWN: row(
    'call',
    false,
    (channel: string, why: string) => `the offer of channel ${channel} can't be accepted: ${why}`,
  ),
  ERR_MESSAGE_TOO_LARGE: row(
    'call',
    false,
    (channel: string, bytes: number, max: number) =>
      `a message of ${bytes} bytes on channel ${channel} is above its limit of ${max}; raise maxMessageBytes or capacityBytes`,
  ),
  ERR_MESSAGE_INVALID: row(
    'call',
    false,
    (channel: string, why: string) => `a message on channel ${channel} can't be encoded: ${why}`,
  ),
  ERR_MESSAGE_REJECTED: row(
    'call',
    false,
    (what: string, why: string) => `${what} does not fit its schema: ${why}`,
  ),
  ERR_CHANNEL_CODEC: row(
    'call',
    false,
    (channel: string, what: string) =>
      `channel ${channel} has a codec that makes values; to ${what}, give it the codec "bytes"`,
  ),
  ERR_BROADCAST_DROPPED: row(
    'channel',
    false,
    (broadcast: string, ms: string) =>
      `broadcast ${broadcast} has dropped this reader: it held up the writer for ${ms} ms; call subscribe() to go on with what comes`,
  ),
  ERR_REQUEST_UNKNOWN: row('call', false, (why: string) => `no request to reply to: ${why}`),
  ERR_REQUEST_FAILED: row(
    'call',
    false,
    (name: string, why: string) => `the peer answered request ${name} with a failure: ${why}`,
  ),
  ERR_REQUEST_UNHANDLED: row(
    'call',
    true,
    (name: string, why: string) => `nobody at the peer answers request ${name}: ${why}`,
  ),
  ERR_REQUEST_CANCELLED: row('call', false, (name: string) => `request ${name} was given up by its asker`),
  ERR_DIALOG_CLOSED: row('call', false, (name: string) => `the dialog ${name} is over; begin another one`),
  ERR_TIMEOUT: row('call', true, (what: string, ms: number) => `${what} took longer than ${ms} ms`),

  // Shared memory.
  ERR_NO_ARENA: row(
    'call',
    false,
    (what: string, option: string) => `${what} needs an arena; give the app ${option} in its universe`,
  ),
  ERR_ARENA_FULL: row(
    'call',
    true,
    (what: string, bytes: number, largest: number) =>
      `${what} has no room for ${bytes} bytes, at most for ${largest} now; release what is not needed, or raise its limit`,
  ),
  ERR_LOAN_LIMIT: row(
    'call',
    true,
    (channel: string, max: number) =>
      `channel ${channel} has ${max} loans out; wait until the peer has released some, or raise maxLoans`,
  ),
  ERR_LOAN_FOREIGN: row(
    'call',
    false,
    (why: string) =>
      `the value can't be lent here: ${why}; construct it in the arena that lends it, or in a shared one`,
  ),
  ERR_BORROW_LIMIT: row(
    'call',
    true,
    (channel: string, max: number) =>
      `channel ${channel} has ${max} borrows out; release some, or raise maxBorrows`,
  ),
  ERR_HANDLE_INVALID: row('call', false, (why: string) => `the handle leads to nothing: ${why}`),
  ERR_MEMORY_RETURNED: row(
    'call',
    false,
    (what: string) => `${what} was sent or given back already; its memory may be used for something else`,
  ),

  // Arenas of a topology.
  ERR_NO_ROOT: row(
    'call',
    false,
    (what: string) =>
      `${what} is held by the root of a topology, and this process is no child of one; start it with "actor-ipc run"`,
  ),
  ERR_ARENA_UNKNOWN: row(
    'call',
    false,
    (arena: string, known: string) => `the topology declares no arena ${arena}; it has ${known}`,
  ),
  ERR_ARENA_WRITTEN: row(
    'call',
    true,
    (arena: string, pid: number) =>
      `arena ${arena} is written by process ${pid} already; one process at a time writes it`,
  ),
  ERR_ARENA_LIMIT: row(
    'call',
    true,
    (arena: string, max: number, what: string) =>
      `arena ${arena} has ${max} ${what} already; unpublish or release some first`,
  ),
  ERR_ARENA_REFUSED: row(
    'call',
    true,
    (arena: string, what: string, why: string) => `${what} of arena ${arena} was refused: ${why}`,
  ),
  ERR_ARENA_CLOSED: row('call', false, (arena: string) => `arena ${arena} was closed here; open it again`),

  // The end of a session.
  ERR_MACHINE_CRASHED: row(
    'session',
    false,
    (app: string, why: string) => `the machine of the session with ${app} crashed: ${why}`,
  ),
  ERR_SESSION_CLOSED: row('session', false, (app: string) => `the session with ${app} is closed`),
  ERR_PEER_LOST: row(
    'session',
    true,
    (app: string, reason: string, why: string) => `app ${app} is lost (${reason}): ${why}`,
  ),
  ERR_SESSION_HOSED: row(
    'session',
    false,
    (app: string, why: string) => `the session with ${app} is hosed: ${why}`,
  ),
  ERR_PROTOCOL: row('session', false, (who: string, why: string) => `${who} broke the protocol: ${why}`),

  // The relay.
  ERR_NOT_ACROSS: row(
    'call',
    false,
    (what: string, host: string) =>
      `${what} can't go to a program behind the relay node ${host}: it is of this machine alone; send what it holds as a message`,
  ),
  ERR_RELAY_CONFIG: row('server', false, (what: string, why: string) => `${what} can't be used:\n  ${why}`),
  ERR_RELAY_UNAVAILABLE: row(
    'call',
    true,
    (what: string, why: string) => `${what} has got no answer: ${why}`,
  ),
  ERR_RELAY_FULL: row(
    'call',
    true,
    (what: string, why: string) =>
      `${what} was refused for want of room: ${why}; try again when some has been taken`,
  ),
  ERR_RELAY_REFUSED: row('server', true, (peer: string, why: string) => `${peer} refused the link: ${why}`),
  ERR_RELAY_CLOSED: row('call', false, (what: string) => `${what} is closed`),
  ERR_LEASE_HELD: row(
    'call',
    true,
    (lease: string, why: string) => `lease ${lease} is not to be had: ${why}; ask again later`,
  ),
  ERR_LEASE_LOST: row(
    'call',
    false,
    (lease: string, why: string) =>
      `lease ${lease} is lost: ${why}; stop what it protects, and ask for it anew`,
  ),
  ERR_KV_CONFLICT: row(
    'call',
    true,
    (key: string, why: string) => `key ${key} was not written: ${why}; read it again first`,
  ),

  // Regions and pipes.
  ERR_REGION_MISSING: row(
    'call',
    true,
    (region: string, ms: number) =>
      `nobody has created region ${region} within ${ms} ms; one of its users must open it with "bytes"`,
  ),
  ERR_PIPE_MISSING: row(
    'call',
    true,
    (pipe: string, region: string, ms: number) =>
      `region ${region} is there, but nobody has created pipe ${pipe} in it within ${ms} ms; one of its users must open it with "capacityPackets"`,
  ),
  ERR_REGION_MISMATCH: row(
    'call',
    false,
    (what: string, why: string) => `${what} is not what was asked for: ${why}`,
  ),
  ERR_REGION_REFUSED: row(
    'call',
    false,
    (region: string, why: string) => `what was handed out as region ${region} was refused: ${why}`,
  ),
  ERR_REGION_FULL: row(
    'call',
    true,
    (region: string, what: string) => `region ${region} has no room for ${what}; nothing in it has changed`,
  ),
  ERR_LOCK_TIMEOUT: row(
    'call',
    true,
    (what: string, ms: number) =>
      `the lock of ${what} was held for ${ms} ms; a process that uses it is stopped or gets no time`,
  ),
  ERR_REGION_CLOSED: row('region', false, (what: string) => `${what} is closed`),
  ERR_REGION_REPLACED: row(
    'region',
    false,
    (region: string, generation: string) =>
      `region ${region} was created anew; what belonged to generation ${generation} is over, open it again`,
  ),
  ERR_REGION_BROKEN: row(
    'region',
    false,
    (region: string, why: string) => `region ${region} can't be used any more: ${why}; open it again`,
  ),
  ERR_PACKET_INVALID: row('call', false, (what: string, why: string) => `a packet of ${what}: ${why}`),
  ERR_PIPE_BUSY: row(
    'call',
    true,
    (pipe: string, max: number) => `pipe ${pipe} has ${max} calls waiting already; await some of them first`,
  ),
  // Caches.
  ERR_CACHE_MISSING: row(
    'call',
    true,
    (cache: string, ms: number) =>
      `nobody has created cache ${cache} within ${ms} ms; one of its users must open it with "capacity", or the topology declare it`,
  ),
  ERR_CACHE_MISMATCH: row(
    'call',
    false,
    (cache: string, why: string) => `cache ${cache} is not what was asked for: ${why}`,
  ),
  ERR_CACHE_REFUSED: row(
    'call',
    false,
    (cache: string, why: string) => `what was handed out as cache ${cache} was refused: ${why}`,
  ),
  ERR_CACHE_FULL: row(
    'call',
    true,
    (cache: string, max: number) => `cache ${cache} has ${max} users already, and all of them are alive`,
  ),
  ERR_CACHE_ENTRY: row('call', false, (cache: string, why: string) => `an entry of cache ${cache}: ${why}`),
  ERR_CACHE_CLOSED: row('cache', false, (cache: string) => `cache ${cache} is closed`),
  ERR_CACHE_REPLACED: row(
    'cache',
    false,
    (cache: string, generation: string) =>
      `cache ${cache} was created anew; generation ${generation} is over, open it again`,
  ),
  ERR_CACHE_BROKEN: row(
    'cache',
    false,
    (cache: string, why: string) => `cache ${cache} can't be used any more: ${why}; open it again`,
  ),
  // The workspace.
  ERR_URI_INVALID: row('call', false, (uri: string, why: string) => `the uri ${uri} can't be used: ${why}`),
  ERR_WORKSPACE_FILE: row(
    'call',
    false,
    (path: string, why: string) => `${path} can't be used: ${why}; mend it, or move it away`,
  ),
  ERR_NO_SESSION: row(
    'call',
    false,
    (folder: string) =>
      `there is no session in ${folder}; begin one there with "session init", or name its folder with --workspace`,
  ),
  ERR_SESSION_INACTIVE: row(
    'call',
    true,
    (folder: string) => `the session in ${folder} is not active; "session activate" starts its processes`,
  ),
  ERR_SCHEME_UNKNOWN: row(
    'call',
    false,
    (scheme: string, near: string | undefined, known: string) =>
      `nothing here runs for ${scheme}://${near === undefined ? '' : ` (did you mean ${near}?)`}; there are ${known}; name others under "schemes" in etc/session.yaml`,
  ),
  ERR_PROGRAM_MISSING: row(
    'call',
    false,
    (program: string, why: string) =>
      `${program} can't be started: ${why}; install it, or name it by its full path`,
  ),
  ERR_CONDITION_INVALID: row(
    'call',
    false,
    (text: string, why: string) => `the condition "${text}" can't be used: ${why}`,
  ),

  // Supervisors.
  ERR_SECRET_MISSING: row(
    'call',
    true,
    (name: string, why: string) => `the secret ${name} is not there: ${why}; what needs it can't start`,
  ),
  ERR_INSPECTOR: row(
    'call',
    true,
    (address: string, why: string) =>
      `the inspector can't listen on ${address}: ${why}; take another --inspect-port`,
  ),
  ERR_RECORDING: row('call', false, (file: string, why: string) => `recording ${file}: ${why}`),
  ERR_CHILD_START: row(
    'call',
    true,
    (supervisor: string, why: string) =>
      `supervisor ${supervisor} has not started: ${why}; what it had started was stopped`,
  ),
  ERR_RESTART_LIMIT: row(
    'server',
    false,
    (supervisor: string, why: string) => `supervisor ${supervisor} has given up: ${why}`,
  ),
  ERR_STOPPING: row('server', false, (what: string) => `${what} is stopping`),

  // Session kinds.
  ERR_INBOX_CLOSED: row(
    'call',
    false,
    (inbox: string) => `${inbox} is closed and empty: whoever sent to it is gone`,
  ),
  ERR_INBOX_FULL: row(
    'session',
    true,
    (inbox: string, max: number, type: string) =>
      `${inbox} holds ${max} messages ${type} that nobody has received; receive them, or give it a larger "max" or a policy`,
  ),
  ERR_KIND_BUSY: row(
    'call',
    true,
    (what: string, max: number) => `${what}: there are ${max} already; wait for some of them first`,
  ),
  ERR_KIND_ENDED: row('call', false, (kind: string, how: string) => `${kind} has ended: ${how}`),
  ERR_KIND_FAILED: row('session', false, (kind: string, why: string) => `${kind} failed: ${why}`),
  ERR_KIND_UNHOSTED: row(
    'call',
    false,
    (what: string) => `${what} needs a runtime; start the actor by run(), or in a session`,
  ),
  ERR_CONSUMER_GONE: row('call', false, (kind: string) => `nobody reads what ${kind} emits any more`),
  ERR_PROMISE_CLOSED: row('call', false, (why: string) => `the promise is closed: ${why}`),
  ERR_TIMER_UNKNOWN: row('call', false, (id: string) => `no timer ${id} is set`),
} satisfies Record<string, CodeRow>;

/** A code of the table: docs/errors.md has them all. */
export type ErrorCode = keyof typeof codes;
type Facts<C extends ErrorCode> = Parameters<(typeof codes)[C]['message']>;

/** Plain data of an error, as it travels between processes and into logs. */
export interface ErrorData {
  readonly code: ErrorCode;
  readonly message: string;
}

/**
 * Every error that actor-ipc throws, rejects with or reports. `cause` is what led to it; after a failure every later
 * call on the same object gives the same cause.
 */
export class IpcError extends Error {
  override readonly name = 'IpcError';
  readonly code: ErrorCode;
  readonly fatalTo: FatalTo;
  readonly retryable: boolean;
  /** What failed only because this had failed before; for those errors that collect such. */
  declare readonly consequences?: readonly IpcError[];

  constructor(code: ErrorCode, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
    this.fatalTo = codes[code].fatalTo;
    this.retryable = codes[code].retryable;
  }

  /** The error of that code, worded from its facts. */
  static of<C extends ErrorCode>(code: C, ...facts: Facts<C>): IpcError {
    return new IpcError(code, IpcError.wording(code, facts));
  }

  /** The same, with what led to it. */
  static from<C extends ErrorCode>(cause: unknown, code: C, ...facts: Facts<C>): IpcError {
    return new IpcError(code, IpcError.wording(code, facts), cause);
  }

  /** The same error, with what failed because of it. */
  withConsequences(consequences: readonly IpcError[]): IpcError {
    return Object.assign(new IpcError(this.code, this.message, this.cause), { consequences });
  }

  /** What another process told about an error of its own; unknown codes become ERR_PROTOCOL. */
  static received(data: { code: string; message: string }): IpcError {
    return Object.hasOwn(codes, data.code)
      ? new IpcError(data.code as ErrorCode, data.message)
      : new IpcError('ERR_PROTOCOL', data.message);
  }

  private static wording<C extends ErrorCode>(code: C, facts: Facts<C>): string {
    return (codes[code].message as (...facts: Facts<C>) => string)(...facts);
  }

  /** Code and message alone; causes stay where they are. */
  toJSON(): ErrorData {
    return { code: this.code, message: this.message };
  }
}

/** All codes, for documentation and tests. */
export const errorCodes = Object.keys(codes) as ErrorCode[];

/** The message of anything that was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
