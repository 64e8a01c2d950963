// What the commands under `session` write into the files of a workspace, and what they refuse to.
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { assert } from 'chai';
import { type ErrorCode, IpcError } from '../../src/errors.ts';
import { askSession } from '../../src/runtime/session-client.ts';
import { editSession, SessionEdit } from '../../src/runtime/session-edit.ts';
import { planSession } from '../../src/runtime/session-plan.ts';
import type { ExecChild } from '../../src/spec/child.ts';
import { FileLock } from '../../src/transport/run-directory.ts';
import { makeSessionWorkspace, SessionWorkspace } from '../../src/workspace/session-workspace.ts';
import { folderOfEachTest } from '../support/temporary-folder.ts';

const sleep = 'exec://localhost/bin/sleep';

function assertRefuses(code: ErrorCode, words: string | RegExp, work: () => unknown): void {
  try {
    work();
  } catch (error) {
    assert.instanceOf(error, IpcError);
    assert.equal((error as IpcError).code, code, (error as IpcError).message);
    assert.match((error as IpcError).message, new RegExp(words));
    return;
  }
  assert.fail(`it was not refused with ${code}`);
}

describe('the files of a session', () => {
  const folder = folderOfEachTest();
  let workspace: SessionWorkspace;
  const edit = () => new SessionEdit(workspace);
  const read = (name: string) => readFileSync(join(folder(), 'etc', `${name}.yaml`), 'utf8');
  const write = (name: string, text: string) => writeFileSync(join(folder(), 'etc', `${name}.yaml`), text);
  const names = () => readdirSync(join(folder(), 'etc')).sort();

  beforeEach(() => {
    makeSessionWorkspace(folder(), {});
    workspace = new SessionWorkspace(folder());
  });

  it('are made by init alone', () => {
    mkdirSync(join(folder(), 'other'));
    assertRefuses('ERR_NO_SESSION', 'session init', () => new SessionWorkspace(join(folder(), 'other')));
    assert.deepEqual(readdirSync(join(folder(), 'other')), []);
  });

  it('are asked about where no supervisor runs', async () => {
    const error = await askSession(workspace, 'session.show').catch((reason: unknown) => reason);
    assert.equal((error as IpcError).code, 'ERR_SESSION_INACTIVE');
  });

  it('keep the name of a uri whose secret changes, and show the secret nowhere', () => {
    const { name, warnings } = edit().enter(`${sleep}?user=ann&password=geheim`, {
      alias: 'w',
      restart: true,
    });
    assert.match(warnings.join(), /password: .*secret\(\)/);
    assert.deepInclude(edit().enter(`${sleep}?user=ann&password=anders`, {}), { name, isNew: false });
    assert.notMatch(
      names()
        .filter((file) => !/secret/.test(file))
        .map((file) => read(file.slice(0, -5)))
        .join(),
      /geheim|anders/,
    );
    assert.deepEqual(workspace.files.secrets(name), { password: 'anders' });
    const child = planSession(workspace).topology.children[name] as ExecChild;
    assert.deepEqual(child.args, ['user=ann', 'password=***']);
  });

  it('have words without a value as they are written', () => {
    const { name } = edit().enter(`${sleep}?-n&5&a=%20b&c=`, {});
    assert.deepEqual((planSession(workspace).topology.children[name] as ExecChild).args, [
      '-n',
      '5',
      'a= b',
      'c=',
    ]);
  });

  it('give another name to who has the same uri and another alias, and overwrite nobody', () => {
    const one = edit().enter(`${sleep}?1`, { alias: 'one' });
    const two = edit().enter(`${sleep}?1`, { alias: 'two' });
    assert.equal(two.name, `${one.name}-2`);
    assert.deepEqual(edit().enter(`${sleep}?1`, { alias: 'two' }).name, two.name);
    assertRefuses('ERR_REFUSED', 'it is that of', () => edit().enter(`${sleep}?2`, { alias: 'one' }));
    assert.equal(planSession(workspace).files.get(one.name)?.alias, 'one');
  });

  it('give another name where a foreign file has the name already', () => {
    const { name } = edit().enter(`${sleep}?1`, {});
    write(name, 'name: x\nuri: exec://localhost/bin/true\n');
    assert.equal(edit().enter(`${sleep}?1`, {}).name, `${name}-2`);
    assert.match(read(name), /bin\/true/);
  });

  it('keep what a person has written', () => {
    const { name } = edit().enter(`${sleep}?1`, { alias: 'w' });
    write(name, `${read(name).replace('- "1"', '- "2" # longer')}mine: 1 # note\n`);
    edit().enter(`${sleep}?1`, { alias: 'w', restart: true });
    assert.match(read(name), /- "2" # longer/);
    assert.match(read(name), /mine: 1 # note/);
    assert.match(read(name), /restart: 1/);
    assert.deepEqual((planSession(workspace).topology.children[name] as ExecChild).args, ['2']);
  });

  for (const alias of [
    '../x',
    'a/b',
    '.hidden',
    'a:b',
    'a,b',
    '',
    'session',
    'x.secret',
    'a b',
    'x'.repeat(200),
  ])
    it(`have no alias ${JSON.stringify(alias.slice(0, 20))}`, () => {
      const before = names();
      assertRefuses('ERR_OPTIONS_INVALID', 'alias', () => edit().enter(`${sleep}?1`, { alias }));
      assert.deepEqual(names(), before);
    });

  it('name no program that is not there or may not be executed, and no scheme that nothing runs for', () => {
    writeFileSync(join(folder(), 'plain'), '');
    chmodSync(join(folder(), 'plain'), 0o600);
    const before = names();
    assertRefuses('ERR_PROGRAM_MISSING', 'no such program', () =>
      edit().enter('exec://localhost/no/such/program', {}),
    );
    assertRefuses('ERR_PROGRAM_MISSING', 'may not be executed', () =>
      edit().enter(`exec://localhost${folder()}/plain`, {}),
    );
    assertRefuses('ERR_PROGRAM_MISSING', 'folder', () => edit().enter('exec://localhost/bin', {}));
    assertRefuses('ERR_URI_INVALID', 'no program', () => edit().enter('exec://localhost', {}));
    assertRefuses('ERR_SCHEME_UNKNOWN', 'did you mean exec', () =>
      edit().enter('exce://localhost/bin/true', {}),
    );
    assert.deepEqual(names(), before);
  });

  it('show no secret of a uri that can not be read', () => {
    assertRefuses('ERR_URI_INVALID', /^((?!geheim).)*$/, () =>
      edit().enter('exec//host?password=geheim', {}),
    );
  });

  describe('of dependences', () => {
    beforeEach(() => {
      for (const alias of ['a', 'b.c', 'd']) edit().enter(`${sleep}?${alias}`, { alias });
    });
    const parentsOf = (alias: string) => {
      const { parents, files } = planSession(workspace);
      const name = [...files].find(([, file]) => file.alias === alias)![0];
      return (parents.get(name) ?? []).map(
        ({ name: parent, state }) => `${files.get(parent)!.alias}:${state}`,
      );
    };

    it('take several at once, each once', () => {
      assert.lengthOf(edit().addDependences(['a:operative', 'b.c'], ['d']), 2);
      assert.lengthOf(edit().addDependences(['a:operative'], ['d']), 0);
      assert.deepEqual(parentsOf('d'), ['a:operative', 'b.c:undefined']);
    });

    it('refuse circles, itself, strangers, two states of one, and a state of the child', () => {
      edit().addDependences(['a'], ['b.c']);
      const before = read('session');
      const refuses = (words: string, parent: string, child: string, code: ErrorCode = 'ERR_REFUSED') =>
        assertRefuses(code, words, () => edit().addDependences([parent], [child]));
      refuses('circle', 'b.c', 'a');
      refuses('itself', 'a', 'a');
      refuses('did you mean', 'b.d', 'a', 'ERR_UNIT_UNKNOWN');
      refuses('two states', 'a:other', 'b.c');
      refuses('belongs to the parent', 'a', 'd:operative');
      refuses('a state is one name', 'a:..', 'd');
      assert.equal(read('session'), before);
    });

    it('remove those of all states, also by a state at the child, and say what there is', () => {
      edit().addDependences(['a:operative'], ['b.c', 'd']);
      edit().removeDependences(['a'], ['d:operative']);
      assert.deepEqual(parentsOf('d'), []);
      assert.deepEqual(parentsOf('b.c'), ['a:operative']);
      assertRefuses('ERR_REFUSED', 'a:operative -> b.c', () =>
        edit().removeDependences(['a:other'], ['b.c']),
      );
    });

    it('keep a parent from being forgotten', () => {
      edit().addDependences(['a'], ['d']);
      assertRefuses('ERR_REFUSED', 'd depends on it', () => edit().remove('a'));
      edit().remove('d');
      edit().remove('a');
      assert.deepEqual(names().filter((name) => /^[a-z]/.test(name)).length, 3, 'b.c, its link, the session');
    });
  });

  describe('that are wrong', () => {
    const mistakes = () => [...planSession(workspace).mistakes.values()].join('\n');
    const children = () => Object.keys(planSession(workspace).topology.children);
    let good: string;
    beforeEach(() => {
      good = edit().enter(`${sleep}?good`, { alias: 'good' }).name;
    });

    for (const [what, text, why] of [
      ['half a file', 'name: x\nuri: [exec', 'Flow sequence'],
      ['no uri', 'name: x\n', 'uri'],
      ['a uri that is none', 'name: x\nuri: nothing\n', 'scheme://'],
      ['a scheme that nothing runs for', 'name: x\nuri: ib://h/p\n', 'ib'],
      ['a flag that is none', 'name: x\nuri: exec://h/bin/true\nrestart: often\n', 'restart'],
      ['rules that no unit has', 'name: x\nuri: exec://h/bin/true\nunit: { giveup: 1 }\n', 'giveUp'],
      [
        'a bomb of aliases',
        `a: &a [x, x]\n${[...'bcdefghijklmnop'].map((l, i) => `${l}: &${l} [*${String.fromCharCode(97 + i)}, *${String.fromCharCode(97 + i)}]\n`).join('')}name: x\nuri: exec://h/bin/true\n`,
        'alias',
      ],
    ] as const)
      it(`cost their own process only: ${what}`, () => {
        write('broken', text);
        assert.include(mistakes(), why);
        assert.deepEqual(children(), [good]);
      });

    it('cost those that wait for them, too', () => {
      const child = edit().enter(`${sleep}?child`, { alias: 'child' }).name;
      edit().addDependences(['good:operative'], ['child']);
      write(good, 'name: [');
      assert.deepEqual(children(), []);
      assert.match(planSession(workspace).mistakes.get(child)!, /depends on/);
    });

    it('are not followed out of the workspace', () => {
      writeFileSync(join(folder(), 'outside.yaml'), 'name: x\nuri: exec://h/bin/true\n');
      symlinkSync('../outside.yaml', join(folder(), 'etc', 'link.yaml'));
      assert.deepEqual(children(), [good], 'a link is an alias at most');
      symlinkSync('../outside.yaml', join(folder(), 'etc', `${good}.secret.yaml`));
      assert.throws(() => workspace.files.secrets(good), IpcError, 'somewhere else');
    });

    it('keep the session from being edited if it is that of all', () => {
      write('session', 'dependences: { a: b }\n');
      assertRefuses('ERR_WORKSPACE_FILE', 'dependences.a', () => edit());
    });
  });

  it('are edited by one command at a time', async () => {
    const order: string[] = [];
    const lock = FileLock.take(workspace.editLockPath) as FileLock;
    const waiting = editSession(workspace, () => order.push('second'));
    order.push('first');
    lock.release();
    await waiting;
    assert.deepEqual(order, ['first', 'second']);
  });

  it('that belong to nobody any more are removed', () => {
    const { name } = edit().enter(`${sleep}?1`, {});
    for (const path of [
      'pid/gone-away.pid',
      `pid/${name}.pid`,
      'fp/gone-away.operative.fp',
      `fp/${name}.operative.fp`,
    ])
      writeFileSync(join(folder(), path), '1\n');
    assert.sameMembers(workspace.clean(), [
      'pid/gone-away.pid',
      `pid/${name}.pid`,
      'fp/gone-away.operative.fp',
    ]);
    assert.isTrue(existsSync(join(folder(), 'fp', `${name}.operative.fp`)));
  });
});
