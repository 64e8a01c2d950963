// What a topology may say about probes, logs and standbys, and what becomes of it.
import { fileURLToPath } from 'node:url';
import { assert } from 'chai';
import { probeDefaults, readinessPeriodMs, recognitionPeriodMs } from '../../src/spec/probe.ts';
import { exec, node } from '../../src/spec/topology.ts';
import { checkTopology } from '../../src/spec/topology-check.ts';

const file = fileURLToPath(import.meta.url);
const topology = (options: object, kind: 'exec' | 'node') => ({
  name: 'tree',
  children: { a: kind === 'exec' ? exec('true', options as never) : node(file, options as never) },
});
const checked = (options: object, kind: 'exec' | 'node' = 'exec') => {
  const { a } = checkTopology(topology(options, kind), file).children;
  if (a?.kind !== 'exec' && a?.kind !== 'node') throw new Error('it is no process');
  return a;
};
function mistake(options: object, kind: 'exec' | 'node' = 'exec'): string {
  try {
    checked(options, kind);
  } catch (error) {
    return (error as Error).message;
  }
  return '';
}

describe('a probe', () => {
  const rows: [given: object | string, by: object][] = [
    ['spawned', { kind: 'spawned' }],
    [{ log: /Ready/gi }, { kind: 'log', source: 'Ready', flags: 'i' }],
    [{ log: 'ready' }, { kind: 'log', source: 'ready', flags: '' }],
    [{ tcp: 80 }, { kind: 'tcp', host: '127.0.0.1', port: 80 }],
    [{ tcp: 'db:5432' }, { kind: 'tcp', host: 'db', port: 5432 }],
    [{ tcp: '[::1]:80' }, { kind: 'tcp', host: '::1', port: 80 }],
    [{ http: 8080 }, { kind: 'http', url: 'http://127.0.0.1:8080/' }],
    [{ http: 'http://x/health' }, { kind: 'http', url: 'http://x/health' }],
    [{ exec: 'true' }, { kind: 'exec', file: 'true', args: [] }],
    [{ exec: ['test', '-e', 'x'] }, { kind: 'exec', file: 'test', args: ['-e', 'x'] }],
    [{ condition: 'len(fp.udp) > 0' }, { kind: 'condition', text: 'len(fp.udp) > 0' }],
    [{ notifyFd: 3 }, { kind: 'notify-fd', fd: 3 }],
  ];
  for (const [given, by] of rows)
    it(`may be ${typeof given === 'string' ? given : Object.keys(given)[0]} ${typeof given === 'string' ? '' : String(Object.values(given)[0])}`, () => {
      assert.deepEqual(checked({ ready: given }).ready, {
        by,
        ...probeDefaults,
        periodMs: readinessPeriodMs,
      } as never);
      assert.deepEqual(checked({ liveness: given }).liveness, { by, ...probeDefaults } as never);
    });

  it('has times and failures of its own', () => {
    const given = { tcp: 80, periodMs: 5, timeoutMs: 6, failures: 7 };
    assert.deepInclude(checked({ ready: given }).ready, { periodMs: 5, timeoutMs: 6, failures: 7 });
  });

  const refusals: [what: string, options: object, kind: 'exec' | 'node', says: RegExp][] = [
    [
      'another word',
      { ready: 'redy' },
      'exec',
      /children\.a\.ready: it must be "reported", "spawned", \{ log \}/,
    ],
    ['a port that is none', { ready: { tcp: 70_000 } }, 'exec', /children\.a\.ready/],
    ['a pattern that is none', { liveness: { log: '(' } }, 'exec', /children\.a\.liveness/],
    ['a standard descriptor', { ready: { notifyFd: 2 } }, 'exec', /children\.a\.ready/],
    ['what a plain program can not report', { ready: 'reported' }, 'exec', /a plain program reports nothing/],
    [
      'the control socket of a node child',
      { ready: { notifyFd: 4 } },
      'node',
      /descriptor 4 of a node child is its control socket/,
    ],
    [
      'the log of what survives',
      { survive: true, ready: { log: 'x' } },
      'exec',
      /the log of what survives its supervisor is not read/,
    ],
    [
      'a state by the process number',
      { states: { up: 'spawned' } },
      'exec',
      /children\.a\.states\.up: it must be \{ log \}/,
    ],
    [
      'a condition that is none, with its place',
      { states: { open: { condition: 'len(fp.listn) > 0' } } },
      'exec',
      /children\.a\.states\.open\.condition: .*a fingerprint has no listn; .* at character 8\n {2}len\(fp\.listn\)/s,
    ],
    [
      'a readiness that is no condition',
      { ready: { condition: 'fp.listen' } },
      'node',
      /children\.a\.ready\.condition: .*it gives a list/,
    ],
    [
      'a liveness that is no condition',
      { liveness: { condition: 'process.exit()' } },
      'exec',
      /children\.a\.liveness\.condition: .*Unknown variable: process/,
    ],
    [
      'a fingerprint that is not there',
      { states: { open: { fingerprint: 'fp/nope.fp' } } },
      'exec',
      /children\.a\.states\.open\.fingerprint: there is no readable file .*spec\/fp\/nope\.fp/,
    ],
    [
      'a readiness by fingerprint',
      { ready: { fingerprint: 'x.fp' } },
      'exec',
      /children\.a\.ready: it must be/,
    ],
    ['a plain program that stands by', { standby: 1 }, 'exec', /children\.a\.standby: unknown key/],
    [
      'a log without any room',
      { log: { maxBytes: 0 } },
      'exec',
      /children\.a\.log\.maxBytes: it must be a whole number/,
    ],
  ];
  for (const [what, options, kind, says] of refusals)
    it(`is refused for ${what}`, () => assert.match(mistake(options, kind), says));

  it('finds a fingerprint from the folder of the topology, and looks for states once a second', () => {
    const states = {
      open: { fingerprint: './probe-check.test.ts' },
      shut: { condition: 'true', failures: 1 },
    };
    assert.deepEqual(checked({ states }).states, {
      open: { by: { kind: 'fingerprint', file }, ...probeDefaults, periodMs: recognitionPeriodMs },
      shut: {
        by: { kind: 'condition', text: 'true' },
        ...probeDefaults,
        failures: 1,
        periodMs: recognitionPeriodMs,
      },
    });
  });

  it('makes states that others may wait for', () => {
    const states = { operative: { log: 'x' }, 'operative.idle': { tcp: 80 } };
    const tree = (wanted: string) => ({
      name: 'tree',
      children: { a: exec('true', { states }), b: exec('true', { dependsOn: { a: wanted } }) },
    });
    assert.doesNotThrow(() => checkTopology(tree('operative.idle'), file));
    assert.throws(() => checkTopology(tree('busy'), file), /reports no state busy/);
  });
});
