// How long messages wait, found out from how many bytes wait and are taken.
import { assert } from 'chai';
import type { OpenSession, ShownChannel } from '../../src/actors/hosting.ts';
import { addressOf } from '../../src/names.ts';
import { WaitGauge } from '../../src/runtime/wait-gauge.ts';

const machine = addressOf('till/machine');

/** A channel whose lane is what a test says it is. */
function channelOf(lane: { taken: number; unreadBytes: number; ended?: boolean }): ShownChannel {
  return {
    name: 'orders',
    stats: () => ({ sent: 0, received: 0, dropped: 0 }),
    unread: () => 0,
    progress: () => (lane.ended ? null : { taken: lane.taken | 0, unreadBytes: lane.unreadBytes }),
  };
}

function gaugeOf(lane: Parameters<typeof channelOf>[0]) {
  const clock = { nowMs: 0 };
  const channel = channelOf(lane);
  const session = { machine, channels: () => [channel] } as unknown as OpenSession;
  const gauge = new WaitGauge([session], 10, () => clock.nowMs);
  const look = (afterMs: number) => {
    clock.nowMs += afterMs;
    gauge.look();
  };
  gauge.look();
  return { look, read: () => gauge.read(machine, channel) };
}

describe('the wait in a channel', () => {
  it('is the mean of what waits by what is taken', () => {
    const lane = { taken: 0, unreadBytes: 500 };
    const { look, read } = gaugeOf(lane);
    // 100 bytes a millisecond are taken, and 500 wait: each waits for 5 ms.
    for (let i = 0; i < 50; i++) {
      lane.taken += 2_000;
      look(20);
    }
    assert.closeTo(read()!, 5, 0.001);
  });

  it('weighs what it sees after a late turn by how long it could not look', () => {
    const lane = { taken: 0, unreadBytes: 0 };
    const { look, read } = gaugeOf(lane);
    lane.taken += 1_000;
    look(20);
    lane.unreadBytes = 100;
    lane.taken += 1_000;
    look(980);
    assert.closeTo(read()!, (100 * 980) / 2_000, 0.001);
  });

  it('goes on where the count of bytes wraps', () => {
    const lane = { taken: 2 ** 31 - 1_000, unreadBytes: 100 };
    const { look, read } = gaugeOf(lane);
    lane.taken += 2_000;
    look(20);
    assert.closeTo(read()!, 1, 0.001);
  });

  it('is unknown while nothing is taken, and when the channel has ended', () => {
    const lane = { taken: 0, unreadBytes: 100, ended: false };
    const { look, read } = gaugeOf(lane);
    look(20);
    assert.isNull(read());
    lane.taken = 100;
    look(20);
    assert.isNumber(read());
    lane.ended = true;
    look(20);
    assert.isNull(read());
  });

  it('forgets what was long ago', () => {
    const lane = { taken: 0, unreadBytes: 10_000 };
    const { look, read } = gaugeOf(lane);
    lane.taken += 1_000;
    look(20);
    const slow = read()!;
    lane.unreadBytes = 0;
    for (let second = 0; second < 60; second++) {
      lane.taken += 1_000;
      look(20);
      read();
    }
    assert.isBelow(read()!, slow / 100);
  });
});
