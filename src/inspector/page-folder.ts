// Page folder: the built page, served as it stands in the package. Nothing in it is secret; everything about the tree comes by the WebSocket.
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { extname, join, normalize, sep } from 'node:path';
import { fileURLToPath } from 'node:url';

const types: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.json': 'application/json',
  '.map': 'application/json',
  '.txt': 'text/plain; charset=utf-8',
  '.woff2': 'font/woff2',
  '.png': 'image/png',
  '.ico': 'image/x-icon',
  '.wasm': 'application/wasm',
};

/** Beside the compiled code; from the sources, in what was built from them. */
const folders = ['../inspector-page/', '../../dist/inspector-page/'].map((path) =>
  fileURLToPath(new URL(path, import.meta.url)),
);

export interface PageFile {
  readonly bytes: Buffer;
  readonly type: string;
}

/** @param path of a URL, as `/assets/page.js`. @returns undefined if there is no such file. */
export async function pageFile(path: string): Promise<PageFile | undefined> {
  const folder = folders.find((each) => existsSync(join(each, 'index.html')));
  if (folder === undefined) return undefined;
  let name: string;
  try {
    name = normalize(decodeURIComponent(path === '/' ? '/index.html' : path));
  } catch {
    return undefined;
  }
  const type = types[extname(name)];
  if (type === undefined || name.includes('\0') || name.split(sep).includes('..')) return undefined;
  try {
    return { bytes: await readFile(join(folder, name)), type };
  } catch {
    return undefined;
  }
}
