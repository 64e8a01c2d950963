import { assert } from 'chai';
import { type Fingerprint, likeness } from '../../src/spec/fingerprint.ts';

const of = (parts: Partial<Fingerprint>): Fingerprint => ({
  cmdline: [],
  listen: [],
  established: [],
  udp: [],
  files: [],
  ...parts,
});

describe('likeness()', () => {
  const tws = of({ cmdline: ['tws', 'a=1'], listen: ['0.0.0.0:9090'], files: ['/a', '/b'] });

  it('is 1 for what is identical', () => assert.equal(likeness(tws, tws), 1));

  it('is -1 for what has nothing in common', () => {
    assert.equal(likeness(tws, of({ cmdline: ['other'], listen: ['1.1.1.1:1'], files: ['/c'] })), -1);
  });

  it('weighs the parts: same command line and listeners, other files', () => {
    assert.closeTo(likeness(tws, of({ ...tws, files: ['/c', '/d'] })), 0.4, 1e-9);
  });

  it('leaves out parts that neither has', () => {
    assert.equal(likeness(of({ cmdline: ['x'] }), of({ cmdline: ['x'] })), 1);
  });

  it('counts entries as often as they come', () => {
    assert.closeTo(likeness(of({ files: ['/a', '/a'] }), of({ files: ['/a'] })), 1 / 3, 1e-9);
  });

  it('lets datagram sockets decide nothing', () => {
    assert.equal(likeness(of({ cmdline: ['x'], udp: ['a'] }), of({ cmdline: ['x'], udp: ['b'] })), 1);
  });
});
