// Reads this host's counters from /proc.
import { readdirSync, readFileSync } from 'node:fs';
import type { Sample } from './universe.ts';

/** The unit of sizes in /proc/diskstats, whatever the disk's own sectors are. */
const sectorBytes = 512;
const pageBytes = 4096;
/** Enough for any host that one looks at line by line. */
const processesMax = 512;

export function readCounters(): Sample {
  return {
    atMs: Date.now(),
    cpus: readCpus(),
    memory: readMemory(),
    disks: readDisks(),
    networks: readNetworks(),
    processes: readProcesses(),
  };
}

function linesOf(path: string): string[] {
  return readFileSync(path, 'utf8').trimEnd().split('\n');
}

function readCpus(): Sample['cpus'] {
  return linesOf('/proc/stat')
    .filter((line) => /^cpu\d/.test(line))
    .map((line) => {
      // user nice system idle iowait irq softirq steal; guest time is part of user time already.
      const ticks = line.split(/\s+/).slice(1, 9).map(Number);
      const allTicks = ticks.reduce((sum, part) => sum + part, 0);
      return { allTicks, busyTicks: allTicks - ticks[3]! - ticks[4]! };
    });
}

function readMemory(): Sample['memory'] {
  const kilobytes = new Map(linesOf('/proc/meminfo').map((line) => line.split(/:\s+/) as [string, string]));
  const bytesOf = (key: string) => Number.parseInt(kilobytes.get(key) ?? '0', 10) * 1024;
  return { totalBytes: bytesOf('MemTotal'), availableBytes: bytesOf('MemAvailable') };
}

function readDisks(): Sample['disks'] {
  return linesOf('/proc/diskstats')
    .map((line) => line.trim().split(/\s+/))
    .filter(
      ([, , name]) =>
        !/^(loop|ram|zram|dm-)/.test(name!) &&
        !/^((sd|vd|xvd)[a-z]+|nvme\d+n\d+p|mmcblk\d+p)\d+$/.test(name!),
    )
    .map((fields) => ({
      name: fields[2]!,
      readBytes: Number(fields[5]) * sectorBytes,
      writtenBytes: Number(fields[9]) * sectorBytes,
    }));
}

function readNetworks(): Sample['networks'] {
  return linesOf('/proc/net/dev')
    .slice(2)
    .map((line) => line.trim().split(/[:\s]+/))
    .map((fields) => ({ name: fields[0]!, receivedBytes: Number(fields[1]), sentBytes: Number(fields[9]) }));
}

function readProcesses(): Sample['processes'] {
  const processes: Sample['processes'] = [];
  for (const entry of readdirSync('/proc')) {
    if (!/^\d+$/.test(entry) || processes.length === processesMax) continue;
    try {
      const stat = readFileSync(`/proc/${entry}/stat`, 'utf8');
      // The name stands in parentheses and may hold some itself.
      const nameEnd = stat.lastIndexOf(')');
      const fields = stat.slice(nameEnd + 2).split(' ');
      processes.push({
        pid: Number(entry),
        name: stat.slice(stat.indexOf('(') + 1, nameEnd),
        ticks: Number(fields[11]) + Number(fields[12]),
        residentBytes: Number(fields[21]) * pageBytes,
      });
    } catch {
      // It ended between the listing and the reading.
    }
  }
  return processes;
}
