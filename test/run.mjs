// Runs every check of the project, or one of them by name, and ends with a line "N passed, N failed".
//   node test/run.mjs [lint|build|types|cpp|ts ...]
// A skipped test counts as failed, unless its title says why: "... (skipped: reason)".
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const scratch = mkdtempSync(join(tmpdir(), 'actor-ipc-tests-'));
// The build comes before the types: examples and benchmarks import the package by its name, so from what was built.
const steps = { lint, build, types, cpp, ts };
const wanted = process.argv.length > 2 ? process.argv.slice(2) : Object.keys(steps);

// Programs that the tests run print objects; what they print is compared, so no wish of the caller's may color it.
const { FORCE_COLOR: _, ...plainEnvironment } = process.env;

let passed = 0;
let failed = 0;
for (const name of wanted) {
  const result = steps[name]();
  passed += result.passed;
  failed += result.failed;
  // What the later steps would run does not exist.
  if (name === 'build' && result.failed > 0) break;
}
rmSync(scratch, { recursive: true, force: true });
console.log(`\n${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;

function lint() {
  return one(run('npx', ['biome', 'check', '.']));
}

function types() {
  return one(run('npm', ['run', '--silent', 'types']));
}

function build() {
  return one(run('npm', ['run', '--silent', 'build']));
}

/** The C++ tests, with AddressSanitizer and UBSan, and with ThreadSanitizer. */
function cpp() {
  const results = ['asan', 'tsan'].map((preset) => {
    const built =
      run('cmake', ['--preset', preset]) && run('cmake', ['--build', '--preset', preset, '--parallel', '2']);
    if (!built) return { passed: 0, failed: 1 };
    const report = join(scratch, `${preset}.xml`);
    const ok = run('ctest', ['--preset', preset, '--output-junit', report]);
    const [, tests, failures, disabled, skipped] =
      /<testsuite [^>]*tests="(\d+)"\s+failures="(\d+)"\s+disabled="(\d+)"\s+skipped="(\d+)"/.exec(
        readFileSync(report, 'utf8'),
      ) ?? [];
    const bad = Number(failures) + Number(disabled) + Number(skipped);
    // No test at all is no success.
    return Number(tests) > 0
      ? { passed: Number(tests) - bad, failed: Math.max(bad, ok ? 0 : 1) }
      : { passed: 0, failed: 1 };
  });
  return sum(results);
}

function ts() {
  const report = join(scratch, 'mocha.json');
  const ok = run('npx', [
    'mocha',
    '--reporter',
    'test/reporter.mjs',
    '--reporter-option',
    `output=${report}`,
  ]);
  try {
    const { passes, failures, pending } = JSON.parse(readFileSync(report, 'utf8'));
    const unexplained = pending.filter((title) => !/\(skipped: .+\)/.test(title));
    for (const title of unexplained) console.log(`skipped without a reason: ${title}`);
    const bad = failures + unexplained.length;
    return { passed: passes, failed: Math.max(bad, ok ? 0 : 1) };
  } catch {
    return { passed: 0, failed: 1 };
  }
}

function run(command, args) {
  console.log(`\n> ${command} ${args.join(' ')}`);
  const startedAt = performance.now();
  const { status } = spawnSync(command, args, { stdio: 'inherit', env: plainEnvironment });
  console.log(`(${Math.round((performance.now() - startedAt) / 1000)} s)`);
  return status === 0;
}

function one(ok) {
  return ok ? { passed: 1, failed: 0 } : { passed: 0, failed: 1 };
}

function sum(results) {
  return {
    passed: results.reduce((total, { passed }) => total + passed, 0),
    failed: results.reduce((total, { failed }) => total + failed, 0),
  };
}
