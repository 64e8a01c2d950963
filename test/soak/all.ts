// All kill soaks, one after another, two at a time: what each has killed, and which promises were broken.
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

export interface PartReport {
  readonly part: string;
  /** Processes that died of the SIGKILL that was meant for them. */
  readonly kills: number;
  readonly violations: readonly string[];
  readonly seconds: number;
}

interface Part {
  readonly name: string;
  /** Who is killed. */
  readonly victims: string;
  /** Of all kills. */
  readonly share: number;
  readonly args: readonly string[];
}

/** The shares are by what a kill costs: a forked process a millisecond, a node of the relay tier half a second. */
export const parts: readonly Part[] = [
  {
    name: 'supervisors',
    victims: 'programs, standbys and minders of a tree',
    share: 0.008,
    args: ['--tree', '86400'],
  },
  { name: 'roots', victims: 'supervisors, and programs right before them', share: 0.002, args: ['--root'] },
  { name: 'pipes', victims: 'C++ processes on a region', share: 0.4, args: ['--pipes'] },
  { name: 'relay', victims: 'Node.js processes of a relay tier', share: 0.004, args: ['--relay'] },
  { name: 'arenas', victims: 'Node.js processes with lent memory', share: 0.006, args: ['--arena'] },
  { name: 'sessions', victims: 'C++ and Node.js processes in a session', share: 0.08, args: [] },
  { name: 'broadcasts', victims: 'C++ writers and readers', share: 0.2, args: ['--broadcast'] },
  { name: 'caches', victims: 'C++ processes on a cache', share: 0.3, args: ['--cache'] },
];

export async function soakAll(
  { kills, seed, atOnce = 2 }: { kills: number; seed: number; atOnce?: number },
  onReport: (report: PartReport) => void,
): Promise<PartReport[]> {
  const waiting = [...parts];
  const reports: PartReport[] = [];
  const lane = async () => {
    for (let part = waiting.shift(); part; part = waiting.shift()) {
      const report = await soakPart(part, Math.ceil(kills * part.share), seed);
      reports.push(report);
      onReport(report);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, lane));
  return reports;
}

/** In a process of its own, whose descriptors are those of no other part. */
function soakPart({ name, args }: Part, kills: number, seed: number): Promise<PartReport> {
  const beganAt = performance.now();
  const main = fileURLToPath(new URL('main.ts', import.meta.url));
  const common = ['--kills', String(kills), '--seed', String(seed), '--json'];
  const child = spawn(process.execPath, ['--import', 'tsx/esm', main, ...args, ...common], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  let errors = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    errors = (errors + text).slice(-4_000);
  });
  return new Promise((resolve) => {
    child.once('close', (code, signal) => {
      const seconds = Math.round((performance.now() - beganAt) / 1000);
      const report = reportIn(output);
      const violations = [...(report?.violations ?? [])];
      if (!report || (code !== 0 && violations.length === 0))
        violations.push(`it ended with ${signal ?? `code ${code}`}: ${errors || output.slice(-1_000)}`);
      resolve({ part: name, kills: report?.kills ?? 0, violations, seconds });
    });
  });
}

/** Its last line. */
function reportIn(output: string): { kills: number; violations: readonly string[] } | undefined {
  try {
    return JSON.parse(output.trimEnd().split('\n').at(-1)!);
  } catch {
    return undefined;
  }
}

export function tableOf(reports: readonly PartReport[]): string {
  const rows = parts.flatMap(({ name, victims }) => {
    const report = reports.find(({ part }) => part === name);
    return report ? [[name, victims, report.kills, report.violations.length, report.seconds]] : [];
  });
  const sum = (of: (report: PartReport) => number) => reports.reduce((total, each) => total + of(each), 0);
  const last = [
    ...['all', '', sum(({ kills }) => kills)],
    ...[sum(({ violations }) => violations.length), sum(({ seconds }) => seconds)],
  ];
  const cells = [['part', 'who is killed', 'kills', 'violations', 'seconds'], ...rows, last];
  const widths = [0, 1, 2, 3, 4].map((at) => Math.max(...cells.map((row) => String(row[at]).length)));
  return cells
    .map((row) =>
      row
        .map((cell, at) => (at < 2 ? String(cell).padEnd(widths[at]!) : String(cell).padStart(widths[at]!)))
        .join('  '),
    )
    .join('\n');
}
