import { assert, expect } from 'chai';
import { IpcError } from '../../src/errors.ts';
import { maskedArguments } from '../../src/spec/secret.ts';
import { identityOf, maskedUri, parseUri, secretsOf } from '../../src/spec/uri.ts';

describe('parseUri()', () => {
  it('takes a uri apart', () => {
    const uri = parseUri('ib://me:pw@localhost:9090/master%20trader?account=0&tws=master.tws#now');
    assert.deepInclude(uri, {
      direction: '',
      scheme: 'ib',
      user: 'me',
      password: 'pw',
      host: 'localhost',
      port: 9090,
      path: '/master trader',
      query: [
        ['account', '0'],
        ['tws', 'master.tws'],
      ],
      fragment: 'now',
    });
  });

  for (const direction of ['<', '>', '|'] as const)
    it(`knows the direction ${direction}`, () => {
      assert.deepInclude(parseUri(`${direction}udp://host`), {
        direction,
        scheme: 'udp',
        host: 'host',
        path: '',
      });
    });

  it('keeps the order of the query, and keys that come twice', () => {
    assert.deepEqual(parseUri('exec://h/p?b=2&a=1&b=3&flag').query, [
      ['b', '2'],
      ['a', '1'],
      ['b', '3'],
      ['flag', ''],
    ]);
  });

  for (const [text, why] of [
    ['nothing', 'scheme://host/path'],
    ['://host', 'scheme://host/path'],
    ['a://host:99999/', 'port 99999'],
    ['a://host/%zz', 'hexadecimal'],
    // What hides a secret must see the same parts as what reads it.
    ['a://[::1#]/?token=geheim', 'scheme://host/path'],
    [`a://host/${'x'.repeat(10_000)}`, 'scheme://host/path'],
  ] as const)
    it(`refuses ${text.slice(0, 30)}`, () => {
      expect(() => parseUri(text))
        .to.throw(IpcError, why)
        .with.property('code', 'ERR_URI_INVALID');
    });

  it('shows no secret when it refuses', () => {
    assert.throws(() => parseUri('a://host:99999/?token=geheim'), IpcError, /^((?!geheim).)*$/s);
  });
});

describe('secrets of a uri', () => {
  const uri = parseUri('exec://u:one@h/p?username=me&password=two&api_key=three&x=1');

  it('are no part of its identity', () => {
    assert.equal(identityOf(uri), 'exec://u@h/p?username=me&x=1');
    assert.equal(
      identityOf(parseUri('exec://u:other@h/p?username=me&password=changed&api_key=&x=1')),
      identityOf(uri),
    );
  });

  it('are shown as stars', () => {
    assert.equal(maskedUri(uri), 'exec://u:***@h/p?username=me&password=***&api_key=***&x=1');
  });

  it('can be taken out', () => {
    assert.deepEqual(secretsOf(parseUri('exec://h/p?password=two&api_key=three&x=1')), {
      password: 'two',
      api_key: 'three',
    });
  });

  it('are found behind percent signs', () => {
    assert.equal(maskedUri(parseUri('a://h/p?%70assword=two')), 'a://h/p?%70assword=***');
  });

  it('leave a uri without any as it is', () => {
    const text = 'ib://localhost/sync?uid=master&account=0&tws=master.tws';
    assert.equal(identityOf(parseUri(text)), text);
    assert.equal(maskedUri(parseUri(text)), text);
  });
});

describe('maskedArguments()', () => {
  it('hides what follows a secret key, joined or apart', () => {
    assert.deepEqual(
      maskedArguments(['tws', 'username=me', 'password=two', '--token', 'x', '--api-key=y', '-v']),
      ['tws', 'username=me', 'password=***', '--token', '***', '--api-key=***', '-v'],
    );
  });
});
