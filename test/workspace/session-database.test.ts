import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { assert } from 'chai';
import sqlite from 'node-sqlite3-wasm';
import { IpcError } from '../../src/errors.ts';
import { SessionDatabase } from '../../src/workspace/session-database.ts';
import { folderOfEachTest } from '../support/temporary-folder.ts';

describe('the session database', () => {
  const folder = folderOfEachTest();
  const path = () => join(folder(), 'session.db');

  it('remembers what a process is and where it runs', () => {
    const database = new SessionDatabase(path());
    database.add({ name: 'calm-sea', alias: 'm', uri: 'exec://h/p' });
    database.setRunning('calm-sea', { pid: 12, startTicks: 34, bootId: 'b' });
    database.setState('calm-sea', 'operative');
    database.close();
    const again = new SessionDatabase(path());
    const row = {
      name: 'calm-sea',
      alias: 'm',
      uri: 'exec://h/p',
      state: 'operative',
      pid: 12,
      startTicks: 34,
      bootId: 'b',
    };
    assert.deepEqual({ ...again.find('m')! }, row);
    assert.deepEqual({ ...again.find('calm-sea')! }, row);
    assert.isUndefined(again.find('nobody'));
    again.setRunning('calm-sea', null);
    assert.isNull(again.find('m')!.pid);
    assert.equal(again.find('m')!.state, 'operative');
    again.close();
  });

  it('has each alias once', () => {
    const database = new SessionDatabase(path());
    database.add({ name: 'a', alias: 'm', uri: 'exec://h/p' });
    assert.throws(() => database.add({ name: 'b', alias: 'm', uri: 'exec://h/q' }), /UNIQUE/);
    assert.lengthOf(database.processes(), 1);
    database.close();
  });

  it('keeps the latest of what has happened', () => {
    const database = new SessionDatabase(path(), 20);
    const entry = { name: 'a', what: 'exited', pid: 1, exit: 'code 1' } as const;
    for (let epoch = 1; epoch <= 48; epoch++) database.note({ ...entry, atMs: epoch, epoch });
    database.note({ ...entry, name: 'b', atMs: 1, epoch: 1 });
    const kept = database.history('a', 5_000);
    assert.lengthOf(kept, 20);
    assert.deepInclude(kept[0], { epoch: 48, what: 'exited', exit: 'code 1' });
    assert.lengthOf(database.history('b'), 1);
    database.close();
  });

  it('opens what a killed supervisor has left locked', () => {
    new SessionDatabase(path()).close();
    mkdirSync(`${path()}.lock`);
    const database = new SessionDatabase(path());
    database.add({ name: 'a', alias: null, uri: 'exec://h/p' });
    assert.lengthOf(database.processes(), 1);
    database.close();
  });

  it('refuses what is no database', () => {
    writeFileSync(path(), 'nonsense '.repeat(1000));
    assert.throws(() => new SessionDatabase(path()), IpcError, 'not a database');
  });

  it('refuses the file of a later release', () => {
    const later = new sqlite.Database(path());
    later.exec('PRAGMA user_version = 99');
    later.close();
    assert.throws(() => new SessionDatabase(path()), IpcError, 'later release');
  });
});
