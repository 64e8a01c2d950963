// Programs of cpp/test/ and cpp/bench/, built when a test or the benchmark wants them.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));
const folder = join(root, 'build-plain');

/** For the hook that calls cppTarget: a first build takes seconds on a fast machine. */
export const cppBuildTimeoutMs = 300_000;

/** Builds a target with the preset `plain`, unless it is up to date, and answers where `file` of it is. */
export function cppTarget(target: string, file: string = target, source: string = 'cpp/test'): string {
  // Also where it has been done before: an older build knows no target that has come since.
  run('--preset', 'plain');
  run('--build', '--preset', 'plain', '--target', target, '--parallel', '2');
  return join(folder, source, file);
}

function run(...args: string[]): void {
  const { status, stdout, stderr, error } = spawnSync('cmake', args, { cwd: root, encoding: 'utf8' });
  if (status !== 0) throw new Error(`cmake ${args.join(' ')}: ${error?.message ?? stdout + stderr}`);
}
