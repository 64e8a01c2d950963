// Waiting for a condition of a unit, in simulated time, on processes that a test makes up.
import { assert } from 'chai';
import { Observation, type ObservedRules } from '../../src/actors/observation.ts';
import { IpcError } from '../../src/errors.ts';
import type { UnitPhase } from '../../src/machines/unit.ts';
import { newView, type UnitView } from '../../src/machines/unit-view.ts';
import { addressOf } from '../../src/names.ts';
import { Operator } from '../../src/runtime/operator.ts';
import { processRulesDefaults, readyOf } from '../../src/spec/probe.ts';
import { testHost } from '../support/machines/hosts.ts';
import { fingerprintWith, type Watched, watchedProcesses } from '../support/watched.ts';

const rules: ObservedRules = { kind: 'exec', cwd: '/', ready: readyOf('exec'), ...processRulesDefaults };
const post = () => assert.fail();
const settled = () => new Promise((resolve) => setImmediate(resolve));

describe('waiting for a condition', () => {
  let watched: Watched;
  let view: UnitView;
  let observation: Observation | undefined;
  let operator: Operator;

  beforeEach(() => {
    watched = watchedProcesses();
    view = { ...newView('db', {} as never), phase: 'idle' };
    observation = undefined;
    operator = new Operator(
      {
        names: () => ['db', 'pool'],
        unit: (name) =>
          name === 'db'
            ? { view, kind: 'exec', observation, post }
            : name === 'pool'
              ? { view, kind: 'supervisor', post }
              : undefined,
      },
      watched.clock,
    );
  });

  function becomes(phase: UnitPhase, more: Partial<UnitView> = {}): void {
    view = { ...view, phase, ...more };
    operator.changed('db');
  }

  /** The unit has another process. */
  function starts(pid: number): void {
    observation?.end();
    const { host } = testHost();
    observation = new Observation({ host, lookout: watched.lookout }, rules, {
      address: addressOf('probe'),
      ask: () => assert.fail(),
      env: () => ({}),
      ready() {},
      state() {},
      unhealthy: assert.fail,
      doubt: assert.fail,
    });
    watched.seen.set(pid, fingerprintWith());
    observation.begin({ pid });
    becomes('starting', { pid, epoch: view.epoch + 1 });
  }

  /** What has come of it by now. */
  function waiting(condition: string, timeoutMs?: number, signal?: AbortSignal): { outcome: string } {
    const wait = { outcome: 'waits' };
    operator
      .waitFor('db', condition, { ...(timeoutMs !== undefined && { timeoutMs }), ...(signal && { signal }) })
      .then(
        ({ phase, pid }) => {
          wait.outcome = `${phase} ${pid}`;
        },
        (error: Error) => {
          wait.outcome = error instanceof IpcError ? `${error.code}: ${error.message}` : error.message;
        },
      );
    return wait;
  }

  it('looks once a second until it holds, and no longer', async () => {
    starts(7);
    const wait = waiting('len(fp.listen) > 0');
    watched.clock.advance(2_500);
    await settled();
    assert.deepEqual([wait.outcome, watched.rounds], ['waits', [0, 1_000, 2_000]]);
    watched.seen.set(7, fingerprintWith({ listen: ['0.0.0.0:80'] }));
    watched.clock.advance(500);
    await settled();
    assert.deepEqual([wait.outcome, watched.lookout.followers], ['starting 7', 0]);
    observation!.end();
    assert.equal(watched.clock.pending, 0);
  });

  it('looks at nothing for a state, which the tree tells by itself', async () => {
    starts(7);
    const wait = waiting("state == 'operative'");
    watched.clock.advance(10_000);
    becomes('up', { state: 'operative' });
    await settled();
    assert.deepEqual([wait.outcome, watched.looks, watched.lookout.followers], ['up 7', [], 0]);
  });

  it('holds of no process that is not there', async () => {
    const wait = waiting('len(fp.listen) == 0');
    watched.clock.advance(5_000);
    await settled();
    assert.deepEqual([wait.outcome, watched.looks], ['waits', []]);
    starts(7);
    watched.clock.advance(0);
    await settled();
    assert.equal(wait.outcome, 'starting 7');
  });

  it('goes on with the next process of the unit', async () => {
    starts(7);
    const wait = waiting("'0.0.0.0:80' in fp.listen");
    watched.clock.advance(0);
    becomes('exited');
    watched.clock.advance(5_000);
    assert.lengthOf(watched.looks, 1);
    starts(8);
    watched.seen.set(8, fingerprintWith({ listen: ['0.0.0.0:80'] }));
    watched.clock.advance(1_000);
    await settled();
    assert.equal(wait.outcome, 'starting 8');
  });

  it('knows for how long the process is there', async () => {
    starts(7);
    assert.equal(observation!.facts.uptimeMs, 0);
    const wait = waiting('uptimeMs >= 0 && health == "unknown"');
    watched.clock.advance(0);
    await settled();
    assert.deepEqual([wait.outcome, watched.looks], ['starting 7', []]);
  });

  it('is given up in time, and says what it could not tell', async () => {
    starts(7);
    const wait = waiting("fp.listen[0] == 'x'", 2_500);
    watched.clock.advance(2_500);
    await settled();
    assert.match(wait.outcome, /^ERR_TIMEOUT: waiting for fp\.listen\[0\] == 'x' of db \(the condition/);
    assert.equal(watched.lookout.followers, 0);
  });

  it('is called off by its signal', async () => {
    starts(7);
    const controller = new AbortController();
    const wait = waiting('len(fp.listen) > 0', undefined, controller.signal);
    watched.clock.advance(0);
    controller.abort(new Error('no more'));
    await settled();
    assert.deepEqual([wait.outcome, watched.lookout.followers], ['no more', 0]);
  });

  it('ends when the unit is known no more', async () => {
    starts(7);
    const wait = waiting('len(fp.listen) > 0');
    becomes('removed');
    await settled();
    assert.match(wait.outcome, /^ERR_UNIT_FAILED/);
  });

  it('refuses what is no condition, no unit and no process', () => {
    assert.throws(() => operator.waitFor('db', 'len(fp.lisen) > 0'), IpcError, 'a fingerprint has no lisen');
    assert.throws(() => operator.waitFor('dbb', 'true'), IpcError, 'there is no unit dbb');
    assert.throws(() => operator.waitFor('pool', 'len(fp.listen) > 0'), IpcError, 'it is of kind supervisor');
  });
});
