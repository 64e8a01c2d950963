// The package as its users get it: packed, installed into empty projects by npm and pnpm with an empty HOME, and run.
import { type ExecFileException, execFile } from 'node:child_process';
import {
  accessSync,
  constants,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { assert } from 'chai';
import { startProgram } from './support/fixture.ts';
import { temporaryFolder } from './support/temporary-folder.ts';
import { waitUntil } from './support/wait-until.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const { version, dependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
  version: string;
  dependencies: { xstate: string };
};
const xstate = `xstate@${dependencies.xstate}`;
/** The last that runs on Node 20. */
const pnpm = 'pnpm@10.34.9';
/** What Node 20 itself asks for, as [major, minor]. */
const glibcMax = [2, 28] as const;
/** A first build of the package, or an install over a slow line. */
const commandTimeoutMs = 300_000;

describe('the package', function () {
  this.timeout(commandTimeoutMs);
  const place = temporaryFolder();
  let env: NodeJS.ProcessEnv;
  let tarball: string;

  before('pack it', async () => {
    env = await userEnv(place.path);
    await command(root, process.env, 'npm', 'pack', '--pack-destination', place.path);
    tarball = join(place.path, `actor-ipc-${version}.tgz`);
  });
  after(() => place[Symbol.dispose]());

  /** A project with the example of the README, and those of docs/kinds.md. */
  function project(name: string): string {
    const folder = join(place.path, name);
    mkdirSync(folder);
    writeFileSync(join(folder, 'package.json'), '{ "private": true, "type": "module" }');
    const readme = readFileSync(join(root, 'README.md'), 'utf8');
    for (const [, file, text] of readme.matchAll(/^```ts\n\/\/ (\S+)\n(.*?)^```/gms))
      writeFileSync(join(folder, file!), text!);
    const kinds = readFileSync(join(root, 'docs/kinds.md'), 'utf8');
    for (const [, file, text] of kinds.matchAll(/^```ts\n\/\/ (\S+)\n(.*?)^```/gms))
      writeFileSync(join(folder, file!), text!);
    return folder;
  }

  async function assertRuns(folder: string) {
    using program = startProgram(
      join(folder, 'node_modules/.bin/actor-ipc'),
      ['run', join(folder, 'topology.ts')],
      { env: { ...env, ACTOR_IPC_RUN_DIR: join(folder, 'run') } },
    );
    let output = '';
    program.child.stdout!.on('data', (text: string) => {
      output += text;
    });
    await waitUntil('shout | HELLO', () => {
      if (program.child.exitCode !== null) throw new Error(`it ended: ${output}`);
      return /shout \| HELLO/.test(output);
    });
    program.child.kill('SIGINT');
    const { code, stderr } = await program.end;
    assert.equal(code, 0, stderr);
  }

  const installed = (folder: string, file: string) => join(folder, 'node_modules/actor-ipc', file);

  describe('installed by npm', () => {
    let folder: string;

    before(async () => {
      folder = project('npm');
      await command(folder, env, 'npm', 'install', tarball, xstate);
    });

    it('runs the example of the README with what was built when it was packed', async () => {
      assert.isFalse(existsSync(installed(folder, 'build')));
      await assertRuns(folder);
    });

    it('brings a minder that may be executed', () => {
      const prebuilds = installed(folder, 'prebuilds');
      for (const name of readdirSync(prebuilds))
        accessSync(join(prebuilds, name, 'actor-ipc-minder'), constants.X_OK);
    });

    it('asks for no newer glibc than Node does', () => {
      const prebuilds = installed(folder, 'prebuilds');
      const asked = readdirSync(prebuilds).flatMap((name) =>
        ['actor_ipc.node', 'actor-ipc-minder'].flatMap((file) =>
          versionsAskedFor(join(prebuilds, name, file)).map((found) => `${file}: ${found}`),
        ),
      );
      if (readdirSync(prebuilds).some((name) => name.endsWith('-glibc'))) assert.isNotEmpty(asked);
      assert.deepEqual(
        asked.filter((line) => {
          const [, major, minor] = /GLIBC_(\d+)\.(\d+)/.exec(line) ?? [];
          const [majorMax, minorMax] = glibcMax;
          return major && (Number(major) - majorMax || Number(minor) - minorMax) > 0;
        }),
        [],
      );
      // Which libstdc++ there is must not matter at all.
      assert.deepEqual(
        asked.filter((line) => /GLIBCXX|CXXABI/.test(line)),
        [],
      );
    });

    it('has types that a strict program compiles against', async () => {
      const options = {
        strict: true,
        exactOptionalPropertyTypes: true,
        module: 'nodenext',
        target: 'es2023',
        lib: ['es2023', 'esnext.disposable'],
        types: ['node'],
        typeRoots: [join(root, 'node_modules/@types')],
        allowImportingTsExtensions: true,
        noEmit: true,
        // Other packages' declarations are theirs to keep right.
        skipLibCheck: true,
      };
      writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions: options }));
      await command(folder, env, process.execPath, join(root, 'node_modules/typescript/bin/tsc'));
    });

    it('has its entries for import and for require', async () => {
      for (const entry of [
        'actor-ipc',
        'actor-ipc/topology',
        'actor-ipc/kinds',
        'actor-ipc/cache',
        'actor-ipc/test',
        'actor-ipc/flatbuffers',
        'actor-ipc/cli',
      ])
        for (const code of [
          `import('${entry}')`,
          `require('node:module').createRequire('${folder}/')('${entry}')`,
        ])
          await command(folder, env, process.execPath, '-e', code);
    });

    it('has the tests of a relay for engines of others, which a relay of one process passes', async () => {
      const file = join(folder, 'engine.test.ts');
      writeFileSync(file, conformanceTest);
      const output = await command(
        folder,
        env,
        process.execPath,
        '--import',
        join(root, 'node_modules/tsx/dist/esm/index.mjs'),
        '--test',
        '--test-reporter=tap',
        file,
      );
      assert.match(output, /^# fail 0$/m);
      assert.isAbove(Number(/^# pass (\d+)$/m.exec(output)?.[1]), 20);
    });

    it('brings the page of the inspector, with the worker that lays out its charts', () => {
      const page = installed(folder, 'dist/inspector-page');
      const names = readdirSync(join(page, 'assets'));
      for (const pattern of [/^index-.*\.js$/, /^index-.*\.css$/, /^elk-worker/])
        assert.isTrue(
          names.some((name) => pattern.test(name)),
          String(pattern),
        );
      const html = readFileSync(join(page, 'index.html'), 'utf8');
      for (const [, file] of html.matchAll(/(?:src|href)="\.\/([^"]+)"/g))
        assert.isTrue(existsSync(join(page, file!)), file);
    });

    it('has no source map without its sources', () => {
      const dist = installed(folder, 'dist');
      const maps = readdirSync(dist, { recursive: true, encoding: 'utf8' }).filter((name) =>
        name.endsWith('.map'),
      );
      assert.isAbove(maps.length, 50);
      for (const map of maps) {
        const { sourcesContent } = JSON.parse(readFileSync(join(dist, map), 'utf8'));
        assert.isString(sourcesContent?.[0], map);
      }
    });

    it('is compiled from source where no prebuild fits, and the build is used', async () => {
      rmSync(installed(folder, 'prebuilds'), { recursive: true });
      await command(folder, env, 'npm', 'rebuild', 'actor-ipc');
      assert.isTrue(existsSync(installed(folder, 'build/Release/actor_ipc.node')));
      await assertRuns(folder);
    });
  });

  it('installs and runs without install scripts', async () => {
    const folder = project('npm-ignore-scripts');
    await command(folder, env, 'npm', 'install', '--ignore-scripts', tarball, xstate);
    await assertRuns(folder);
  });

  it('installs and runs by pnpm, which runs no install scripts', async function () {
    const tool = join(place.path, 'pnpm');
    mkdirSync(tool);
    try {
      await command(tool, env, 'npm', 'install', '--prefix', tool, pnpm);
    } catch (error) {
      this.test!.title += ` (skipped: ${pnpm} can't be had: ${(error as Error).message.split('\n')[0]})`;
      return this.skip();
    }
    const folder = project('by-pnpm');
    await command(folder, env, join(tool, 'node_modules/.bin/pnpm'), 'add', tarball, xstate);
    assert.isFalse(existsSync(installed(folder, 'build')));
    await assertRuns(folder);
  });
});

/** As in docs/relay.md. */
const conformanceTest = `import { afterEach, beforeEach, describe, it } from 'node:test';
import { localRelay, relayConformance } from 'actor-ipc/test';

relayConformance('mine', () => localRelay(), { describe, it, beforeEach, afterEach });
`;

/** The environment of a user who has never installed anything: nothing of npm's that this process was started with. */
async function userEnv(folder: string): Promise<NodeJS.ProcessEnv> {
  const registry = await command(root, process.env, 'npm', 'config', 'get', 'registry');
  const home = join(folder, 'home');
  mkdirSync(home);
  const env: NodeJS.ProcessEnv = {};
  for (const name of Object.keys(process.env)) if (/^npm_/i.test(name)) env[name] = undefined;
  return {
    ...process.env,
    ...env,
    HOME: home,
    XDG_DATA_HOME: undefined,
    npm_config_registry: registry.trim(),
  };
}

/** Runs a command to its end. Rejects with what it printed, if it fails. @returns its standard output. */
function command(cwd: string, env: NodeJS.ProcessEnv, file: string, ...args: string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const done = (error: ExecFileException | null, stdout: string, stderr: string) => {
      if (error) reject(new Error(`${error.message}\n${stdout}${stderr}`));
      else resolve(stdout);
    };
    execFile(file, args, { cwd, env, encoding: 'utf8', timeout: commandTimeoutMs }, done);
  });
}

/** Names of the versions of the system's libraries that an ELF file names. */
function versionsAskedFor(file: string): string[] {
  // Only dynamic files ask for any; a static one has such names in its texts at most.
  const text = readFileSync(file, 'latin1');
  if (!text.includes('libc.so.6\0')) return [];
  return [...text.matchAll(/\0((?:GLIBC|GLIBCXX|CXXABI)_\d[\d.]*)(?=\0)/g)].map(([, name]) => name!);
}
