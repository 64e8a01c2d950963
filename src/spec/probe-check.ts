// The checks of what a topology says about probes, named states, logs and standbys of a process.
import { resolve } from 'node:path';
import { z } from 'zod';
import { messageOf } from '../errors.ts';
import { isStatePath } from '../names.ts';
import { parseCondition } from './condition.ts';
import {
  type LogRules,
  type Probe,
  type ProbeBy,
  probeDefaults,
  processRulesDefaults,
  readinessPeriodMs,
  readyOf,
  recognitionPeriodMs,
} from './probe.ts';

/** A timer of Node takes about 24 days. */
const msRule = { error: `it must be milliseconds, from 1 to ${2 ** 31 - 1}` };
const ms = z
  .number(msRule)
  .min(1, msRule)
  .max(2 ** 31 - 1, msRule);
const countOf = (min: number, max: number) => {
  const rule = { error: `it must be a whole number from ${min} to ${max}` };
  return z.number(rule).int(rule).min(min, rule).max(max, rule);
};
const port = countOf(1, 65_535);
const words = z.union([z.string().min(1), z.array(z.string()).min(1)], {
  error: 'it must be a program, or a list of a program and its arguments',
});
const pattern = z
  .union([z.string().min(1), z.instanceof(RegExp)], { error: 'it must be a regular expression' })
  .refine(isPattern, { error: 'it is no regular expression' });
/** `host:port`, `[::1]:port`, or the port alone. */
const place = z
  .union([port, z.string()], { error: 'it must be a port, or "host:port"' })
  .refine((value) => placeOf(value) !== undefined, { error: 'it must be a port, or "host:port"' });
const url = z
  .union([port, z.string()], { error: 'it must be a port, or an http address' })
  .refine((value) => typeof value === 'number' || /^http:\/\/./.test(value) === URL.canParse(value), {
    error: 'it must be a port, or an http address',
  });

const timing = { periodMs: ms.optional(), timeoutMs: ms.optional(), failures: countOf(1, 1_000).optional() };
const looked = [
  z.strictObject({ tcp: place, ...timing }),
  z.strictObject({ http: url, ...timing }),
  z.strictObject({ exec: words, ...timing }),
  // What it says is read after the shape, so that the place of a mistake can be told.
  z.strictObject({ condition: z.string(), ...timing }),
] as const;
const flags = z
  .string()
  .regex(/^[imsuv]*$/, { error: 'flags are of i, m, s, u and v' })
  .optional();
/** A pattern from a file of data has its flags beside it. */
const logged = z.strictObject({ log: pattern, flags, ...timing });
/** 0, 1 and 2 are taken; 10 and above are the minder's. */
const notified = z.strictObject({ notifyFd: countOf(3, 9), ...timing });
const saved = z.strictObject({ fingerprint: z.string().min(1), ...timing });

const probeRule = {
  error:
    'it must be "reported", "spawned", { log }, { tcp }, { http }, { exec }, { condition } or { notifyFd }, with periodMs, timeoutMs and failures',
};
const whole = z.union([z.enum(['reported', 'spawned']), logged, ...looked, notified], probeRule);
const ofState = z.union([logged, ...looked, saved], {
  error:
    'it must be { log }, { tcp }, { http }, { exec }, { condition } or { fingerprint }, with periodMs, timeoutMs and failures',
});

const logDefaults: LogRules = processRulesDefaults.log;
const bytes = countOf(4_096, 2 ** 40);

/** The keys of a process child, beside those of every child. */
export const processRuleKeys = {
  ready: whole.optional(),
  liveness: whole.optional(),
  states: z
    .record(
      z.string().refine(isStatePath, { error: 'a state is one name, or several joined by dots' }),
      ofState,
    )
    .default({}),
  log: z
    .strictObject({
      maxBytes: bytes.default(logDefaults.maxBytes),
      files: countOf(1, 1_000).default(logDefaults.files),
      maxBytesPerSecond: bytes.default(logDefaults.maxBytesPerSecond),
    })
    .default(logDefaults),
};

export const standby = countOf(0, 16).default(processRulesDefaults.standby);

type Whole = z.output<typeof whole>;
type OfState = z.output<typeof ofState>;

/** The probe by which a process is ready. */
export function readinessOf(given: Whole | undefined, kind: 'node' | 'exec'): Probe {
  return given === undefined ? readyOf(kind) : probeOf(given, readinessPeriodMs);
}

/** The probe by which a process is alive. */
export function livenessOf(given: Whole | undefined): Probe {
  return given === undefined ? processRulesDefaults.liveness : probeOf(given, probeDefaults.periodMs);
}

/** @param folder where relative paths begin. */
export function statesOf(given: Readonly<Record<string, OfState>>, folder: string): Record<string, Probe> {
  return Object.fromEntries(
    Object.entries(given).map(([name, probe]) => {
      const seen = 'condition' in probe || 'fingerprint' in probe;
      const there =
        'fingerprint' in probe ? { ...probe, fingerprint: resolve(folder, probe.fingerprint) } : probe;
      return [name, probeOf(there, seen ? recognitionPeriodMs : probeDefaults.periodMs)];
    }),
  );
}

/** What is wrong with a probe although its shape is right; undefined: nothing. */
export function mistakeIn({ by }: Probe): string | undefined {
  if (by.kind !== 'condition') return undefined;
  try {
    parseCondition(by.text);
    return undefined;
  } catch (error) {
    return messageOf(error);
  }
}

function probeOf(given: Whole | OfState, periodMs: number): Probe {
  if (typeof given === 'string') return { by: { kind: given }, ...probeDefaults, periodMs };
  const { periodMs: period = periodMs, timeoutMs = probeDefaults.timeoutMs } = given;
  return { by: byOf(given), periodMs: period, timeoutMs, failures: given.failures ?? probeDefaults.failures };
}

function byOf(given: Exclude<Whole | OfState, string>): ProbeBy {
  if ('tcp' in given) return { kind: 'tcp', ...placeOf(given.tcp)! };
  if ('http' in given) {
    const { http } = given;
    return { kind: 'http', url: typeof http === 'number' ? `http://127.0.0.1:${http}/` : http };
  }
  if ('exec' in given) {
    const [file, ...args] = typeof given.exec === 'string' ? [given.exec] : given.exec;
    return { kind: 'exec', file: file!, args };
  }
  if ('condition' in given) return { kind: 'condition', text: given.condition };
  if ('fingerprint' in given) return { kind: 'fingerprint', file: given.fingerprint };
  if ('notifyFd' in given) return { kind: 'notify-fd', fd: given.notifyFd };
  const { source, flags } = new RegExp(given.log, given.flags);
  // A pattern that remembers where it was would miss every second line.
  return { kind: 'log', source, flags: flags.replace(/[gy]/g, '') };
}

function placeOf(value: string | number): { host: string; port: number } | undefined {
  if (typeof value === 'number') return { host: '127.0.0.1', port: value };
  const [, host, digits] = /^(?:(.+):)?(\d{1,5})$/.exec(value) ?? [];
  const number = Number(digits);
  if (digits === undefined || number < 1 || number > 65_535) return undefined;
  return { host: (host ?? '127.0.0.1').replace(/^\[(.*)\]$/, '$1'), port: number };
}

function isPattern(value: string | RegExp): boolean {
  try {
    new RegExp(value);
    return true;
  } catch {
    return false;
  }
}
