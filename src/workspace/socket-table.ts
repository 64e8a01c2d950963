// Socket table: one look at the sockets of a network namespace, for all the processes in it that are looked at in that moment.
import { readFileSync, readlinkSync } from 'node:fs';

export interface SocketLine {
  readonly local: string;
  readonly remote: string;
  readonly state: 'listening' | 'established' | 'other';
}

type Protocol = 'tcp' | 'udp';
type Inodes = ReadonlyMap<string, string>;

/** States of /proc/net/tcp. */
const established = '01';
const listening = '0A';

export class SocketTables {
  /** Raw lines by the inodes of their sockets, of each namespace and protocol. */
  readonly #tables = new Map<string, Inodes>();

  /** The sockets of that protocol among those of a process; in whatever state another one is, these are there. */
  *of(folder: string, protocol: Protocol, inodes: Iterable<string>): Generator<SocketLine> {
    const table = this.#tableOf(folder, protocol);
    for (const inode of inodes) {
      const line = table.get(inode);
      if (line !== undefined) yield socketIn(line);
    }
  }

  #tableOf(folder: string, protocol: Protocol): Inodes {
    const key = `${protocol} ${readlinkSync(`${folder}/ns/net`)}`;
    const known = this.#tables.get(key);
    if (known) return known;
    const table = new Map<string, string>();
    for (const name of [protocol, `${protocol}6`]) addLines(table, `${folder}/net/${name}`, protocol);
    this.#tables.set(key, table);
    return table;
  }
}

/** On a busy host there are many lines, and almost none is asked for: only the two fields that decide are taken out here. */
function addLines(table: Map<string, string>, path: string, protocol: Protocol): void {
  for (const line of linesOf(path)) {
    const [, , , state, , , , , , inode] = line.split(/ +/, 10);
    if (inode === undefined || inode === '0') continue;
    if (protocol === 'tcp' && state !== established && state !== listening) continue;
    table.set(inode, line);
  }
}

/** A kernel without IPv6 has no such table. */
function linesOf(path: string): string[] {
  try {
    return readFileSync(path, 'latin1')
      .split('\n')
      .slice(1)
      .map((line) => line.trimStart());
  } catch {
    return [];
  }
}

function socketIn(line: string): SocketLine {
  const [, local, remote, state] = line.split(/ +/, 4);
  return {
    local: addressIn(local!),
    remote: addressIn(remote!),
    state: state === listening ? 'listening' : state === established ? 'established' : 'other',
  };
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
