// When processes are looked at, in simulated time.
import { assert } from 'chai';
import type { Follower } from '../../src/actors/lookout.ts';
import { IpcError } from '../../src/errors.ts';
import type { FingerprintKey } from '../../src/spec/fingerprint.ts';
import { fingerprintWith, type Watched, watchedProcesses } from '../support/watched.ts';

describe('the lookout', () => {
  let watched: Watched;
  beforeEach(() => {
    watched = watchedProcesses();
  });

  const follow = (pid: number, periodMs = 1_000, keys: FingerprintKey[] = ['listen'], onLook = () => {}) =>
    watched.lookout.follow({ place: { pid }, keys: new Set(keys), periodMs, onLook });

  it('looks at nothing while nobody follows', () => {
    follow(1)();
    watched.clock.advance(60_000);
    assert.deepEqual([watched.rounds, watched.clock.pending, watched.rests], [[], 0, 1]);
  });

  it('looks at once, and then once in each period', () => {
    follow(1);
    watched.clock.advance(3_500);
    assert.deepEqual(watched.rounds, [0, 1_000, 2_000, 3_000]);
  });

  it('looks at the machine once for all that are followed, also for those who come in between', () => {
    for (let pid = 1; pid <= 100; pid++) follow(pid);
    watched.clock.advance(300);
    for (let pid = 101; pid <= 300; pid++) follow(pid);
    watched.clock.advance(10_000);
    const late = watched.rounds.filter((atMs) => atMs > 5_000);
    assert.isAtMost(late.length, 6);
    const pids = watched.looks.filter(({ atMs }) => atMs === late.at(-1)).map(({ pid }) => pid);
    assert.equal(new Set(pids).size, 300);
  });

  it('looks at a process once for all who follow it, for the parts that any of them wants', () => {
    const place = { pid: 7 };
    const follower = (keys: FingerprintKey[]): Follower => ({
      place,
      keys: new Set(keys),
      periodMs: 1_000,
      onLook() {},
    });
    watched.lookout.follow(follower(['cmdline']));
    watched.lookout.follow(follower(['listen']));
    watched.clock.advance(0);
    assert.deepEqual(watched.looks, [{ atMs: 0, pid: 7, keys: 'cmdline listen' }]);
  });

  it('does not look at a process of which no part is wanted', () => {
    const told: unknown[] = [];
    watched.lookout.follow({
      place: { pid: 1 },
      keys: new Set(),
      periodMs: 1_000,
      onLook: (it) => told.push(it),
    });
    watched.clock.advance(1_000);
    assert.deepEqual([watched.looks, told], [[], [fingerprintWith(), fingerprintWith()]]);
  });

  it('keeps looks apart however many come', () => {
    for (let pid = 1; pid <= 50; pid++) {
      follow(pid, 60_000);
      watched.clock.advance(10);
    }
    for (const [i, atMs] of watched.rounds.entries())
      if (i > 0) assert.isAtLeast(atMs - watched.rounds[i - 1]!, 100);
  });

  it('serves those who are in a hurry more often', () => {
    follow(1, 1_000);
    follow(2, 200);
    watched.clock.advance(10_000);
    const count = (of: number) => watched.looks.filter(({ pid }) => pid === of).length;
    assert.isAtLeast(count(2), 49);
    assert.isAtMost(count(1), 20);
  });

  it('lets chance move its looks, so that those of several roots do not fall together', () => {
    const chances = [0, 1, 0.5];
    watched = watchedProcesses(() => chances[watched.rounds.length % 3]!);
    follow(1);
    watched.clock.advance(5_000);
    const gaps = watched.rounds.slice(1).map((atMs, i) => Math.round(atMs - watched.rounds[i]!));
    assert.sameMembers([...new Set(gaps)], [900, 1_000, 1_100]);
  });

  it('tells nobody who has stopped in the middle of a round', () => {
    const told: string[] = [];
    watched.seen.set(1, fingerprintWith());
    const place = { pid: 1 };
    const keys = new Set<FingerprintKey>(['listen']);
    let stop = () => {};
    watched.lookout.follow({
      place,
      keys,
      periodMs: 1_000,
      onLook() {
        told.push('first');
        stop();
      },
    });
    stop = watched.lookout.follow({ place, keys, periodMs: 1_000, onLook: () => told.push('second') });
    watched.clock.advance(0);
    assert.deepEqual(told, ['first']);
  });

  it('tells why a process can not be looked at', () => {
    const told: unknown[] = [];
    watched.lookout.follow({
      place: { pid: 9 },
      keys: new Set(['listen']),
      periodMs: 1_000,
      onLook: (seen) => told.push(seen),
    });
    watched.clock.advance(0);
    assert.instanceOf(told[0], IpcError);
    assert.match(String(told[0]), /looking at process 9/);
  });
});
