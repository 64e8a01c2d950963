// Fingerprint: taken from /proc. Sockets are those that the process's own network namespace lists, found by their inode
// among its descriptors; whatever state a socket is in, the others are still listed.
import { readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import { IpcError, messageOf } from '../errors.ts';
import type { Fingerprint } from '../spec/fingerprint.ts';
import { maskedArguments } from '../spec/secret.ts';

/** States of /proc/net/tcp. */
const established = '01';
const listening = '0A';

/** @throws {IpcError} ERR_SYSTEM if there is no such process, or it may not be looked at. */
export function takeFingerprint(pid: number): Fingerprint {
  try {
    return fingerprintOf(`/proc/${pid}`);
  } catch (error) {
    throw IpcError.from(error, 'ERR_SYSTEM', `looking at process ${pid}`, messageOf(error));
  }
}

function fingerprintOf(folder: string): Fingerprint {
  const cmdline = maskedArguments(readFileSync(`${folder}/cmdline`, 'utf8').split('\0').slice(0, -1));
  const { inodes, files } = openOf(folder);
  const listen: string[] = [];
  const connected: string[] = [];
  const udp: string[] = [];
  for (const { local, remote, state } of socketsOf(folder, ['tcp', 'tcp6'], inodes))
    if (state === listening) listen.push(local);
    else if (state === established) connected.push(remote);
  for (const { local } of socketsOf(folder, ['udp', 'udp6'], inodes)) udp.push(local);
  return { cmdline, listen: listen.sort(), established: connected.sort(), udp: udp.sort(), files };
}

interface Open {
  readonly inodes: ReadonlySet<string>;
  readonly files: readonly string[];
}

function openOf(folder: string): Open {
  const inodes = new Set<string>();
  const files: string[] = [];
  for (const fd of readdirSync(`${folder}/fd`)) {
    const path = `${folder}/fd/${fd}`;
    try {
      const target = readlinkSync(path);
      const inode = /^socket:\[(\d+)\]$/.exec(target)?.[1];
      if (inode !== undefined) inodes.add(inode);
      // Memory files have no place in the file system.
      else if (target.startsWith('/') && !target.startsWith('/memfd:') && statSync(path).isFile())
        files.push(target);
    } catch {
      // Closed between the two looks.
    }
  }
  return { inodes, files: files.sort() };
}

interface SocketLine {
  readonly local: string;
  readonly remote: string;
  readonly state: string;
}

function* socketsOf(
  folder: string,
  tables: readonly string[],
  inodes: ReadonlySet<string>,
): Generator<SocketLine> {
  if (inodes.size === 0) return;
  for (const table of tables) {
    for (const line of readTable(`${folder}/net/${table}`)) {
      const [, local, remote, state, , , , , , inode] = line.trim().split(/\s+/);
      if (inode !== undefined && inodes.has(inode))
        yield { local: addressIn(local!), remote: addressIn(remote!), state: state! };
    }
  }
}

/** A kernel without IPv6 has no such table. */
function readTable(path: string): string[] {
  try {
    return readFileSync(path, 'utf8').split('\n').slice(1);
  } catch {
    return [];
  }
}

/** `0100007F:1F90` is 127.0.0.1:8080: words of four bytes, each in the machine's order. */
function addressIn(text: string): string {
  const [hex = '', port = '0'] = text.split(':');
  const bytes = Buffer.from(hex, 'hex').swap32();
  const number = Number.parseInt(port, 16);
  return bytes.length === 4 ? `${bytes.join('.')}:${number}` : `[${ipv6Of(bytes)}]:${number}`;
}

function ipv6Of(bytes: Buffer): string {
  const words = Array.from({ length: 8 }, (_, i) => bytes.readUInt16BE(2 * i).toString(16)).join(':');
  // The URL parser writes addresses in their one short form.
  return new URL(`http://[${words}]`).hostname.slice(1, -1);
}
