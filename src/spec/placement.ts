// Placement: which host a machine is, and what of a topology the root of one host runs.
import { IpcError } from '../errors.ts';
import { nearest } from '../names.ts';
import type { Topology } from './child.ts';

/**
 * The host that this machine is.
 * @param named by `--host`. @param hostname what the machine calls itself.
 * @returns undefined for a topology without hosts.
 * @throws {IpcError} ERR_HOST_UNKNOWN.
 */
export function hostOf(
  { file, hosts }: Topology,
  named: string | undefined,
  hostname: string,
): string | undefined {
  if (!hosts) {
    if (named === undefined) return undefined;
    throw IpcError.of('ERR_HOST_UNKNOWN', named, `${file} names no hosts; run it without --host`);
  }
  const names = Object.keys(hosts);
  if (named === undefined) {
    const found = names.find((name) => hosts[name]!.hostname === hostname);
    if (found !== undefined) return found;
    throw IpcError.of(
      'ERR_HOST_UNKNOWN',
      hostname,
      `this machine is none of the hosts of ${file}; say which it is with --host ${names.join('|')}`,
    );
  }
  if (Object.hasOwn(hosts, named)) return named;
  const near = nearest(named, names);
  throw IpcError.of(
    'ERR_HOST_UNKNOWN',
    named,
    `${file} has the hosts ${names.join(', ')}${near === undefined ? '' : ` (did you mean ${near}?)`}`,
  );
}

/** What the root of one host runs, and knows of the units of the others. REQUIRES: a host of the topology. */
export function placedOn(topology: Topology, host: string): Topology {
  const children = Object.entries(topology.children);
  return {
    ...topology,
    host,
    order: children.map(([id]) => id),
    children: Object.fromEntries(children.filter(([, child]) => child.host === host)),
    elsewhere: Object.fromEntries(
      children.flatMap(([id, child]) =>
        child.host === host ? [] : [[id, { host: child.host!, child }] as const],
      ),
    ),
  };
}

/** Where the unit of that name, or the one above it, runs; undefined: here, or nowhere. */
export function hostElsewhere({ elsewhere = {} }: Topology, unit: string): string | undefined {
  const top = unit.split('/')[0]!;
  return Object.hasOwn(elsewhere, top) ? elsewhere[top]!.host : undefined;
}

/** Hosts, relay and places of two readings of a topology: what can't be changed while roots run. */
export function samePlaces(one: Topology, other: Topology): boolean {
  const places = ({ hosts, relay, host, elsewhere = {} }: Topology) =>
    JSON.stringify([
      hosts,
      relay,
      host,
      Object.entries(elsewhere)
        .map(([id, { host: on }]) => [id, on])
        .sort(),
    ]);
  return places(one) === places(other);
}
