// Secrets of command lines: masked they tell nothing, and with their secrets they are what they were.
import { assert } from 'chai';
import {
  maskedArguments,
  revealedArguments,
  revealedValue,
  secretsOfArguments,
} from '../../src/spec/secret.ts';

describe('the secrets of a command line', () => {
  for (const args of [
    ['tws', 'username=ann', 'password=x=y', 'api_key='],
    ['db', '--password', 'geheim', '--token=zahl', '--verbose'],
    ['plain', '-v'],
  ])
    it(`are taken out and put back: ${args[0]}`, () => {
      const masked = maskedArguments(args);
      const secrets = secretsOfArguments(args);
      for (const secret of Object.values(secrets))
        if (secret !== '') assert.notInclude(masked.join(), secret);
      assert.deepEqual(revealedArguments(masked, secrets), args);
    });

  it('stay out where they are not known', () => {
    assert.deepEqual(revealedArguments(['p', 'password=***'], { token: 'x' }), ['p', 'password=***']);
    assert.deepEqual(revealedArguments(['p', 'a=***'], JSON.parse('{"__proto__":{"a":"x"}}')), [
      'p',
      'a=***',
    ]);
  });

  it('are put into an input by its keys alone', () => {
    const input = { token: '***', user: '***', list: ['***'] };
    assert.deepEqual(revealedValue(input, { token: 't' }), { token: 't', user: '***', list: ['***'] });
    assert.deepEqual(revealedValue('***', { token: 't' }), '***');
  });
});
