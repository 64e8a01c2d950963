import { spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { type AddressInfo, connect, createServer } from 'node:net';
import { assert } from 'chai';
import { IpcError } from '../../src/errors.ts';
import { takeFingerprint } from '../../src/workspace/fingerprint.ts';

describe('takeFingerprint()', () => {
  it('has exactly the documented keys', () => {
    assert.deepEqual(Object.keys(takeFingerprint(process.pid)), [
      'cmdline',
      'listen',
      'established',
      'udp',
      'files',
    ]);
  });

  it('finds listeners, the other ends of connections, datagram sockets and files', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    const server6 = createServer().listen(0, '::1');
    await Promise.all([once(server, 'listening'), once(server6, 'listening')]);
    const port = (server.address() as AddressInfo).port;
    const port6 = (server6.address() as AddressInfo).port;
    const client = connect(port, '127.0.0.1');
    const [accepted] = await once(server, 'connection');
    const datagrams = createSocket('udp4').bind(0, '127.0.0.1');
    await once(datagrams, 'listening');
    const file = openSync(import.meta.filename, 'r');
    try {
      const found = takeFingerprint(process.pid);
      assert.includeMembers([...found.listen], [`127.0.0.1:${port}`, `[::1]:${port6}`]);
      assert.includeMembers(
        [...found.established],
        [`127.0.0.1:${port}`, `127.0.0.1:${accepted.remotePort}`],
      );
      assert.include(found.udp, `127.0.0.1:${datagrams.address().port}`);
      assert.include(found.files, import.meta.filename);
    } finally {
      closeSync(file);
      datagrams.close();
      client.destroy();
      accepted.destroy();
      server.close();
      server6.close();
    }
  });

  it('lists all else while a socket waits to be closed', async () => {
    const server = createServer({ allowHalfOpen: true }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const port = (server.address() as AddressInfo).port;
    const client = connect(port, '127.0.0.1');
    const [accepted] = await once(server, 'connection');
    client.end();
    accepted.resume();
    await once(accepted, 'end');
    try {
      // The accepted end is in CLOSE_WAIT now.
      const found = takeFingerprint(process.pid);
      assert.include(found.listen, `127.0.0.1:${port}`);
      assert.isNotEmpty(found.cmdline);
    } finally {
      client.destroy();
      accepted.destroy();
      server.close();
    }
  });

  it('shows no secret of a command line', async () => {
    const child = spawn('sleep', ['60'], { argv0: 'password=geheim' });
    try {
      await once(child, 'spawn');
      assert.deepEqual(takeFingerprint(child.pid!).cmdline, ['password=***', '60']);
    } finally {
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
  });

  it('says which process could not be looked at', () => {
    assert.throws(() => takeFingerprint(4_194_305), IpcError, 'process 4194305');
  });
});
