// The cases of OTP's own suite (lib/stdlib/test/supervisor_SUITE.erl), by their claims. Most have their test where the claim belongs:
//
//   sup_start_normal, _ignore_child, _ignore_temporary_child*, _ignore_permanent_child*, _fail  actor-supervisor-start, actor-calls
//   sup_start_map, _map_faulty_specs, child_specs, sup_flags, child_adm*, extra_return          actor-calls
//   sup_stop_infinity, _timeout, _brutal_kill                                                   actor-supervisor-exit
//   permanent_*, transient_*, temporary_* (normal, shutdown, abnormal), one_for_*, rest_for_*   actor-supervisor-exit
//   *_escalation, multiple_restarts, significant_*, tree                                        actor-supervisor-start
//   *_other_child_fails_restart, simple_one_for_one, _extra, _shutdown, count_children          actor-supervisor-exit, actor-calls
//   count_restarting_children, which_child, order_of_children                                   actor-calls
//   code_change*                                                                                spec-change, spec/difference
//   scale_start_stop_many_children, simple_one_for_one_scale_many_temporary_children            `npm run bench -- --only actors`
//
// The rest is here. Without a meaning for actors of one process:
//
//   sup_start_ignore_init, sup_start_error_return   a description is data, not a callback that could say anything else
//   faulty_application_shutdown                     there is no application controller above
//   child_unlink                                    an actor can't loosen itself from its supervisor: there are no links
//   simple_global_supervisor                        names are addresses of one tree; there is no global registry
//   get_callback_module, format_log_1, format_log_2 no callback module; reports are data, and their words belong to the log
//   already_started_outside_supervisor              an actor is made by its start, so none can run before
//   hibernation                                     Node gives memory back by itself
import { assert } from 'chai';
import { actor, supervisor } from '../../src/spec/topology.ts';
import { Actors, polite } from '../support/machines/actors.ts';

describe('a temporary child', () => {
  it('is told to end with its group, and is gone (temporary_bystander)', async () => {
    for (const strategy of ['one-for-all', 'rest-for-one'] as const) {
      const actors = new Actors((t) => ({
        strategy,
        children: { a: t.child('a'), b: t.child('b', { restart: 'temporary' }) },
      }));
      actors.tell('a', 'crash');
      assert.deepEqual(await actors.phases(), { a: 'up' });
      assert.deepEqual(actors.running, ['a']);
    }
  });

  it('leaves nothing behind of what it was started with (do_not_save_start_parameters)', async () => {
    const inputs: unknown[] = [];
    const template = actor(
      (input) => {
        inputs.push(input);
        return { logic: polite, input };
      },
      'of the template',
      { restart: 'temporary' },
    );
    const actors = new Actors(() => ({ strategy: 'dynamic', child: template }));
    const answer = await actors.supervision.startChild('mine');
    actors.tell('#1', 'crash').pass(1_000);
    assert.deepEqual(inputs, ['mine']);
    assert.equal(answer.ok && answer.ref!.phase, 'removed');
  });

  it('is known no more by its name, which is free (do_not_save_child_specs)', async () => {
    const actors = new Actors((t) => ({ children: { a: t.child('a', { restart: 'temporary' }) } }));
    actors.tell('a', 'finish');
    assert.deepEqual(await actors.supervision.restartChild('a'), { ok: false, error: 'not-found' });
    assert.isTrue((await actors.supervision.startChild('a', actors.child('a'))).ok);
  });
});

describe('a restart that fails again and again', () => {
  /** A child whose restarts hang in a loop of failures, and one beside it. */
  const looping = (strategy: 'one-for-one' | 'one-for-all' | 'rest-for-one') => {
    const actors = new Actors((t) => ({
      strategy,
      intensity: 'infinity',
      children: { a: t.child('a'), b: t.child('b') },
    }));
    actors.mood('a', 'fails').tell('a', 'crash').pass(20);
    return actors;
  };

  for (const strategy of ['one-for-one', 'one-for-all', 'rest-for-one'] as const) {
    it(`keeps nobody from asking, by ${strategy} (hanging_restart_loop, hanging_restart_loop_rest_for_one)`, async () => {
      const { supervision } = looping(strategy);
      assert.deepEqual(await supervision.restartChild('a'), { ok: false, error: 'restarting' });
      assert.deepEqual(await supervision.deleteChild('a'), { ok: false, error: 'restarting' });
      assert.equal((await supervision.countChildren()).specs, 2);
      const found = await supervision.whichChild('a');
      assert.equal(found.ok && found.child.phase, 'restarting');
    });

    it(`is over when the child is terminated, by ${strategy}`, async () => {
      const actors = looping(strategy);
      assert.deepEqual(await actors.supervision.terminateChild('a'), { ok: true });
      actors.forget().pass(1_000);
      assert.deepEqual(
        actors.happened.filter((what) => what.startsWith('a')),
        [],
      );
    });

    it(`is over when the supervisor is told to end, by ${strategy}`, () => {
      const actors = looping(strategy);
      actors.supervision.shutdown();
      assert.equal(actors.output?.why, 'planned');
      assert.equal(actors.clock.pending, 0);
    });
  }

  it('of a dynamic child keeps nobody from starting others (hanging_restart_loop_simple)', async () => {
    const actors = new Actors((t) => ({
      strategy: 'dynamic',
      intensity: 'infinity',
      child: t.child('w'),
    }));
    const first = await actors.supervision.startChild();
    actors.mood('w', 'fails').tell('#1', 'crash').pass(20).mood('w', 'fine');
    assert.isTrue((await actors.supervision.startChild()).ok);
    actors.mood('w', 'fails');
    const ref = first.ok ? first.ref! : assert.fail();
    assert.deepEqual(await actors.supervision.terminateChild(ref), { ok: true });
    assert.equal(ref.phase, 'removed');
  });
});

describe('a supervisor whose supervisor restarts it', () => {
  it('has its own children only, not those that were added (tree)', async () => {
    const actors = new Actors((t) => ({
      children: { below: supervisor({ intensity: 0, children: { a: t.child('a') } }) },
    }));
    const found = await actors.supervision.whichChild('below');
    const below = found.ok ? found.child.ref!.supervisor! : assert.fail();
    assert.isTrue((await below.startChild('late', actor(polite))).ok);
    actors.tell('below/late', 'crash');
    const again = await actors.supervision.whichChild('below');
    const children = await (again.ok ? again.child.ref!.supervisor! : assert.fail()).whichChildren();
    assert.deepEqual(
      children.map(({ id }) => id),
      ['a'],
    );
  });
});
