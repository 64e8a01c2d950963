// Mocha's spec reporter, which also writes the counts for test/run.mjs.
import { writeFileSync } from 'node:fs';
import Mocha from 'mocha';

export default class CountingReporter extends Mocha.reporters.Spec {
  constructor(runner, options) {
    super(runner, options);
    const pending = [];
    runner.on('pending', (test) => pending.push(test.fullTitle()));
    runner.once('end', () => {
      const { passes, failures } = runner.stats;
      const output = options.reporterOption?.output ?? options.reporterOptions?.output;
      if (output) writeFileSync(output, JSON.stringify({ passes, failures, pending }));
    });
  }
}
