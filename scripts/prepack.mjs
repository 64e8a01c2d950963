// Prepack: what npm runs before it packs. Builds dist/ anew, and addon and minder for machines like this one into
// prebuilds/. What other machines have put there stays, so that one package can serve several platforms.
import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { prebuildName } from './prebuild-name.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const buildFolder = 'build-prebuild';

// Files of sources that are gone would be packed too.
rmSync(join(root, 'dist'), { recursive: true, force: true });
run('npm', 'run', '--silent', 'build');
run('npx', 'cmake-js', 'compile', '--out', buildFolder, '--config', 'Release', '--CDACTOR_IPC_PREBUILD=ON');

const prebuild = join(root, 'prebuilds', prebuildName());
mkdirSync(prebuild, { recursive: true });
// With its mode: the minder must stay executable.
for (const file of ['actor_ipc.node', 'actor-ipc-minder'])
  copyFileSync(join(root, buildFolder, 'Release', file), join(prebuild, file));

function run(command, ...args) {
  // What this prints must not mix with what `npm pack --json` does.
  const { status, error } = spawnSync(command, args, {
    cwd: root,
    stdio: ['ignore', process.stderr, process.stderr],
  });
  if (status === 0) return;
  console.error(`${command} ${args.join(' ')}: ${error?.message ?? `exit code ${status}`}`);
  process.exit(1);
}
