// What a link promises to those who have something to say at the end of a turn.
import { assert } from 'chai';
import { Link } from '../../src/transport/link.ts';

describe('Link', () => {
  it('makes the call that was asked for once the poll is over, also after a handler that threw', () => {
    const link = new Link([1024], 0);
    const steps: string[] = [];
    const leave = link.join({
      poll() {
        assert.isTrue(link.afterPoll(() => steps.push('late')));
        steps.push('polled');
        throw new Error('the mistake of a handler');
      },
    });
    assert.throws(() => link.poll(), 'the mistake of a handler');
    assert.deepEqual(steps, ['polled', 'late']);
    leave();
    link.poll();
    assert.deepEqual(steps, ['polled', 'late'], 'once');
    link.close();
  });

  it('says outside a poll that nobody will make the call', () => {
    const link = new Link([1024], 0);
    assert.isFalse(link.afterPoll(() => assert.fail()));
    link.poll();
    link.close();
  });
});
