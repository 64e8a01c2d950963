// Fingerprints: what a process has open, as far as one can see from outside. They recognise a state of a process and
// strangers; who a process is, its number and its start time say.

export const fingerprintKeys = ['cmdline', 'listen', 'established', 'udp', 'files'] as const;
export type FingerprintKey = (typeof fingerprintKeys)[number];

/**
 * `cmdline` are the arguments in order; `listen` and `udp` local addresses `ip:port`, `established` those of the other end;
 * `files` paths of open regular files.
 */
export type Fingerprint = Readonly<Record<FingerprintKey, readonly string[]>>;

export const emptyFingerprint: Fingerprint = { cmdline: [], listen: [], established: [], udp: [], files: [] };

/** How much each part says about what a process is. */
const weights: Readonly<Record<FingerprintKey, number>> = {
  cmdline: 50,
  files: 30,
  listen: 20,
  established: 2,
  udp: 0,
};

/** The parts that count for the likeness. */
export const tellingKeys: ReadonlySet<FingerprintKey> = new Set(
  fingerprintKeys.filter((key) => weights[key] > 0),
);

/** From here on two fingerprints are taken for the same. */
export const sameFrom = 0.9;

/**
 * How alike two fingerprints are: 1 for identical, -1 for nothing in common. Of each part that either has, entries in common
 * count for it and others against it, by the part's weight.
 */
export function likeness(a: Fingerprint, b: Fingerprint): number {
  let sum = 0;
  let weight = 0;
  for (const key of fingerprintKeys) {
    const total = a[key].length + b[key].length;
    if (total === 0) continue;
    const common = commonCount(a[key], b[key]);
    sum += (weights[key] * (2 * common - (total - 2 * common))) / total;
    weight += weights[key];
  }
  // Nothing that has a weight: both are empty, or have nothing but datagram sockets.
  return weight === 0 ? 1 : sum / weight;
}

/** How alike a fingerprint of that command line can be at most, whatever else is in it. */
export function likenessAtMost(known: Fingerprint, cmdline: readonly string[]): number {
  return likeness(known, { ...known, cmdline });
}

/** The one of these that a fingerprint looks most like, if it looks enough like it; of several, the last. */
export function likeliest(seen: Fingerprint, known: ReadonlyMap<string, Fingerprint>): string | undefined {
  let best: string | undefined;
  let bestLikeness = sameFrom;
  for (const [name, fingerprint] of known) {
    const alike = likeness(seen, fingerprint);
    if (alike < bestLikeness) continue;
    best = name;
    bestLikeness = alike;
  }
  return best;
}

/** Entries that both lists have, each as often as in the one that has it less often. */
function commonCount(a: readonly string[], b: readonly string[]): number {
  const left = new Map<string, number>();
  for (const entry of a) left.set(entry, (left.get(entry) ?? 0) + 1);
  let common = 0;
  for (const entry of b) {
    const count = left.get(entry) ?? 0;
    if (count === 0) continue;
    left.set(entry, count - 1);
    common++;
  }
  return common;
}
