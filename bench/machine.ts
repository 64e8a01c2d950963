// Machine: what the figures depend on besides the code.
import { readFileSync } from 'node:fs';
import { cpus, release, type as system } from 'node:os';

export interface Machine {
  readonly packageVersion: string;
  readonly date: string;
  readonly cpu: string;
  readonly cpus: number;
  readonly kernel: string;
  readonly node: string;
  readonly v8: string;
}

export function machineFacts(): Machine {
  const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as {
    version: string;
  };
  return {
    packageVersion: version,
    date: new Date().toISOString(),
    cpu: cpus()[0]?.model.trim() ?? 'unknown CPU',
    cpus: cpus().length,
    kernel: `${system()} ${release()}`,
    node: process.versions.node,
    v8: process.versions.v8,
  };
}
