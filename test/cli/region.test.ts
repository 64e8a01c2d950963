import { assert } from 'chai';
import { Command, fixture, scratch } from './command.ts';

describe('a persistent region', function () {
  this.timeout(180_000);
  const place = scratch();
  after(() => place.remove());

  it('is kept by the supervisor when its last user is killed, with the packets in it', async () => {
    const run = new Command(
      ['run', fixture('resumes.topology.ts'), '--workspace', place.workspace],
      place.env,
    );
    await run.sees(/resumes \| packets 0 1 2/);
    assert.equal((await run.ended).code, 0);
  });
});
