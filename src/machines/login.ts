// Log-in: what a client says about itself, and the checks of the server in their order. Each failed check has its own code,
// which the client is told before the connection is closed.
import { IpcError } from '../errors.ts';
import type { AppSpec } from '../spec/universe.ts';
import { differenceOf, extractOf, type UniverseExtract } from '../spec/universe-extract.ts';

/** The range of protocol versions that this release speaks. */
export const protocolVersions: VersionRange = [1, 1];
export type VersionRange = readonly [min: number, max: number];

/** The facts of a client's first frame. */
export interface Hello {
  readonly versions: VersionRange;
  readonly layoutHash: number;
  readonly client: string;
  readonly server: string;
  readonly universe: UniverseExtract;
  readonly pid: number;
  readonly startTicks: number;
  readonly segmentBytes: number;
  readonly metadata: unknown;
  /** The client is behind a gateway, which vouches for it: that node of a relay. */
  readonly host?: string;
}

/** The process that connected, as the kernel vouches for it. */
export interface PeerProcess {
  readonly pid: number;
  readonly uid: number;
  readonly gid: number;
}

/** What the server measures a hello by. */
export interface LoginPolicy {
  readonly app: AppSpec;
  readonly versions: VersionRange;
  readonly layoutHash: number;
  /** Who the server runs as: apps without a uid or gid of their own must be the same. */
  readonly own: { readonly uid: number; readonly gid: number };
}

/** The first check that fails, as the error that the client is told; undefined if all pass. */
export function checkLogin(
  { app, versions, layoutHash, own }: LoginPolicy,
  hello: Hello,
  peer: PeerProcess,
): IpcError | undefined {
  if (peer.pid !== hello.pid)
    return IpcError.of(
      'ERR_PEER_UNIDENTIFIED',
      `it says that it is process ${hello.pid}, the kernel says ${peer.pid}`,
    );
  if (!commonVersion(versions, hello.versions))
    return IpcError.of('ERR_PROTOCOL_VERSION', showRange(versions), showRange(hello.versions));
  if (hello.universe.universe !== app.universe || hello.server !== app.name)
    return IpcError.of(
      'ERR_UNIVERSE_MISMATCH',
      `the client asks for ${hello.universe.universe}/${hello.server}, this is ${app.universe}/${app.name}`,
    );
  if (!Object.hasOwn(app.apps, hello.client)) return IpcError.of('ERR_APP_UNKNOWN', hello.client);
  const registered = app.apps[hello.client]!;
  if (!app.allow.includes(hello.client)) return IpcError.of('ERR_APP_NOT_ALLOWED', hello.client, app.name);
  const uid = registered.uid ?? own.uid;
  const gid = registered.gid ?? own.gid;
  if (peer.uid !== uid)
    return IpcError.of('ERR_CREDENTIALS', hello.client, `it runs as uid ${peer.uid}, but must be ${uid}`);
  if (peer.gid !== gid)
    return IpcError.of('ERR_CREDENTIALS', hello.client, `it runs as gid ${peer.gid}, but must be ${gid}`);
  const difference = differenceOf(extractOf(app), hello.universe);
  if (difference) return IpcError.of('ERR_UNIVERSE_MISMATCH', difference);
  if (hello.layoutHash !== layoutHash)
    return IpcError.of(
      'ERR_CONFIGURATION',
      'the shared memory has another layout; use the same release on both sides',
    );
  return undefined;
}

/** The highest version that both ranges hold. */
export function commonVersion(
  [min, max]: VersionRange,
  [theirMin, theirMax]: VersionRange,
): number | undefined {
  const highest = Math.min(max, theirMax);
  return highest >= Math.max(min, theirMin) ? highest : undefined;
}

function showRange([min, max]: VersionRange): string {
  return min === max ? `version ${min}` : `versions ${min} to ${max}`;
}
