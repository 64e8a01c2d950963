// Quantity: figures in as few characters as tell their size.

/** Per second: `3/s`, `1.2k/s`. */
export function describeRate(perS: number): string {
  return `${describeCount(perS)}/s`;
}

export function describeCount(count: number): string {
  if (count >= 999_500) return `${(count / 1_000_000).toPrecision(count >= 9_950_000 ? 3 : 2)}M`;
  if (count >= 10_000) return `${Math.round(count / 1000)}k`;
  if (count >= 1_000) return `${(count / 1000).toFixed(1)}k`;
  return Number.isInteger(count) ? String(count) : count.toFixed(1);
}

const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'] as const;

export function describeSize(bytes: number): string {
  let at = 0;
  let size = bytes;
  while (size >= 1024 && at < units.length - 1) {
    size /= 1024;
    at++;
  }
  return `${at === 0 || size >= 100 ? Math.round(size) : size.toFixed(1)} ${units[at]!}`;
}

export function describeMs(ms: number): string {
  if (ms === 0) return '0 ms';
  if (ms < 0.1) return `${Math.max(1, Math.round(ms * 1_000))} µs`;
  if (ms < 10) return `${ms.toFixed(1)} ms`;
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1_000).toFixed(1)} s`;
  if (ms < 3_600_000) return `${Math.floor(ms / 60_000)} min ${Math.floor((ms % 60_000) / 1_000)} s`;
  return `${Math.floor(ms / 3_600_000)} h ${Math.floor((ms % 3_600_000) / 60_000)} min`;
}

/** The time of day with milliseconds, in the reader's zone. */
export function describeTime(atMs: number): string {
  const date = new Date(atMs);
  const two = (part: number) => String(part).padStart(2, '0');
  const ms = String(Math.floor(atMs % 1000)).padStart(3, '0');
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}.${ms}`;
}
