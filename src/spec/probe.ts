// Probes: how the state of a process is recognised without its help, as plain data with every default filled in.

/** What is looked at. */
export type ProbeBy =
  /** By its control socket: a node child answers there. */
  | { readonly kind: 'reported' }
  /** It runs, and nothing more is asked. */
  | { readonly kind: 'spawned' }
  /** A line of its output matches. */
  | { readonly kind: 'log'; readonly source: string; readonly flags: string }
  /** It writes a newline to that descriptor. */
  | { readonly kind: 'notify-fd'; readonly fd: number }
  /** Somebody accepts a connection there. */
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  /** A GET is answered with a status from 200 to 399. */
  | { readonly kind: 'http'; readonly url: string }
  /** The program ends with code 0. */
  | { readonly kind: 'exec'; readonly file: string; readonly args: readonly string[] }
  /** An expression over its fingerprint, state, health and uptime is true. */
  | { readonly kind: 'condition'; readonly text: string }
  /** It looks as in that file; of several that it looks like, the one that it looks most like. */
  | { readonly kind: 'fingerprint'; readonly file: string };

export interface Probe {
  readonly by: ProbeBy;
  /** From one look to the next. Of what is heard and not looked at (`log`, `notify-fd`): the longest silence. */
  readonly periodMs: number;
  /** A look that takes longer has failed. */
  readonly timeoutMs: number;
  /** So many failures in a row count. */
  readonly failures: number;
}

/** How what a process writes is kept. */
export interface LogRules {
  /** A log file that would become larger is moved aside. */
  readonly maxBytes: number;
  /** How many files that were moved aside are kept for each stream. */
  readonly files: number;
  /** What is written faster than this is read but not kept; how much that was is told. */
  readonly maxBytesPerSecond: number;
}

/** What only processes have. */
export interface ProcessRules {
  readonly ready: Probe;
  readonly liveness: Probe;
  /** Named states that are recognised from outside; the last one that holds counts. */
  readonly states: Readonly<Record<string, Probe>>;
  readonly log: LogRules;
  /** Warm incarnations that wait for the present one's end. */
  readonly standby: number;
  /** It goes on without its supervisor, and the next one adopts it. */
  readonly survive: boolean;
}

export const probeDefaults = { periodMs: 10_000, timeoutMs: 1_000, failures: 3 } as const;
/** From one look at the fingerprint to the next. */
export const recognitionPeriodMs = 1_000;
/** Somebody waits for it, so it is looked for more often. */
export const readinessPeriodMs = 200;

export const processRulesDefaults = {
  liveness: { by: { kind: 'spawned' }, ...probeDefaults },
  states: {},
  log: { maxBytes: 10 * 1024 * 1024, files: 5, maxBytesPerSecond: 1024 * 1024 },
  standby: 0,
  survive: false,
} as const satisfies Omit<ProcessRules, 'ready'>;

/** How a process of that kind is known to be ready, unless it says something else. */
export function readyOf(kind: 'node' | 'exec'): Probe {
  return {
    by: { kind: kind === 'node' ? 'reported' : 'spawned' },
    ...probeDefaults,
    periodMs: readinessPeriodMs,
  };
}

/** Whether it is recognised by what the process has open, by one look for all states of a unit. */
export function isRecognised({ kind }: ProbeBy): boolean {
  return kind === 'condition' || kind === 'fingerprint';
}

/** The descriptor on which a program says that it is ready, if it does. */
export function notifyFdOf({
  ready,
  liveness,
}: Pick<ProcessRules, 'ready' | 'liveness'>): number | undefined {
  for (const { by } of [ready, liveness]) if (by.kind === 'notify-fd') return by.fd;
  return undefined;
}
