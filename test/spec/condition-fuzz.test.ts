// Conditions of any text: either a mistake that is told, or an answer; never anything else, and never from a part of the
// fingerprint that was not looked for.
import { assert } from 'chai';
import fc from 'fast-check';
import { IpcError } from '../../src/errors.ts';
import { type Condition, type ConditionFacts, parseCondition } from '../../src/spec/condition.ts';
import {
  emptyFingerprint,
  type Fingerprint,
  fingerprintKeys,
  likeness,
  likenessAtMost,
} from '../../src/spec/fingerprint.ts';

const word = fc.oneof(
  fc.constantFrom('tws', '0.0.0.0:80', '[::1]:443', '/a', ''),
  fc.string({ maxLength: 8 }),
);
const list = fc.array(word, { maxLength: 4 });
const fingerprint: fc.Arbitrary<Fingerprint> = fc.record({
  cmdline: list,
  listen: list,
  established: list,
  udp: list,
  files: list,
});
const facts: fc.Arbitrary<ConditionFacts> = fc.record({
  fp: fingerprint,
  state: fc.constantFrom('', 'operative', 'operative.idle'),
  health: fc.constantFrom('healthy', 'unhealthy', 'unknown'),
  uptimeMs: fc.double({ min: 0, max: 1e12, noNaN: true }),
});

const key = fc.constantFrom(...fingerprintKeys);
const quoted = word.map((text) => JSON.stringify(text));
/** Expressions of the language, right ones and nearly right ones. */
const { expression } = fc.letrec<{ expression: string; text: string; list: string; number: string }>(
  (tie) => ({
    list: fc.oneof(
      key.map((name) => `fp.${name}`),
      key.map((name) => `fp['${name}']`),
      fc.constant('fp[state]'),
      fc.array(quoted, { maxLength: 3 }).map((texts) => `[${texts.join(', ')}]`),
    ),
    text: fc.oneof(
      quoted,
      fc.constantFrom('state', 'health'),
      fc.tuple(tie('list'), fc.integer({ min: -1, max: 4 })).map(([of, at]) => `${of}[${at}]`),
    ),
    number: fc.oneof(
      fc.integer({ min: -5, max: 5 }).map(String),
      fc.constantFrom('uptimeMs', 'size(fp)', '9223372036854775807'),
      tie('list').map((of) => `len(${of})`),
      fc
        .tuple(tie('number'), fc.constantFrom('+', '-', '*', '/', '%'), tie('number'))
        .map((parts) => `(${parts.join(' ')})`),
    ),
    expression: fc.oneof(
      { maxDepth: 4 },
      fc.constantFrom('true', 'false'),
      fc.tuple(tie('text'), tie('list')).map(([text, of]) => `${text} in ${of}`),
      fc.tuple(tie('text'), fc.constantFrom('==', '!=', '<'), tie('text')).map((parts) => parts.join(' ')),
      fc
        .tuple(tie('number'), fc.constantFrom('==', '>', '<='), tie('number'))
        .map((parts) => parts.join(' ')),
      fc.tuple(tie('list'), quoted).map(([of, text]) => `${of}.exists(each, each.startsWith(${text}))`),
      fc.tuple(tie('list'), tie('list')).map(([of, other]) => `${of}.all(each, each in ${other})`),
      tie('expression').map((inner) => `!(${inner})`),
      fc
        .tuple(tie('expression'), fc.constantFrom('&&', '||'), tie('expression'))
        .map((parts) => `(${parts.join(' ')})`),
    ),
  }),
);
const anyText = fc.oneof(
  fc.string({ maxLength: 60 }),
  fc.string({ unit: 'binary', maxLength: 60 }),
  fc
    .array(
      fc.constantFrom(
        ...['fp', '.', 'listen', '[', ']', '(', ')', "'", '"', 'in', '==', '&&', '!', 'len', '0', '?', ':'],
        ...['state', 'exists', 'x', ',', '{', '}', '//', '\\', '\n', '-', '__proto__', 'constructor', 'has'],
      ),
      { maxLength: 20 },
    )
    .map((parts) => parts.join('')),
);

function parsed(text: string): Condition | undefined {
  try {
    return parseCondition(text);
  } catch (error) {
    assert.instanceOf(error, IpcError);
    assert.equal((error as IpcError).code, 'ERR_CONDITION_INVALID');
    return undefined;
  }
}

/** What it answers, or that it tells a mistake. */
function answered(condition: Condition, given: ConditionFacts): boolean | 'mistake' {
  try {
    const answer = condition.holds(given);
    assert.isBoolean(answer);
    return answer;
  } catch (error) {
    assert.instanceOf(error, IpcError);
    return 'mistake';
  }
}

describe('conditions of any text', () => {
  it('are a mistake that is told, or an answer', () => {
    fc.assert(
      fc.property(fc.oneof(anyText, expression), facts, (text, given) => {
        const condition = parsed(text);
        if (condition) answered(condition, given);
      }),
      { numRuns: 1_500 },
    );
  });

  it('answer the same from the parts of the fingerprint that they name', () => {
    let right = 0;
    fc.assert(
      fc.property(expression, facts, (text, given) => {
        const condition = parsed(text);
        if (!condition) return;
        right++;
        const looked = Object.fromEntries(
          fingerprintKeys.map((name) => [name, condition.keys.has(name) ? given.fp[name] : []]),
        ) as unknown as Fingerprint;
        assert.equal(answered(condition, { ...given, fp: looked }), answered(condition, given));
        if (!condition.needsLook)
          assert.equal(
            answered(condition, { fp: emptyFingerprint, state: given.state, health: 'unknown', uptimeMs: 0 }),
            answered(condition, given),
          );
      }),
      { numRuns: 1_000 },
    );
    assert.isAbove(right, 250);
  });
});

describe('the likeness of any two fingerprints', () => {
  it('is the same either way, from -1 to 1, and 1 for the same', () => {
    fc.assert(
      fc.property(fingerprint, fingerprint, (a, b) => {
        const alike = likeness(a, b);
        assert.isAtLeast(alike, -1);
        assert.isAtMost(alike, 1);
        assert.closeTo(likeness(b, a), alike, 1e-9);
        assert.equal(likeness(a, a), 1);
      }),
    );
  });

  it('is never more than its command line alone allows', () => {
    fc.assert(
      fc.property(fingerprint, fingerprint, (known, seen) => {
        assert.isAtLeast(likenessAtMost(known, seen.cmdline) + 1e-9, likeness(known, seen));
      }),
    );
  });
});
