// Bundle: one file of plain JavaScript per process of a topology, and the topology as data beside them. It starts without a
// compiler and without looking for modules.
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { IpcError, messageOf } from '../errors.ts';
import {
  type ChildSpec,
  type ExecChild,
  hasActors,
  isOfActors,
  type NodeChild,
  type SupervisorSpec,
  type Topology,
} from '../spec/child.ts';
import type { Probe } from '../spec/probe.ts';

export interface BundleResult {
  /** The topology to run. */
  readonly file: string;
  /** What was written for each Node process, by its path below the root. */
  readonly units: Readonly<Record<string, string>>;
}

/**
 * Writes the bundles into `folder`; what an earlier build has left there is removed first.
 * @throws {IpcError} ERR_SYSTEM with what the bundler says, ERR_TOPOLOGY_INVALID for what can't be written as data.
 */
export async function bundleTopology(topology: Topology, folder: string): Promise<BundleResult> {
  const out = resolve(folder);
  if (dirname(topology.file).startsWith(out))
    throw IpcError.of('ERR_SYSTEM', `bundling into ${out}`, 'the topology itself stands there');
  if (hasActors(topology))
    throw IpcError.of(
      'ERR_TOPOLOGY_INVALID',
      topology.file,
      'it has actors, which run in the root itself and are no data; run it as it is',
    );
  const entries = nodesOf(topology, '');
  emptyFolder(out);
  const { build } = await import('esbuild');
  try {
    await build({
      entryPoints: Object.fromEntries(Object.entries(entries).map(([unit, file]) => [nameOf(unit), file])),
      outdir: out,
      outExtension: { '.js': '.mjs' },
      chunkNames: 'shared-[hash]',
      bundle: true,
      splitting: true,
      platform: 'node',
      format: 'esm',
      target: 'node20.19',
      sourcemap: 'linked',
      logLevel: 'silent',
      // The runtime holds the addon and there must be one of it; machines must be of the runtime's own XState.
      external: ['actor-ipc', 'actor-ipc/*', 'xstate', 'xstate/*'],
      // For packages that are CommonJS inside.
      banner: {
        js: "import { createRequire as requireOf } from 'node:module'; const require = requireOf(import.meta.url);",
      },
    });
  } catch (error) {
    throw IpcError.from(error, 'ERR_SYSTEM', `bundling ${topology.file}`, messageOf(error));
  }
  const { file: _, ...spec } = topology;
  const written = join(out, 'topology.json');
  const children = bundled(topology.children, out, '');
  writeFileSync(written, `${JSON.stringify({ ...spec, children }, null, 2)}\n`);
  const units = Object.fromEntries(
    Object.keys(entries).map((unit) => [unit, join(out, `${nameOf(unit)}.mjs`)]),
  );
  return { file: written, units };
}

/** Only what an earlier build has made is emptied. */
function emptyFolder(folder: string): void {
  const marker = join(folder, '.actor-ipc-build');
  if (existsSync(folder) && readdirSync(folder).length > 0 && !existsSync(marker))
    throw IpcError.of(
      'ERR_SYSTEM',
      `bundling into ${folder}`,
      'it holds something else than an earlier build',
    );
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  writeFileSync(marker, '');
}

function nameOf(unit: string): string {
  return unit.replaceAll('/', '.');
}

/** The files of all Node processes, by unit. */
function nodesOf({ children }: SupervisorSpec, path: string): Record<string, string> {
  return Object.assign(
    {},
    ...Object.entries(children).map(([id, child]) => {
      const unit = path === '' ? id : `${path}/${id}`;
      if (child.kind === 'node') return { [unit]: child.file };
      return child.kind === 'supervisor' && !isOfActors(child) ? nodesOf(child, unit) : {};
    }),
  );
}

/** The children as they are written in a topology of data, with the bundles as their files and all paths as seen from there. */
function bundled(
  children: Readonly<Record<string, ChildSpec>>,
  out: string,
  path: string,
): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(children).map(([id, child]) => {
      const unit = path === '' ? id : `${path}/${id}`;
      if (child.kind === 'node' || child.kind === 'exec') return [id, bundledProcess(child, out, unit)];
      return [id, { ...child, children: bundled((child as SupervisorSpec).children, out, unit) }];
    }),
  );
}

function bundledProcess(child: NodeChild | ExecChild, out: string, unit: string): object {
  const { standby, survive, ready, liveness, states, ...rest } = child;
  const from = (file: string) => {
    const seen = relative(out, file);
    return seen.startsWith('.') ? seen : `./${seen}`;
  };
  const probes = {
    ready: probeInput(ready),
    liveness: probeInput(liveness),
    states: Object.fromEntries(Object.entries(states).map(([state, probe]) => [state, probeInput(probe)])),
  };
  const written = { ...rest, ...probes, cwd: from(child.cwd) };
  if (child.kind === 'node') return { ...written, standby, file: `./${nameOf(unit)}.mjs` };
  // A name without a slash is looked up in PATH.
  return { ...written, survive, file: child.file.includes('/') ? from(child.file) : child.file };
}

/** A probe as a person would have written it. */
function probeInput({ by, ...timing }: Probe): unknown {
  switch (by.kind) {
    case 'reported':
    case 'spawned':
      return by.kind;
    case 'log':
      return { log: by.source, flags: by.flags, ...timing };
    case 'notify-fd':
      return { notifyFd: by.fd, ...timing };
    case 'tcp':
      return { tcp: `${by.host.includes(':') ? `[${by.host}]` : by.host}:${by.port}`, ...timing };
    case 'http':
      return { http: by.url, ...timing };
    case 'exec':
      return { exec: [by.file, ...by.args], ...timing };
  }
}
