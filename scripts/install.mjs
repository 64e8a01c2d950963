// Install: what npm runs once the package is unpacked. Compiles addon and minder, unless the package brings those of this
// platform and they load here.
import { spawnSync } from 'node:child_process';
import { accessSync, constants, existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { prebuildName } from './prebuild-name.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const require = createRequire(import.meta.url);

// A clone always compiles: what was packed from it once may be older than its sources.
const isClone = existsSync(join(root, 'src'));
const misfit = isClone ? 'this is a clone' : misfitOf(join(root, 'prebuilds', prebuildName()));
if (misfit !== undefined) compile(misfit);

/** Why the prebuild in that folder is of no use here; undefined if it is. */
function misfitOf(folder) {
  try {
    accessSync(join(folder, 'actor-ipc-minder'), constants.X_OK);
    // To load it is the only proof: the name says nothing of the age of the system's libraries.
    require(join(folder, 'actor_ipc.node'));
    return undefined;
  } catch (error) {
    return error.message.split('\n')[0];
  }
}

function compile(why) {
  console.log(`actor-ipc: compiling from source (${why})`);
  const cmakeJs = join(require.resolve('cmake-js/package.json'), '../bin/cmake-js');
  const { status } = spawnSync(process.execPath, [cmakeJs, 'compile'], { cwd: root, stdio: 'inherit' });
  if (status === 0) return;
  console.error(
    'actor-ipc: compiling failed; it needs CMake 3.18 or later, make or ninja, and a C++20 compiler',
  );
  process.exitCode = 1;
}
