// `init`: writes a small project that runs at once.
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { basename, dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Command } from 'commander';
import { IpcError, messageOf } from '../errors.ts';
import { isName } from '../names.ts';

/** This package, seen from src/cli and from dist/cli. */
const root = fileURLToPath(new URL('../../', import.meta.url));

export function initCommand(): Command {
  return new Command('init')
    .description('write a small project that runs at once')
    .argument('<folder>', 'where; it must be empty or not exist')
    .action((named: string) => {
      const folder = resolve(named);
      writeProject(folder);
      const linked = linkPackages(folder);
      process.stdout.write(
        `wrote ${folder}\n\n  cd ${named}\n${linked ? '' : '  npm install\n'}  npx actor-ipc run\n`,
      );
    });
}

function writeProject(folder: string): void {
  if (existsSync(folder) && readdirSync(folder).length > 0)
    throw IpcError.of('ERR_SYSTEM', `writing a project to ${folder}`, 'it is not empty');
  const { version, dependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
    version: string;
    dependencies: { xstate: string };
  };
  const name = basename(folder);
  const words: Record<string, string> = {
    __NAME__: isName(name) ? name : 'greetings',
    __VERSION__: version,
    __XSTATE__: dependencies.xstate,
  };
  const templates = join(root, 'templates', 'project');
  try {
    mkdirSync(folder, { recursive: true });
    for (const file of readdirSync(templates)) {
      const text = readFileSync(join(templates, file), 'utf8').replaceAll(
        /__[A-Z]+__/g,
        (word) => words[word]!,
      );
      // A package keeps no file of that name for those who install it.
      writeFileSync(join(folder, file === 'gitignore' ? '.gitignore' : file), text);
    }
  } catch (error) {
    throw IpcError.from(error, 'ERR_SYSTEM', `writing a project to ${folder}`, messageOf(error));
  }
}

/**
 * Until `npm install` is run, the project uses the packages of this installation.
 * @returns whether it can: not if the folder already finds others above it.
 */
function linkPackages(folder: string): boolean {
  const require = createRequire(import.meta.url);
  const places = { 'actor-ipc': root, xstate: packageFolder(require.resolve('xstate')) };
  const modules = join(folder, 'node_modules');
  mkdirSync(join(modules, '.bin'), { recursive: true });
  for (const [name, place] of Object.entries(places)) symlinkSync(realpathSync(place), join(modules, name));
  const main = join(root, 'dist', 'cli', 'main.js');
  if (!existsSync(main)) return false;
  symlinkSync(main, join(modules, '.bin', 'actor-ipc'));
  return true;
}

/** The folder of the package that a file belongs to. */
function packageFolder(file: string): string {
  let folder = dirname(file);
  while (!existsSync(join(folder, 'package.json')) || basename(folder) !== 'xstate') folder = dirname(folder);
  return folder;
}
