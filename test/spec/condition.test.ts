import { assert, expect } from 'chai';
import { IpcError } from '../../src/errors.ts';
import { type ConditionFacts, parseCondition } from '../../src/spec/condition.ts';
import { fingerprintKeys } from '../../src/spec/fingerprint.ts';

const facts: ConditionFacts = {
  fp: { cmdline: ['tws', 'a=1'], listen: ['0.0.0.0:9090'], established: [], udp: [], files: ['/etc/hosts'] },
  state: 'operative',
  health: 'healthy',
  uptimeMs: 1500.7,
};

describe('a condition', () => {
  for (const [text, holds] of [
    ["len(fp['listen'])>0", true],
    ['len(fp.listen) > 0', true],
    ["'0.0.0.0:9090' in fp.listen", true],
    ["'0.0.0.0:80' in fp.listen", false],
    ['size(fp.established) == 0', true],
    ["fp.cmdline[0] == 'tws'", true],
    ["state == 'operative' && health != 'unhealthy'", true],
    ['uptimeMs >= 1500 && uptimeMs < 1501', true],
    ['!(len(fp.listen) > 1) || false', true],
    ["fp.listen.exists(address, address.endsWith(':9090'))", true],
    ["fp.files.filter(file, file != '').exists(file, file in fp.files)", true],
  ] as const)
    it(`${text} is ${holds}`, () => assert.equal(parseCondition(text).holds(facts), holds));

  for (const [text, keys] of [
    ['len(fp.udp) == 0', ['udp']],
    ["len(fp['listen']) > 0 && 'x' in fp.cmdline", ['listen', 'cmdline']],
    ['fp.files.exists(file, file in fp.cmdline)', ['files', 'cmdline']],
    ['len(fp[state]) > 0', fingerprintKeys],
    ['size(fp) == 5', fingerprintKeys],
    ["state == 'fp'", []],
  ] as const)
    it(`needs of the fingerprint for ${text}: ${keys.join(' ') || 'nothing'}`, () =>
      assert.sameMembers([...parseCondition(text).keys], [...keys]));

  it('says whether it names what has to be looked for', () => {
    for (const text of ['uptimeMs > 10', "health == 'healthy'", "state == '' || 'x' in fp['listen']"])
      assert.isTrue(parseCondition(text).needsLook, text);
    assert.isFalse(parseCondition("state == 'uptimeMs'").needsLook);
  });

  for (const [text, why] of [
    ['', 'character 1'],
    ['fp.listen >', 'character 12'],
    ['fp.nope == 1', 'a fingerprint has no nope'],
    ["len(fp['nope']) > 0", 'a fingerprint has no nope'],
    ['process.exit(1)', 'Unknown variable: process'],
    ["globalThis['process']", 'Unknown variable: globalThis'],
    ['fp.constructor', 'a fingerprint has no constructor'],
    ["''.constructor.constructor('return 1')()", 'character'],
    ['import("node:fs")', 'character'],
    ['__import__("os")', 'character'],
    ["fp.cmdline.exists(word, word.matches('(a+)+b'))", "matches can't be used here"],
    [
      'fp.files.all(a, fp.files.exists(b, a != b))',
      "exists can't stand within another walk through a list at character 17",
    ],
    ['fp.listen.map(a, fp.files.filter(b, b == a)) == []', 'filter'],
    ['uptimeMs + 1', 'it gives a int'],
    ['state', 'it gives a string'],
    ["state == 'a' and state == 'b'", 'write && for and'],
    ['nothing > 1', 'Unknown variable: nothing'],
    ['(((('.repeat(20), 'character'],
    [`state == '${'x'.repeat(2000)}'`, 'longer than'],
  ] as const)
    it(`is refused before anything runs: ${text.slice(0, 40)}`, () => {
      expect(() => parseCondition(text))
        .to.throw(IpcError, why)
        .with.property('code', 'ERR_CONDITION_INVALID');
    });

  it('shows the place of a mistake', () => {
    assert.throws(() => parseCondition('fp.listen >'), IpcError, '  fp.listen >\n             ^');
  });

  it('tells what only the values show', () => {
    assert.throws(
      () => parseCondition('1 / (uptimeMs - uptimeMs) > 0').holds(facts),
      IpcError,
      'division by zero',
    );
    assert.throws(() => parseCondition("fp.cmdline[5] == ''").holds(facts), IpcError, "can't be used");
  });
});
