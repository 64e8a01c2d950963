// Who takes part in the telemetry of a host, and what they say to each other. Every program of the example imports this.
import { channel, defineUniverse } from 'actor-ipc';

/** The kernel's own counters at one moment. They only ever grow, so a rate is the difference of two samples. */
export interface Sample {
  /** Milliseconds since 1970. */
  atMs: number;
  /** Clock ticks of each processor. */
  cpus: { busyTicks: number; allTicks: number }[];
  memory: { totalBytes: number; availableBytes: number };
  disks: { name: string; readBytes: number; writtenBytes: number }[];
  networks: { name: string; receivedBytes: number; sentBytes: number }[];
  processes: { pid: number; name: string; ticks: number; residentBytes: number }[];
}

/** What the aggregator makes of the samples of the last seconds. */
export interface Summary {
  /** When the newest sample was taken; older than a second or so, nobody measures any more. */
  sampledAtMs: number;
  samplesPerSecond: number;
  /** Share of all processors, 0 to 1: now, and over the window. */
  cpu: { now: number; median: number; p95: number; max: number };
  memory: { usedBytes: number; totalBytes: number };
  /** Bytes per second. */
  disk: { read: number; written: number };
  network: { received: number; sent: number };
  /** The processes that use the processors most, as shares of one processor. */
  top: { pid: number; name: string; cpu: number; residentBytes: number }[];
}

export const telemetry = defineUniverse('telemetry', {
  aggregator: {
    allow: ['probe', 'client', 'alerts'],
    channels: {
      samples: channel<{ up: Sample }>(),
      summaries: channel<{ down: Summary }>({ capacityBytes: 65_536 }),
      history: channel<{ requests: { cpu: [{ seconds: number }, number[]] } }>({ capacityBytes: 65_536 }),
    },
  },
  probe: {},
  client: {},
  alerts: {},
});
