// Mocha's spec reporter, which also writes the counts for test/run.mjs. Whoever is still held up half a minute after the last
// test has leaked a handle: that fails the run, with the handles by name, instead of holding it up for good.
import { writeFileSync } from 'node:fs';
import Mocha from 'mocha';

const leakMs = 30_000;

export default class CountingReporter extends Mocha.reporters.Spec {
  constructor(runner, options) {
    super(runner, options);
    const pending = [];
    runner.on('pending', (test) => pending.push(test.fullTitle()));
    runner.once('end', () => {
      const { passes, failures } = runner.stats;
      const output = options.reporterOption?.output ?? options.reporterOptions?.output;
      if (output) writeFileSync(output, JSON.stringify({ passes, failures, pending }));
      setTimeout(() => {
        console.log(`still open after all tests: ${process.getActiveResourcesInfo().join(', ')}`);
        process.exit(1);
      }, leakMs).unref();
    });
  }
}
