// Who runs as which app, for those who are asked and for one that takes over and can't ask.
import { assert } from 'chai';
import { AppProcesses } from '../../src/runtime/app-processes.ts';

describe('the processes of apps', () => {
  it('are known by their numbers until they have ended; of an app that none runs nothing is known', () => {
    const processes = new AppProcesses();
    processes.add('shop', 7, 100);
    assert.isTrue(processes.runs('shop', 7));
    assert.isFalse(processes.runs('shop', 8));
    assert.isUndefined(processes.runs('till', 7));
    processes.delete(7);
    assert.isFalse(processes.runs('shop', 7));
  });

  it('are told with what makes a number one process for ever, and not without it', () => {
    const processes = new AppProcesses();
    processes.add('shop', 7, 100);
    processes.add('till', 8, 200);
    processes.add('till', 9, 0);
    processes.add('till', 10, 300);
    processes.delete(10);
    assert.deepEqual(processes.running(), [
      { app: 'shop', pid: 7, startTicks: 100 },
      { app: 'till', pid: 8, startTicks: 200 },
    ]);
  });

  it('are told up to a limit', () => {
    const processes = new AppProcesses();
    for (let pid = 1; pid <= 1_000; pid++) processes.add('shop', pid, pid);
    assert.lengthOf(processes.running(), 512);
  });
});
