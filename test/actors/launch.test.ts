import { expect } from 'chai';
import { envOf } from '../../src/actors/launch.ts';
import { IpcError } from '../../src/errors.ts';
import type { ExecChild } from '../../src/spec/child.ts';

describe('the environment of a program', () => {
  const tree = { env: {}, withheld: () => new Set<string>() } as never;
  const environment = (env: object) =>
    envOf({ tree, unit: 'a', epoch: 1 }, { kind: 'exec', env } as ExecChild, false);

  it('has its secrets, as they are when it starts', () => {
    process.env.LAUNCH_TEST_TOKEN = 'geheim';
    try {
      expect(environment({ TOKEN: { secret: 'LAUNCH_TEST_TOKEN' } }).TOKEN).to.equal('geheim');
    } finally {
      delete process.env.LAUNCH_TEST_TOKEN;
    }
  });

  for (const [what, ref] of [
    ['variable', { secret: 'LAUNCH_TEST_NOWHERE' }],
    ['file', { secretFile: '/nowhere/at/all' }],
  ] as const)
    it(`says that a secret is missing: a ${what}`, () => {
      expect(() => environment({ TOKEN: ref }))
        .to.throw(IpcError)
        .with.property('code', 'ERR_SECRET_MISSING');
    });
});
