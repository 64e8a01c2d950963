// The named state of a process: what it says itself, what follows from its work, what is recognised, and other rules for that.
import { assert } from 'chai';
import { Observation, type ObservedRules } from '../../src/actors/observation.ts';
import { addressOf } from '../../src/names.ts';
import { type Probe, processRulesDefaults, readyOf } from '../../src/spec/probe.ts';
import { testHost } from '../support/machines/hosts.ts';
import { fingerprintWith, type Watched, watchedProcesses } from '../support/watched.ts';

const seen = (text: string): Probe => ({
  by: { kind: 'condition', text },
  periodMs: 1_000,
  timeoutMs: 1_000,
  failures: 1,
});
const open = { open: seen('len(fp.listen) > 0') };

describe('the named state of a process', () => {
  let watched: Watched;
  let told: string[];

  beforeEach(() => {
    watched = watchedProcesses();
    watched.seen.set(1, fingerprintWith({ listen: ['0.0.0.0:80'] }));
    told = [];
  });

  function observed(change: Partial<ObservedRules>): Observation {
    const kind = change.kind ?? 'exec';
    const rules = { ...processRulesDefaults, kind, cwd: '/', ready: readyOf('exec'), ...change };
    const observation = new Observation({ host: testHost().host, lookout: watched.lookout }, rules, {
      address: addressOf('probe'),
      ask: () => assert.fail(),
      env: () => ({}),
      ready() {},
      state: (state) => told.push(state),
      unhealthy: assert.fail,
      doubt: assert.fail,
    });
    observation.begin({ pid: 1 });
    return observation;
  }

  it('of a plain program without any is operative, once it is ready', () => {
    observed({});
    assert.deepEqual([told, watched.lookout.followers], [['operative'], 0]);
  });

  it('is the one that is recognised, and then none of those that are known', () => {
    observed({ states: open });
    watched.clock.advance(0);
    watched.seen.set(1, fingerprintWith());
    watched.clock.advance(1_000);
    assert.deepEqual(told, ['open', 'unrecognised']);
  });

  it('is another one from the first look on, if the spec names that', () => {
    observed({ states: { open: seen('len(fp.udp) > 0') }, otherwise: 'running' });
    watched.clock.advance(0);
    assert.deepEqual(told, ['running']);
  });

  it('is what it says itself, whatever is recognised afterwards', () => {
    const observation = observed({ kind: 'node', states: open });
    observation.says('busy', false);
    watched.clock.advance(5_000);
    assert.deepEqual(told, ['busy']);
  });

  it('is recognised rather than what only follows from its work', () => {
    const observation = observed({ kind: 'node', states: open });
    observation.says('operative', true);
    watched.clock.advance(0);
    assert.deepEqual(told, ['open']);
  });

  it('is looked for by other rules at once, and left alone by the same ones', () => {
    const observation = observed({ states: open });
    watched.clock.advance(0);
    observation.change({ states: structuredClone(open), otherwise: undefined });
    assert.lengthOf(watched.rounds, 1);
    observation.change({ states: { ...open, busy: seen("state == 'open'") }, otherwise: undefined });
    watched.clock.advance(100);
    observation.change({ states: {}, otherwise: undefined });
    assert.deepEqual([told, watched.lookout.followers], [['open', 'busy', 'operative'], 0]);
  });

  it('is looked for no more after its end', () => {
    const observation = observed({ states: open });
    observation.end();
    watched.clock.advance(5_000);
    assert.deepEqual([told, watched.lookout.followers, watched.clock.pending], [[], 0, 0]);
    assert.isUndefined(observation.follow({} as never, assert.fail));
  });
});
