// The one error class, and its table: what each code says of itself, and that none is there which nothing can produce.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { assert } from 'chai';
import { limitsOf, type SessionTuning, sessionDefaults } from '../src/actors/live-session.ts';
import { type ErrorCode, errorCodes, IpcError } from '../src/errors.ts';
import { askTree } from '../src/runtime/control-client.ts';
import { openWorkspace } from '../src/runtime/place.ts';
import { Tree } from '../src/runtime/tree.ts';
import { node } from '../src/spec/topology.ts';
import { checkTopology } from '../src/spec/topology-check.ts';
import { FileLock } from '../src/transport/run-directory.ts';
import { temporaryFolder } from './support/temporary-folder.ts';

const here = fileURLToPath(new URL('.', import.meta.url));

/** What a call throws, which must be one of ours. */
function thrownBy(call: () => unknown): IpcError {
  try {
    call();
  } catch (error) {
    assert.instanceOf(error, IpcError);
    return error as IpcError;
  }
  return assert.fail('nothing was thrown');
}

describe('the table of errors', () => {
  const tests = readdirSync(here, { recursive: true, encoding: 'utf8' })
    .filter((name) => /\.(ts|mjs)$/.test(name))
    // The tests of a relay are handed out with the package.
    .concat('../src/runtime/relay-conformance.ts')
    .map((name) => readFileSync(join(here, name), 'utf8').replace(/^\s*\/\/.*$/gm, ''))
    .join('\n');
  for (const code of errorCodes)
    it(`has a test that expects ${code}`, () => assert.match(tests, new RegExp(`\\b${code}\\b`)));

  it('has no code that could be taken for success', () => {
    for (const code of errorCodes) assert.match(code, /^ERR_[A-Z]+(_[A-Z]+)*$/);
  });

  it('has words for every code, which name the facts', () => {
    for (const code of errorCodes) {
      const { message } = IpcError.of(code, ...(['first', 'second', 'third'] as never));
      assert.isAbove(message.length, 10, code);
      assert.include(message, 'first', code);
      assert.notInclude(message, 'undefined', code);
    }
  });
});

describe('an IpcError', () => {
  it('keeps its cause, and tells others only code and message', () => {
    const cause = new Error('the disk is full');
    const error = IpcError.from(cause, 'ERR_SYSTEM', 'writing', 'no room');
    assert.strictEqual(error.cause, cause);
    assert.deepEqual(JSON.parse(JSON.stringify(error)), {
      code: 'ERR_SYSTEM',
      message: 'writing failed: no room',
    });
  });

  it('that comes from another release with a code that is unknown here breaks the protocol', () => {
    const received = IpcError.received({ code: 'ERR_OF_TOMORROW', message: 'what is this' });
    assert.deepInclude(received.toJSON(), { code: 'ERR_PROTOCOL', message: 'what is this' });
  });

  it('never takes what every object has for a code', () => {
    for (const code of ['toString', '__proto__', 'constructor', ''])
      assert.equal(IpcError.received({ code, message: '' }).code, 'ERR_PROTOCOL');
  });
});

describe('limits of a session', () => {
  const refused: [what: string, tuning: SessionTuning, why: RegExp][] = [
    ['no time at all', { keepAlive: { beatMs: 0 } }, /keepAlive\.beatMs is 0/],
    ['a fraction', { keepAlive: { idleMs: 10_000.5 } }, /keepAlive\.idleMs is 10000\.5/],
    ['what is no number', { stall: { reportMs: Number.NaN } }, /stall\.reportMs is NaN/],
    ['more than a timer takes', { stall: { hoseMs: 2 ** 31 } }, /stall\.hoseMs is 2147483648/],
    ['a word that is not known', { stall: { hoseMs: 'ever' as never } }, /stall\.hoseMs is ever/],
    ['no beat', { keepAlive: { beatMs: Number.POSITIVE_INFINITY } }, /beatMs can't be "never"/],
    ['less than two beats', { keepAlive: { beatMs: 100, idleMs: 199 } }, /less than two beats of 100 ms/],
    [
      'less than two beats of the default',
      { keepAlive: { idleMs: 3_999 } },
      /less than two beats of 2000 ms/,
    ],
  ];
  for (const [what, tuning, why] of refused)
    it(`refuse ${what}`, () => {
      const error = thrownBy(() => limitsOf('x', tuning));
      assert.equal(error.code, 'ERR_OPTIONS_INVALID');
      assert.match(error.message, why);
    });

  it('are the defaults where nothing is said', () => {
    assert.deepEqual(limitsOf('x', {}), sessionDefaults);
    assert.deepEqual(limitsOf('x', { keepAlive: { idleMs: 9_000 } }).keepAlive, {
      beatMs: 2_000,
      idleMs: 9_000,
    });
  });

  it('take Infinity for never', () => {
    const forever = Number.POSITIVE_INFINITY as never;
    const { keepAlive, stall } = limitsOf('x', {
      keepAlive: { idleMs: forever },
      stall: { hoseMs: forever },
    });
    assert.deepEqual([keepAlive.idleMs, stall.hoseMs], ['never', 'never']);
  });
});

describe('a workspace', () => {
  const codeOf = (promise: Promise<unknown>): Promise<ErrorCode | undefined> =>
    promise.then(
      () => undefined,
      (error: IpcError) => error.code,
    );

  it('in which nothing runs answers no question', async () => {
    using folder = temporaryFolder();
    assert.equal(await codeOf(askTree(join(folder.path, 'none'), 'status')), 'ERR_NO_TREE');
    assert.equal(await codeOf(askTree(folder.path, 'status')), 'ERR_NO_TREE');
  });

  it('that is held by a supervisor takes no second one', () => {
    using folder = temporaryFolder();
    const workspace = openWorkspace(join(folder.path, 'workspace'));
    const lock = FileLock.take(workspace.lockPath);
    if (!(lock instanceof FileLock)) return assert.fail('somebody holds it already');
    const topology = checkTopology(
      { name: 'x', children: { a: node(fileURLToPath(import.meta.url)) } },
      join(folder.path, 'x.ts'),
    );
    const log = { debug() {}, info() {}, warn() {}, error() {} };
    const error = thrownBy(() => new Tree(topology, { workspace, log, onLine() {} }));
    assert.equal(error.code, 'ERR_WORKSPACE_BUSY');
    assert.include(error.message, String(process.pid));
    lock.release();
  });
});
