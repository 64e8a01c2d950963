// Program lint: the machines that stand in the programs of a topology's Node processes, found in their source; nothing runs.
import { readFileSync } from 'node:fs';
import { SourceMap } from 'node:module';
import { dirname, extname } from 'node:path';
import { type AnyNode, type Expression, type ObjectExpression, parse } from 'acorn';
import type { NodeChild, SupervisorSpec, Topology } from '../spec/child.ts';
import { machineWarnings } from '../spec/machine-lint.ts';
import type { Warning } from '../spec/topology-lint.ts';
import { filesOfUnit } from './program-files.ts';

const loaders = {
  '.ts': 'ts',
  '.mts': 'ts',
  '.cts': 'ts',
  '.tsx': 'tsx',
  '.jsx': 'jsx',
  '.js': 'js',
  '.mjs': 'js',
  '.cjs': 'js',
} as const;

/** Warnings about each program; the key path is that in the machine. */
export async function lintPrograms(topology: Topology): Promise<Warning[]> {
  const files = new Set<string>();
  const found: Warning[] = [];
  for (const spec of nodesOf(topology)) {
    const program = await filesOfUnit(spec, dirname(topology.file));
    for (const file of program.files) files.add(file);
    if (program.mistake !== null) found.push({ file: spec.file, path: '', text: program.mistake });
  }
  for (const file of files) found.push(...(await lintFile(file)));
  return found;
}

function nodesOf(spec: SupervisorSpec): NodeChild[] {
  return Object.values(spec.children).flatMap((child) => {
    if (child.kind === 'node') return [child];
    return child.kind === 'supervisor' && !('template' in child) ? nodesOf(child) : [];
  });
}

async function lintFile(file: string): Promise<Warning[]> {
  const loader = loaders[extname(file) as keyof typeof loaders];
  const source = readFileSync(file, 'utf8');
  if (!loader || !source.includes('createMachine')) return [];
  const { transform } = await import('esbuild');
  let tree: AnyNode;
  let map: SourceMap;
  try {
    const { code, map: text } = await transform(source, {
      loader,
      sourcemap: 'external',
      target: 'esnext',
      logLevel: 'silent',
    });
    tree = parse(code, { ecmaVersion: 'latest', sourceType: 'module', locations: true, allowHashBang: true });
    map = new SourceMap(JSON.parse(text));
  } catch {
    // The mistake has been told with the program.
    return [];
  }
  return machinesIn(tree).flatMap((config) => {
    const { line, column } = config.loc!.start;
    const origin = map.findEntry(line - 1, column) as { originalLine?: number };
    const place = origin.originalLine === undefined ? file : `${file}:${origin.originalLine + 1}`;
    return machineWarnings(plain(config)).map(({ path, text }) => ({ file: place, path, text }));
  });
}

/** The configurations that are written out where a machine is created. */
function machinesIn(tree: AnyNode): ObjectExpression[] {
  const found: ObjectExpression[] = [];
  const visit = (value: unknown): void => {
    if (Array.isArray(value)) {
      for (const each of value) visit(each);
      return;
    }
    if (typeof value !== 'object' || value === null || typeof (value as AnyNode).type !== 'string') return;
    const node = value as AnyNode;
    if (
      node.type === 'CallExpression' &&
      isCreation(node.callee as Expression) &&
      node.arguments[0]?.type === 'ObjectExpression'
    )
      found.push(node.arguments[0]);
    for (const below of Object.values(node)) visit(below);
  };
  visit(tree);
  return found;
}

function isCreation(callee: Expression): boolean {
  if (callee.type === 'Identifier') return callee.name === 'createMachine';
  return (
    callee.type === 'MemberExpression' &&
    callee.property.type === 'Identifier' &&
    callee.property.name === 'createMachine'
  );
}

/** What is written out, as data; anything else is there, and no more is known of it. */
function plain(node: AnyNode | null): unknown {
  if (node?.type === 'Literal') return node.value;
  if (node?.type === 'ArrayExpression') return node.elements.map((each) => plain(each));
  if (node?.type !== 'ObjectExpression') return true;
  return Object.fromEntries(
    node.properties.flatMap((each): [string, unknown][] => {
      // What is spread into it may hold what is looked for.
      if (each.type === 'SpreadElement') return [['onError', true]];
      const { key } = each;
      if (key.type === 'Identifier' && !each.computed) return [[key.name, plain(each.value)]];
      return key.type === 'Literal' ? [[String(key.value), plain(each.value)]] : [];
    }),
  );
}
