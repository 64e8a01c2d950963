// Which state a process is in by what it has open, as a table in simulated time.
import { join } from 'node:path';
import { assert } from 'chai';
import { Recognition } from '../../src/actors/recognition.ts';
import type { Fingerprint } from '../../src/spec/fingerprint.ts';
import type { Probe } from '../../src/spec/probe.ts';
import { writeFingerprint } from '../../src/workspace/fingerprint-file.ts';
import { folderOfEachTest } from '../support/temporary-folder.ts';
import { fingerprintWith, watchedProcesses } from '../support/watched.ts';

const rule = (by: Probe['by'], failures = 3): Probe => ({ by, periodMs: 1_000, timeoutMs: 1_000, failures });
const condition = (text: string, failures?: number) => rule({ kind: 'condition', text }, failures);

const shut = fingerprintWith({ cmdline: ['tws'] });
const open = fingerprintWith({ cmdline: ['tws'], listen: ['0.0.0.0:80'] });
const busy = fingerprintWith({ ...open, established: ['10.0.0.1:5'] });

/** What holds, second by second, as `-` while nothing is told. */
function played(
  states: Record<string, Probe>,
  looks: readonly (Fingerprint | undefined)[],
): { told: string[]; doubts: string[] } {
  const { clock, lookout, seen } = watchedProcesses();
  const told: string[] = [];
  const doubts: string[] = [];
  let now = '-';
  const recognition = new Recognition(states, {
    lookout,
    place: { pid: 1 },
    facts: () => ({ state: now, health: 'unknown', uptimeMs: clock.now() }),
    onChange: (holding) => {
      now = [...holding].join('+') || 'none';
    },
    onDoubt: (why) => doubts.push(why),
  });
  for (const look of looks) {
    if (look) seen.set(1, look);
    else seen.delete(1);
    clock.advance(now === '-' ? 0 : 1_000);
    told.push(now);
  }
  recognition.stop();
  assert.equal(clock.pending, 0);
  return { told, doubts };
}

describe('recognition', () => {
  const folder = folderOfEachTest();

  const listening = { listening: condition('len(fp.listen) > 0') };
  const rows: [
    what: string,
    states: Record<string, Probe>,
    looks: (Fingerprint | undefined)[],
    told: string[],
  ][] = [
    ['a condition holds once it is true', listening, [shut, open], ['none', 'listening']],
    [
      'a state lasts over looks that recognise nothing, and then is left',
      listening,
      [open, shut, shut, shut, shut],
      ['listening', 'listening', 'listening', 'none', 'none'],
    ],
    [
      'misses count in a row',
      listening,
      [open, shut, shut, open, shut, shut, shut],
      ['listening', 'listening', 'listening', 'listening', 'listening', 'listening', 'none'],
    ],
    [
      'one miss is enough where the spec says so',
      { listening: condition('len(fp.listen) > 0', 1) },
      [open, shut],
      ['listening', 'none'],
    ],
    [
      'another state takes over at once',
      { ...listening, closed: condition('len(fp.listen) == 0') },
      [open, shut, open],
      ['listening', 'closed', 'listening'],
    ],
    [
      'all that hold are told, in the order given',
      { ...listening, busy: condition('len(fp.established) > 0') },
      [shut, open, busy],
      ['none', 'listening', 'listening+busy'],
    ],
    [
      'what can not be seen is no state',
      listening,
      [open, undefined, undefined, undefined],
      ['listening', 'listening', 'listening', 'none'],
    ],
    [
      'time and the present state may be named',
      { young: condition('uptimeMs < 1500', 1), old: condition("uptimeMs >= 1500 || state == 'old'") },
      [shut, shut, shut],
      ['young', 'young', 'old'],
    ],
  ];
  for (const [what, states, looks, expected] of rows)
    it(`${what}`, () => assert.deepEqual(played(states, looks).told, expected));

  it('takes the saved fingerprint that is most alike, of those that are alike enough', () => {
    const saved = (name: string, fingerprint: Fingerprint) => {
      const file = join(folder(), `${name}.fp`);
      writeFingerprint(file, fingerprint);
      return rule({ kind: 'fingerprint', file });
    };
    const states = { busy: saved('busy', busy), open: saved('open', open), shut: saved('shut', shut) };
    const almost = fingerprintWith({ ...open, established: ['10.0.0.2:7'] });
    const stranger = fingerprintWith({ cmdline: ['other'], listen: ['0.0.0.0:80'] });
    assert.deepEqual(played(states, [shut, open, busy, almost, stranger, stranger, stranger]).told, [
      'shut',
      'open',
      'busy',
      'open',
      'open',
      'open',
      'none',
    ]);
  });

  it('reads a saved fingerprint anew when it has changed', () => {
    const { clock, lookout, seen } = watchedProcesses();
    const file = join(folder(), 'x.fp');
    writeFingerprint(file, open);
    seen.set(1, shut);
    const told: string[][] = [];
    const recognition = new Recognition(
      { known: rule({ kind: 'fingerprint', file }) },
      {
        lookout,
        place: { pid: 1 },
        facts: () => ({ state: '', health: 'unknown', uptimeMs: 0 }),
        onChange: (holding) => told.push([...holding]),
        onDoubt: assert.fail,
      },
    );
    clock.advance(1_000);
    writeFingerprint(file, shut);
    clock.advance(1_000);
    recognition.stop();
    assert.deepEqual(told, [[], ['known']]);
  });

  it('says once what it can not tell, and goes on', () => {
    const missing = rule({ kind: 'fingerprint', file: join(folder(), 'nope.fp') });
    const states = { first: condition("fp.listen[0] == '0.0.0.0:80'"), missing };
    const { told, doubts } = played(states, [shut, shut, open]);
    assert.deepEqual(told, ['none', 'none', 'first']);
    assert.lengthOf(doubts, 2);
    assert.match(doubts[0]!, /^state missing: .*nope\.fp can't be used: there is no such file/);
    assert.match(doubts[1]!, /^state first: the condition/);
  });

  it('looks at nothing for states that others recognise', () => {
    const { clock, lookout } = watchedProcesses();
    new Recognition(
      { hot: rule({ kind: 'log', source: 'x', flags: '' }) },
      {
        lookout,
        place: { pid: 1 },
        facts: assert.fail,
        onChange: () => assert.fail(),
        onDoubt: assert.fail,
      },
    );
    assert.deepEqual([lookout.followers, clock.pending], [0, 0]);
  });
});
