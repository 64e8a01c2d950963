// The shape of the source: folders are layers, imports go one way, and one module creates actors.
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { assert } from 'chai';

const source = fileURLToPath(new URL('../src', import.meta.url));

/** For each folder, the folders and files beside it that it may import; everything may import itself. */
const mayImport: Record<string, readonly string[]> = {
  'errors.ts': [],
  'names.ts': [],
  spec: ['errors.ts', 'names.ts'],
  machines: ['spec', 'errors.ts', 'names.ts'],
  transport: ['spec', 'errors.ts', 'names.ts'],
  workspace: ['spec', 'errors.ts', 'names.ts'],
  actors: ['machines', 'transport', 'workspace', 'spec', 'errors.ts', 'names.ts'],
  runtime: ['actors', 'machines', 'transport', 'workspace', 'spec', 'errors.ts', 'names.ts'],
  inspector: ['runtime', 'spec', 'errors.ts', 'names.ts'],
  cli: ['inspector', 'runtime', 'spec', 'errors.ts', 'names.ts'],
  'index.ts': ['runtime', 'actors', 'machines', 'transport', 'spec', 'errors.ts'],
};

/** Packages that only these folders may know. Node's own modules are left out where a browser could run the code. */
const packages: Record<string, readonly string[]> = {
  machines: ['xstate'],
  transport: ['msgpackr', 'flatbuffers', 'xxhash-wasm', '@nats-io/', 'node:'],
  spec: ['zod', 'jsonc-parser', 'dependency-graph', '@marcbachmann/cel-js', 'node:'],
  workspace: ['yaml', 'zod', 'node-sqlite3-wasm', 'codenamize-ts', 'node:'],
  'errors.ts': [],
  'names.ts': [],
};

interface Import {
  readonly from: string;
  readonly to: string;
}

const files = readdirSync(source, { recursive: true, encoding: 'utf8' }).filter((name) =>
  name.endsWith('.ts'),
);
const layerOf = (file: string) => file.split('/')[0]!;

function importsOf(file: string): string[] {
  const text = readFileSync(join(source, file), 'utf8');
  const found = text.matchAll(
    /^\s*(?:import|export)\b[^;]*?\bfrom '([^']+)'|\bimport\('([^']+)'\)|^import '([^']+)'/gms,
  );
  return [...found].map(([, from, dynamic, bare]) => (from ?? dynamic ?? bare)!);
}

const edges: Import[] = files.flatMap((from) =>
  importsOf(from)
    .filter((to) => to.startsWith('.'))
    .map((to) => ({ from, to: relative(source, resolve(source, dirname(from), to)) })),
);

describe('the architecture', () => {
  it('has imports to look at', () => assert.isAbove(edges.length, 200));

  it('has a rule for every folder', () => {
    assert.sameMembers([...new Set(files.map(layerOf))], Object.keys(mayImport));
  });

  it('lets imports go one way only', () => {
    const wrong = edges.filter(({ from, to }) => {
      const [layer, target] = [layerOf(from), layerOf(to)];
      return layer !== target && !mayImport[layer]!.includes(target);
    });
    assert.deepEqual(wrong, []);
  });

  it('keeps packages where they belong', () => {
    const wrong = files.flatMap((file) => {
      const allowed = packages[layerOf(file)];
      if (!allowed) return [];
      const foreign = importsOf(file).filter(
        (to) => !to.startsWith('.') && !allowed.some((name) => to.startsWith(name)),
      );
      return foreign.map((to) => `${file}: ${to}`);
    });
    assert.deepEqual(wrong, []);
  });

  it('has no circle among its files', () => {
    const next = new Map(
      files.map((file) => [file, edges.filter(({ from }) => from === file).map(({ to }) => to)]),
    );
    const done = new Set<string>();
    const visit = (file: string, path: string[]): void => {
      if (path.includes(file)) assert.fail(`${[...path.slice(path.indexOf(file)), file].join(' -> ')}`);
      if (done.has(file)) return;
      for (const to of next.get(file) ?? []) visit(to, [...path, file]);
      done.add(file);
    };
    for (const file of files) visit(file, []);
  });

  it('creates actors in one place', () => {
    const creators = files.filter((file) =>
      /\bcreateActor\(|\binterpret\(/.test(readFileSync(join(source, file), 'utf8')),
    );
    assert.deepEqual(creators, ['runtime/host.ts']);
  });

  it('reads the environment in runtime, actors of processes and cli only', () => {
    const readers = files
      .filter((file) => /process\.env/.test(readFileSync(join(source, file), 'utf8')))
      // That is what env() of a topology is.
      .filter((file) => file !== 'spec/value.ts')
      .map(layerOf);
    for (const layer of readers) assert.include(['runtime', 'cli', 'actors'], layer);
  });

  it('gives the inspector page types, and nothing that runs', () => {
    const page = fileURLToPath(new URL('../inspector-page/src', import.meta.url));
    const pageFiles = readdirSync(page, { recursive: true, encoding: 'utf8' }).filter((name) =>
      /\.tsx?$/.test(name),
    );
    const taken = pageFiles.flatMap((name) =>
      [...readFileSync(join(page, name), 'utf8').matchAll(/^(import|export)\b[^;]*?from '([^']+)'/gms)]
        .filter(([, , from]) => /(^|\/)src\/(inspector|runtime|names)/.test(from!))
        .map(([text]) => ({ name, text })),
    );
    assert.isNotEmpty(taken);
    assert.deepEqual(
      taken.filter(({ text }) => !text.startsWith('import type')),
      [],
    );
  });

  it('has one barrel, and no room without a noun', () => {
    assert.deepEqual(
      files.filter((file) => file.endsWith('index.ts')),
      ['index.ts'],
    );
    assert.deepEqual(
      files.filter((file) => /(^|\/)(utils?|common|helpers?|misc|types)(\/|\.ts$)/.test(file)),
      [],
    );
  });
});
