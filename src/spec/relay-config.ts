// Relay config: the configuration files of relay nodes, JSON with comments: `edge_supported_relay`, `half_edge`, `full_edge`. Every
// mistake is told at once, with its key path and the nearest known word; what has no meaning here is noted.
import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { dirname, resolve } from 'node:path';
import { type ParseError, parse, printParseErrorCode } from 'jsonc-parser';
import { IpcError, messageOf } from '../errors.ts';
import { isName, nameRule, nearest } from '../names.ts';
import type { LinkTls, RelayEndpoint } from './relay-link.ts';
import {
  type GatewaySpec,
  type LinkSpec,
  type ListenSpec,
  nodeDefaults,
  type RelayNodeSpec,
  type TableSpec,
  tableDefaults,
  tableNodeLengthMax,
} from './relay-node.ts';

/** The node that a file describes, and the sibling that it wants to have started. */
export interface RelayConfig {
  readonly file: string;
  readonly spec: RelayNodeSpec | GatewaySpec;
  readonly sibling?: RelayConfig | { readonly command: readonly string[] };
  /** Keys that are understood and have no effect here, and why. */
  readonly notes: readonly string[];
}

/** What stands for our own program in `proc_name`. */
const ourselves = ['global-sessions', 'global_session', 'actor-ipc'];
/** Where a relay and the sibling that it starts meet: in the run directory of their tree. */
export const siblingSocket = 'relay-sibling.sock';
/** The ports of the original, for those who leave them out. */
const ports = { relay: 7878, sibling: 7880 } as const;

const linkKeys = ['name', 'cluster', 'beat_ms'];
const nodeKeys = [...linkKeys, 'hooks'];
const keysOf = {
  relay: [
    ...nodeKeys,
    'edge_supported_relay',
    'auth_path',
    'port',
    'address',
    'path',
    'tls',
    'path_types',
    'high_water',
    'fetch_timeout_ms',
  ],
  sibling: [
    ...nodeKeys,
    'half_edge',
    'auth_path',
    'port',
    'address',
    'path',
    'tls',
    'cache',
    'relay',
    'replicas',
    'fetch_timeout_ms',
    'max_stale_ms',
  ],
  relief: [...nodeKeys, 'full_edge', 'lru', 'message_relay', 'age_or_replica'],
  gateway: [
    ...linkKeys,
    'gateway',
    'port',
    'address',
    'path',
    'tls',
    'relay',
    'universe',
    'apps',
    'outage_ms',
  ],
  apps: ['here', 'away'],
  path: ['relay', 'cache'],
  link: ['auth_path', 'port', 'address', 'path', 'tls'],
  pathRelay: ['proc_name', 'local', 'port', 'address', 'tls'],
  lru: ['manage_section', 'cache', 'age_or_replica'],
  tls: ['server_key', 'server_cert', 'client_key', 'client_cert', 'server_name', 'peer_names', 'any_name'],
  cache: ['seed', 'record_size', 'el_count', 'aged_out_secs', 'sessions_length', 'max_tombstones'],
} as const;
/** Keys of the original's table that this one has no use for. */
const idle: Readonly<Record<string, string>> = {
  token_path: 'a node has a table of its own, by its name',
  am_initializer: 'a node has its table to itself',
  manage_section: 'a node has its table to itself',
  stop_child: 'a supervisor stops what it has started',
  hop_scotch_scale: 'the table has no neighbourhoods',
  max_evictions: 'what has to go makes room for one record at a time',
  immediate_evictions: 'room is always made at once',
  evictions_timeout: 'what is over is always removed at times',
  hasher: 'keys are hashed by XXH64',
  custom_lru: 'use hooks',
  proc_names: 'a node has its table to itself',
  master_of_ceremonies: 'a node has its table to itself',
  module_path: 'use hooks',
};
const roles = {
  edge_supported_relay: 'relay',
  half_edge: 'sibling',
  full_edge: 'relief',
  gateway: 'gateway',
} as const;

/**
 * Reads one file, and that of the sibling that it names.
 * @throws {IpcError} ERR_RELAY_CONFIG with one line for each mistake.
 */
export function readRelayConfig(file: string): RelayConfig {
  return read(file, false);
}

function read(file: string, asSibling: boolean): RelayConfig {
  const text = readText(file);
  const mistakes: ParseError[] = [];
  const value: unknown = parse(text, mistakes, { allowTrailingComma: true });
  if (mistakes.length > 0)
    throw invalid(
      file,
      mistakes.map((each) => syntaxOf(text, each)),
    );
  return check(value, file, asSibling);
}

/** The same for what stands in such a file. */
export function checkRelayConfig(value: unknown, file: string): RelayConfig {
  return check(value, file, false);
}

/** @param asSibling whose own sibling is of no interest: files that name each other have no end. */
function check(value: unknown, file: string, asSibling: boolean): RelayConfig {
  const reader = new Reader(dirname(file));
  const config = reader.map(value, '');
  const named = Object.keys(roles).filter((key) => config[key] === true) as (keyof typeof roles)[];
  if (named.length > 1) reader.mistake('', `is at once ${named.join(' and ')}; a file describes one node`);
  // A role that is misspelt is no node of another kind.
  const strange = Object.keys(config).filter((key) => /edge/.test(key) && !Object.hasOwn(roles, key));
  for (const key of strange) reader.unknown('', key, Object.keys(roles));
  const role = named[0] ? roles[named[0]] : 'relief';
  if (named.length === 0 && !('message_relay' in config) && strange.length === 0)
    reader.mistake(
      '',
      `names no role: ${Object.keys(roles).join(', ')}; and a relief node needs message_relay`,
    );
  const checked = strange.length === 0 && named.length < 2 && reader.read(role, config);
  if (reader.mistakes.length > 0 || !checked) throw invalid(file, reader.mistakes);
  const { spec, procName } = checked;
  const sibling = procName && !asSibling && siblingOf(procName, file);
  const { notes } = reader;
  return { file, spec, notes, ...(sibling && { sibling }) };
}

function siblingOf(procName: readonly string[], file: string): RelayConfig['sibling'] {
  const [program, ...args] = procName as [string, ...string[]];
  if (!ourselves.includes(program)) return { command: procName };
  const config = args.find((arg) => arg !== 'relay');
  if (config === undefined)
    throw invalid(file, [`path_types.relay.proc_name: ${program} needs the sibling's file`]);
  const sibling = read(resolve(dirname(file), config), true);
  if (sibling.spec.role !== 'sibling')
    throw invalid(file, [
      `path_types.relay.proc_name: ${sibling.file} describes a node of role ${sibling.spec.role}; it must be half_edge`,
    ]);
  return sibling;
}

interface Checked {
  readonly spec: RelayConfig['spec'];
  readonly procName?: readonly string[] | undefined;
}

type Map = Record<string, unknown>;

class Reader {
  readonly mistakes: string[] = [];
  readonly notes: string[] = [];
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
  }

  read(role: (typeof roles)[keyof typeof roles], config: Map): Checked {
    this.#known(config, '', keysOf[role]);
    if (role === 'relay') return this.#relay(config);
    if (role === 'gateway') return { spec: this.#gateway(config) };
    return { spec: role === 'sibling' ? this.#sibling(config) : this.#relief(config) };
  }

  #relay(config: Map): Checked {
    const auth = this.#text(config, '', 'auth_path', 'auths');
    const types = this.map(config.path_types ?? {}, 'path_types');
    for (const other of Object.keys(types).filter((key) => key !== auth))
      this.notes.push(`path_types.${other}: only the path of auth_path (${auth}) is kept here`);
    if (config.path_types !== undefined && !(auth in types))
      this.unknown('path_types', auth, Object.keys(types));
    const path = this.map(types[auth] ?? {}, `path_types.${auth}`);
    this.#known(path, `path_types.${auth}`, keysOf.path);
    const at = `path_types.${auth}.relay`;
    const relay = this.map(path.relay ?? {}, at);
    this.#known(relay, at, keysOf.pathRelay);
    const procName = this.#procName(relay.proc_name, `${at}.proc_name`);
    const table = this.#table(path.cache, `path_types.${auth}.cache`);
    const siblingListen: ListenSpec | undefined =
      procName || relay.local === true
        ? { path: siblingSocket }
        : relay.port === undefined
          ? undefined
          : {
              ...this.#endpoint(relay, at, ports.relay, '0.0.0.0'),
              tls: this.#serverTls(relay.tls, `${at}.tls`),
            };
    const spec: RelayNodeSpec = {
      role: 'relay',
      ...this.#node(config, 'relay', this.#seed(path.cache)),
      listen: [
        { ...this.#endpoint(config, '', ports.relay, '0.0.0.0'), tls: this.#serverTls(config.tls, 'tls') },
      ],
      siblingListen,
      table,
      highWater: this.#number(config, '', 'high_water', nodeDefaults.highWater, 0, 1, false),
      fetchTimeoutMs: this.#number(config, '', 'fetch_timeout_ms', nodeDefaults.fetchTimeoutMs, 1, 60_000),
    };
    return { spec, procName };
  }

  #sibling(config: Map): RelayNodeSpec {
    const { tombstonesMax } = this.#table(config.cache, 'cache');
    this.#text(config, '', 'auth_path', 'auths');
    return {
      role: 'sibling',
      ...this.#node(config, 'sibling', this.#seed(config.cache)),
      listen: [
        { ...this.#endpoint(config, '', ports.sibling, '0.0.0.0'), tls: this.#serverTls(config.tls, 'tls') },
      ],
      relay:
        config.relay === undefined
          ? { endpoint: { path: siblingSocket } }
          : this.#link(config.relay, 'relay', ports.relay),
      replicas: this.#number(config, '', 'replicas', nodeDefaults.replicas, 1, 16),
      fetchTimeoutMs: this.#number(config, '', 'fetch_timeout_ms', nodeDefaults.fetchTimeoutMs, 1, 60_000),
      maxStaleMs: this.#number(config, '', 'max_stale_ms', nodeDefaults.maxStaleMs, 1, 3_600_000),
      tombstonesMax,
    };
  }

  #relief(config: Map): RelayNodeSpec {
    const lru = this.map(config.lru ?? {}, 'lru');
    this.#known(lru, 'lru', keysOf.lru);
    const kinds = {
      replicating: 'expansion',
      'age-out': 'aging',
      expansion: 'expansion',
      aging: 'aging',
    } as const;
    const said = config.age_or_replica ?? lru.age_or_replica ?? 'age-out';
    if (typeof said !== 'string' || !Object.hasOwn(kinds, said))
      this.unknown('age_or_replica', String(said), Object.keys(kinds), 'is not allowed');
    const role = kinds[said as keyof typeof kinds] ?? 'aging';
    return {
      role,
      ...this.#node(
        config,
        `${role}-${hostname().replace(/[^A-Za-z0-9_-]/g, '-')}`.slice(0, tableNodeLengthMax),
        this.#seed(lru.cache),
      ),
      sibling: this.#link(config.message_relay, 'message_relay', ports.sibling),
      table: this.#table(lru.cache, 'lru.cache'),
    };
  }

  #gateway(config: Map): GatewaySpec {
    const listens = ['port', 'address', 'path'].some((key) => key in config);
    if (listens === (config.relay !== undefined))
      this.mistake(
        '',
        'needs either "relay", which says where the relay of a gateway is, or a "port" or "path" at which it is the relay',
      );
    const apps = this.map(config.apps ?? {}, 'apps');
    this.#known(apps, 'apps', keysOf.apps);
    const away = this.#apps(
      apps.away,
      'apps.away',
      (node) => typeof node === 'string' && isName(node),
    ) as Record<string, string>;
    const here = this.#apps(
      apps.here,
      'apps.here',
      (nodes) => Array.isArray(nodes) && nodes.every((node) => typeof node === 'string' && isName(node)),
    ) as Record<string, string[]>;
    if (Object.keys(away).length + Object.keys(here).length === 0)
      this.mistake(
        'apps',
        'is missing; it says which apps are "here", for which nodes, and which are "away", where',
      );
    if (Object.keys(away).length > 1)
      this.mistake(
        'apps.away',
        'a gateway stands in for one app; describe another gateway for each further one',
      );
    for (const app of Object.keys(away))
      if (Object.hasOwn(here, app)) this.mistake(`apps.away.${app}`, 'it can not be both here and away');
    const universe = this.#text(config, '', 'universe', '');
    if (!isName(universe)) this.mistake('universe', `must be the name of a universe: ${nameRule}`);
    return {
      role: 'gateway',
      ...this.#linked(config, 'gateway'),
      universe,
      away,
      here,
      listen: listens
        ? [{ ...this.#endpoint(config, '', ports.relay, '0.0.0.0'), tls: this.#serverTls(config.tls, 'tls') }]
        : [],
      ...(config.relay !== undefined && { relay: this.#link(config.relay, 'relay', ports.relay) }),
      ...(config.outage_ms !== undefined && {
        outageMs: this.#number(config, '', 'outage_ms', 10_000, 100, 3_600_000),
      }),
    };
  }

  // ---- parts

  #apps(value: unknown, at: string, isGood: (said: unknown) => boolean): Map {
    const apps = this.map(value ?? {}, at);
    for (const [app, said] of Object.entries(apps)) {
      if (!isName(app)) this.mistake(`${at}.${app}`, `is no name of an app: ${nameRule}`);
      if (!isGood(said))
        this.mistake(
          `${at}.${app}`,
          `must be ${at.endsWith('here') ? 'a list of names of nodes' : 'the name of a node'}, not ${JSON.stringify(said)}`,
        );
    }
    return apps;
  }

  #linked(config: Map, fallback: string) {
    const node = this.#text(config, '', 'name', fallback);
    if (!isName(node)) this.mistake('name', `${JSON.stringify(node)} is not allowed: ${nameRule}`);
    if (node.length > tableNodeLengthMax)
      this.mistake(
        'name',
        `${node} is too long: a node has a name of at most ${tableNodeLengthMax} characters`,
      );
    const beatMs =
      config.beat_ms === undefined ? undefined : this.#number(config, '', 'beat_ms', 1_000, 10, 60_000);
    return {
      node,
      cluster: this.#text(config, '', 'cluster', ''),
      ...(beatMs !== undefined && { times: { beatMs } }),
    };
  }

  #node(config: Map, fallback: string, seed: string) {
    const hooks =
      config.hooks === undefined ? undefined : resolve(this.#folder, this.#text(config, '', 'hooks', ''));
    return { ...this.#linked(config, fallback), seed, ...(hooks !== undefined && { hooks }) };
  }

  #link(value: unknown, at: string, port: number): LinkSpec {
    if (value === undefined)
      this.mistake(at, 'is missing; it says where the next node is: address, port, tls');
    const link = this.map(value ?? {}, at);
    this.#known(link, at, keysOf.link);
    return {
      endpoint: this.#endpoint(link, at, port, 'localhost'),
      tls: this.#clientTls(link.tls, `${at}.tls`),
    };
  }

  #endpoint(map: Map, at: string, port: number, host: string): RelayEndpoint {
    // A Unix socket; one without a folder stands in the run directory.
    if (map.path !== undefined) return { path: this.#text(map, at, 'path', '') };
    const address = this.#text(map, at, 'address', host);
    return { host: address, port: this.#number(map, at, 'port', port, 0, 65_535) };
  }

  #serverTls(value: unknown, at: string): LinkTls | undefined {
    return this.#tls(value, at, { key: ['server_key'], cert: ['server_cert'], ca: ['client_cert'] });
  }

  /** The original's own example names `server_key` on the client's side, too. */
  #clientTls(value: unknown, at: string): LinkTls | undefined {
    return this.#tls(value, at, {
      key: ['client_key', 'server_key'],
      cert: ['client_cert'],
      ca: ['server_cert'],
    });
  }

  #tls(value: unknown, at: string, names: Record<'key' | 'cert' | 'ca', string[]>): LinkTls | undefined {
    if (value === undefined || value === false) return undefined;
    const map = this.map(value, at);
    this.#known(map, at, keysOf.tls);
    const fileOf = (wanted: string[]): string[] => {
      const found = map[wanted.find((key) => key in map) ?? ''];
      const files = [found].flat();
      if (files.length > 0 && files.every((each) => typeof each === 'string'))
        return files.map((each) => resolve(this.#folder, each as string));
      this.mistake(
        `${at}.${wanted[0]}`,
        found === undefined ? 'is missing; it names a file of PEM' : 'it must name a file of PEM',
      );
      return [''];
    };
    const { server_name: serverName, peer_names: peerNames, any_name: anyName = false } = map;
    if (typeof anyName !== 'boolean') this.mistake(`${at}.any_name`, 'must be true or false');
    if (
      peerNames !== undefined &&
      !(Array.isArray(peerNames) && peerNames.every((name) => typeof name === 'string'))
    )
      this.mistake(`${at}.peer_names`, 'must be a list of names');
    return {
      key: fileOf(names.key)[0]!,
      cert: fileOf(names.cert)[0]!,
      ca: fileOf(names.ca),
      ...(typeof serverName === 'string' && { serverName }),
      ...(Array.isArray(peerNames) && { peerNames: peerNames as string[] }),
      ...(anyName === true && { anyName }),
    };
  }

  #table(value: unknown, at: string): TableSpec {
    const map = this.map(value ?? {}, at);
    this.#known(map, at, keysOf.cache);
    const { capacity, recordBytes, sweepMs, tombstonesMax } = tableDefaults;
    return {
      capacity: this.#number(map, at, 'el_count', capacity, 1, 16_777_216),
      recordBytes: this.#number(map, at, 'record_size', recordBytes, 1, 512 * 1024),
      ...(map.aged_out_secs !== undefined && {
        agedOutMs: this.#number(map, at, 'aged_out_secs', 3_600, 1, 10_000_000) * 1_000,
      }),
      sweepMs: this.#number(map, at, 'sessions_length', sweepMs, 10, 2 ** 31 - 1),
      tombstonesMax: this.#number(map, at, 'max_tombstones', tombstonesMax, 1, 10_000_000),
    };
  }

  #seed(cache: unknown): string {
    const seed = (cache as Map | undefined)?.seed ?? 0;
    if (/^\d{1,19}$/.test(String(seed))) return String(seed);
    this.mistake('cache.seed', `must be a whole number, not ${JSON.stringify(seed)}`);
    return '0';
  }

  #procName(value: unknown, at: string): readonly string[] | undefined {
    if (value === undefined || value === false) return undefined;
    // A text is a file for Node, as in the original.
    if (typeof value === 'string' && value !== '') return [process.execPath, resolve(this.#folder, value)];
    if (Array.isArray(value) && value.length > 0 && value.every((each) => typeof each === 'string'))
      return value;
    this.mistake(at, 'must be a file for Node, or a list of a program and its arguments');
    return undefined;
  }

  // ---- values

  map(value: unknown, at: string): Map {
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Map;
    this.mistake(at, `must be an object, not ${JSON.stringify(value) ?? 'nothing'}`);
    return {};
  }

  mistake(at: string, what: string): void {
    this.mistakes.push(`${at === '' ? 'the file' : `${at}:`} ${what}`);
  }

  unknown(at: string, word: string, known: readonly string[], verb = 'unknown key'): void {
    const near = nearest(word, known);
    const path = verb === 'unknown key' && at !== '' ? `${at}.${word}` : at === '' ? word : at;
    const what = verb === 'unknown key' ? verb : `${JSON.stringify(word)} ${verb}`;
    this.mistakes.push(
      `${path}: ${what}${near === undefined ? '' : ` (did you mean ${near}?)`}; allowed: ${known.join(', ')}`,
    );
  }

  #known(map: Map, at: string, known: readonly string[]): void {
    for (const key of Object.keys(map)) {
      if (known.includes(key)) {
        if (Object.hasOwn(idle, key))
          this.notes.push(`${at === '' ? '' : `${at}.`}${key}: has no effect here: ${idle[key]}`);
      } else if (Object.hasOwn(idle, key) && /cache|lru/.test(at))
        this.notes.push(`${at}.${key}: has no effect here: ${idle[key]}`);
      else this.unknown(at, key, known);
    }
  }

  #text(map: Map, at: string, key: string, fallback: string): string {
    const value = map[key] ?? fallback;
    if (typeof value === 'string') return value;
    this.mistake(at === '' ? key : `${at}.${key}`, `must be a text, not ${JSON.stringify(value)}`);
    return fallback;
  }

  #number(
    map: Map,
    at: string,
    key: string,
    fallback: number,
    min: number,
    max: number,
    whole = true,
  ): number {
    const value = map[key] ?? fallback;
    const isGood =
      typeof value === 'number' && value >= min && value <= max && (!whole || Number.isInteger(value));
    if (isGood) return value;
    this.mistake(
      at === '' ? key : `${at}.${key}`,
      `must be a ${whole ? 'whole ' : ''}number from ${min} to ${max}, not ${JSON.stringify(value)}`,
    );
    return fallback;
  }
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw IpcError.from(error, 'ERR_RELAY_CONFIG', file, messageOf(error));
  }
}

function syntaxOf(text: string, { error, offset }: ParseError): string {
  const before = text.slice(0, offset).split('\n');
  return `line ${before.length}, column ${before.at(-1)!.length + 1}: ${printParseErrorCode(error)}`;
}

function invalid(file: string, mistakes: readonly string[]): IpcError {
  return IpcError.of('ERR_RELAY_CONFIG', file, mistakes.join('\n  '));
}
