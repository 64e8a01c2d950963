// Topology schema: what may stand in a topology, with the defaults of each kind of child.
import { constants } from 'node:os';
import { z } from 'zod';
import { isName, isStatePath, nameRule } from '../names.ts';
import { cacheDefaults } from './cache.ts';
import {
  type ActorLogic,
  type ActorSource,
  actorDefaults,
  type ChildPolicy,
  edgeModes,
  partitionPolicies,
  processDefaults,
  supervisorDefaults,
  type Wanted,
} from './child.ts';
import { processRuleKeys, standby } from './probe-check.ts';

export const name = z.string().refine(isName, { error: nameRule });
/** What a timer of Node takes: about 24 days. */
const msMax = 2 ** 31 - 1;
const msRule = { error: `it must be milliseconds, from 0 to ${msMax}` };
const ms = z.number(msRule).min(0, msRule).max(msMax, msRule);
const countRule = { error: 'it must be a whole number, 0 or more' };
const count = z.number(countRule).int(countRule).min(0, countRule);
const state = z.string().refine(isStatePath, { error: 'a state is one name, or several joined by dots' });

/** A state, or an edge of which nothing but the mode has to be said. */
const wanted = z
  .union(
    [state, z.strictObject({ state: state.default('ready'), mode: z.enum(edgeModes).default('requires') })],
    {
      error: `it must be a state, or { state, mode } with one of the modes ${edgeModes.join(', ')}`,
    },
  )
  .transform((edge): Wanted => (typeof edge !== 'string' && edge.mode === 'requires' ? edge.state : edge));

/** `always`, `on-failure` and `no` are what other process managers call the three types. */
export const restart = z
  .enum(['permanent', 'transient', 'temporary', 'always', 'on-failure', 'no'])
  .transform((word) =>
    word === 'always'
      ? 'permanent'
      : word === 'on-failure'
        ? 'transient'
        : word === 'no'
          ? 'temporary'
          : word,
  );

const factorRule = { error: 'it must be a number, 1 or more' };
const jitterRule = { error: 'it must be a number from 0 to 1' };
const backoff = (defaults: ChildPolicy['backoff']) =>
  z
    .strictObject({
      minMs: ms.default(defaults.minMs),
      maxMs: ms.default(defaults.maxMs),
      factor: z.number(factorRule).min(1, factorRule).default(defaults.factor),
      jitter: z.number(jitterRule).min(0, jitterRule).max(1, jitterRule).default(defaults.jitter),
    })
    .default(defaults);
const giveUp = (defaults: ChildPolicy['giveUp']) =>
  z
    .strictObject({
      restarts: count.default(defaults.restarts),
      periodMs: ms.default(defaults.periodMs),
    })
    .default(defaults);

/** The rules of a child, with the defaults of its kind. */
const policyWith = (defaults: typeof processDefaults | typeof supervisorDefaults | typeof actorDefaults) => ({
  restart: restart.default(defaults.restart),
  shutdown: z
    .union([ms, z.literal('kill'), z.literal('infinity')], {
      error: `it must be milliseconds up to ${msMax}, "kill" or "infinity"`,
    })
    .default(defaults.shutdown),
  dependsOn: z.record(name, wanted).default({}),
  startTimeoutMs: ms.default(defaults.startTimeoutMs),
  backoff: backoff(defaults.backoff),
  stableMs: ms.default(defaults.stableMs),
  giveUp: giveUp(defaults.giveUp),
  significant: z.boolean().default(defaults.significant),
  host: name.optional(),
  onPartition: z.enum(partitionPolicies).optional(),
});

/** A text, or where a secret is to be read. */
const envValue = z.union(
  [
    z.string(),
    z.strictObject({ secret: z.string().min(1) }),
    z.strictObject({ secretFile: z.string().min(1) }),
  ],
  { error: 'it must be a text, secret("NAME") or secret({ file })' },
);

const processKeys = {
  ...policyWith(processDefaults),
  file: z.string().min(1, { error: 'it must name a file' }),
  args: z.array(z.string()).default([]),
  env: z.record(z.string(), envValue).default({}),
  cwd: z.string().optional(),
  secrets: z.string().optional(),
  ...processRuleKeys,
};

export const nodeSchema = z.strictObject({
  kind: z.literal('node'),
  app: name.optional(),
  input: z.json({ error: 'it must be plain JSON' }).optional(),
  standby,
  ...processKeys,
});
/** Any that a program can handle. */
const signal = z.custom<NodeJS.Signals>(
  (value) =>
    typeof value === 'string' &&
    Object.hasOwn(constants.signals, value) &&
    value !== 'SIGKILL' &&
    value !== 'SIGSTOP',
  { error: 'it must be the name of a signal that a program can handle, as SIGUSR1' },
);

export const execSchema = z.strictObject({
  kind: z.literal('exec'),
  survive: z.boolean().default(false),
  onDependency: z.strictObject({ lost: signal.optional(), back: signal.optional() }).optional(),
  otherwise: state.optional(),
  ...processKeys,
});

export const actorSchema = z.strictObject({
  kind: z.literal('actor'),
  source: z.custom<ActorSource>(isSource, {
    error: 'it must be the logic of an actor, or a function that gives one',
  }),
  input: z.unknown().optional(),
  ...policyWith(actorDefaults),
});

/** What OTP's four strategies are called here. */
const strategies = ['one-for-one', 'one-for-all', 'rest-for-one', 'dynamic'] as const;

const supervision = {
  strategy: z.enum(strategies).default(supervisorDefaults.strategy),
  intensity: z
    .union([count, z.literal('infinity')], {
      error: 'it must be a whole number, 0 or more, or "infinity"',
    })
    .optional(),
  periodMs: ms.default(supervisorDefaults.periodMs),
  autoShutdown: z
    .enum(['never', 'any-significant', 'all-significant'])
    .default(supervisorDefaults.autoShutdown),
};
export const supervisorSchema = z.strictObject({
  kind: z.literal('supervisor'),
  ...policyWith(supervisorDefaults),
  ...supervision,
  get children() {
    return children.optional();
  },
  /** Of a dynamic supervisor: what each of its children is made from. */
  get child() {
    return template;
  },
});

export const child = z.discriminatedUnion('kind', [nodeSchema, execSchema, actorSchema, supervisorSchema]);
export type ActorInput = z.input<typeof actorSchema>;
export type ChildInput =
  | z.input<typeof nodeSchema>
  | z.input<typeof execSchema>
  | ActorInput
  | SupervisorInput;
export const children: z.ZodType<Record<string, z.output<typeof nodeSchema>>> = z.record(
  name,
  z.lazy(() => child),
) as never;

export const template: z.ZodOptional<z.ZodType<object>> = z.lazy(() => child).optional() as never;

/** Below, not even a first segment has room; above, no machine has the memory. */
const arenaBytes = { min: 256 * 1024, max: 2 ** 40 };
const arenaBytesRule = {
  error: `it must be a whole number of bytes, from ${arenaBytes.min} to ${arenaBytes.max}`,
};
export const arenaSchema = z.strictObject({
  kind: z.literal('arena'),
  bytes: z
    .number(arenaBytesRule)
    .int(arenaBytesRule)
    .min(arenaBytes.min, arenaBytesRule)
    .max(arenaBytes.max, arenaBytesRule),
});
const arenas = z.record(name, arenaSchema).optional();

const cacheNumber = (min: number, max: number) => {
  const rule = { error: `it must be a whole number, from ${min} to ${max}` };
  return z.number(rule).int(rule).min(min, rule).max(max, rule);
};
export const cacheSchema = z.strictObject({
  kind: z.literal('cache'),
  capacity: cacheNumber(1, 2 ** 24).default(cacheDefaults.capacity),
  recordBytes: cacheNumber(1, 2 ** 20).default(cacheDefaults.recordBytes),
  shards: cacheNumber(1, 64).default(cacheDefaults.shards),
  tombstones: cacheNumber(0, 2 ** 24).default(cacheDefaults.tombstones),
  agedOutMs: ms.default(cacheDefaults.agedOutMs),
  seed: cacheNumber(0, 2 ** 32 - 1).optional(),
});
const caches = z.record(name, cacheSchema).optional();

const text = z.string().min(1, { error: 'it must not be empty' });
const texts = z.array(text);
const portRule = { error: 'it must be a port, from 1 to 65535' };
export const tlsSchema = z.strictObject({
  ca: z.union([text, texts], { error: 'it must name a file, or several' }),
  cert: text,
  key: text,
  serverName: text.optional(),
  peerNames: texts.optional(),
});
export const hostSchema = z.strictObject({ hostname: text.optional(), tls: tlsSchema.optional() });
export const hostsRelaySchema = z.strictObject({
  mode: z.enum(['link', 'nats']),
  silentAfterMs: ms.optional(),
  hub: name.optional(),
  address: text.optional(),
  port: z.number(portRule).int(portRule).min(1, portRule).max(65_535, portRule).optional(),
  path: text.optional(),
  bind: text.optional(),
  insecure: z.boolean().optional(),
  servers: texts.optional(),
  auth: z
    .union(
      [
        z.strictObject({ user: text, passwordFile: text }),
        z.strictObject({ tokenFile: text }),
        z.strictObject({ nkeySeedFile: text }),
      ],
      { error: 'it must be { user, passwordFile }, { tokenFile } or { nkeySeedFile }' },
    )
    .optional(),
  tls: z.strictObject({ ca: text, cert: text.optional(), key: text.optional() }).optional(),
  replicas: z.literal([1, 3]).optional(),
});
const hosts = z.record(name, hostSchema).optional();
const relay = hostsRelaySchema.optional();

export const topologySchema = z.strictObject({
  name,
  ...supervision,
  children,
  arenas,
  caches,
  hosts,
  relay,
});

type SupervisionInput = { [K in keyof typeof supervision]?: z.input<(typeof supervision)[K]> };
export interface SupervisorInput
  extends SupervisionInput,
    Omit<z.input<typeof supervisorSchema>, 'children' | 'child' | keyof SupervisionInput> {
  children?: Record<string, ChildInput>;
  /** Of a dynamic supervisor, in place of `children`. */
  child?: ChildInput;
}

/** What `defineTopology` takes. */
export interface TopologyInput extends SupervisionInput {
  name: string;
  children: Record<string, ChildInput>;
  /** Arenas that the root holds, by name; made by `arena()`. */
  arenas?: Record<string, ArenaInput>;
  /** Caches that the root holds, by name; made by `cache()`. */
  caches?: Record<string, CacheInput>;
  /** Machines that its units run on, each with a root of its own; a unit says its `host`. */
  hosts?: Record<string, HostInput>;
  /** How these roots reach each other. */
  relay?: HostsRelayInput;
}

/** One machine: its hostname, for `run` without `--host`, and its files for TLS. */
export type HostInput = z.input<typeof hostSchema>;
/** `mode: 'link'` with hub, address and port, or `mode: 'nats'` with servers; docs/hosts.md has all keys. */
export type HostsRelayInput = z.input<typeof hostsRelaySchema>;

/** What `arena()` makes. */
export type ArenaInput = z.input<typeof arenaSchema>;
/** What `cache()` makes; its options. */
export type CacheInput = z.input<typeof cacheSchema>;
type Options<S extends { kind: string }> = Omit<S, 'kind' | 'file'>;
/** Options of `actor()`; docs/supervision.md has their defaults. */
export type ActorOptions = Omit<ActorInput, 'kind' | 'source' | 'input'>;
/** Options of `node()`; docs/supervision.md has their defaults. */
export type NodeOptions = Options<z.input<typeof nodeSchema>>;
/** Options of `exec()`; docs/supervision.md has their defaults. */
export type ExecOptions = Options<z.input<typeof execSchema>>;

function isSource(value: unknown): boolean {
  if (typeof value === 'function') return true;
  return typeof (value as Partial<ActorLogic> | null)?.getInitialSnapshot === 'function';
}
