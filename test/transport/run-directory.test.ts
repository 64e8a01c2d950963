import {
  chmodSync,
  closeSync,
  mkdirSync,
  openSync,
  readlinkSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { assert } from 'chai';
import { type ErrorCode, IpcError } from '../../src/errors.ts';
import { native } from '../../src/transport/native.ts';
import {
  appSocketPath,
  type Claim,
  claimApp,
  controlSocketPath,
  ensureRunDirectory,
  FileLock,
  treeDirectory,
} from '../../src/transport/run-directory.ts';
import { isOpen, openDescriptors } from '../support/descriptors.ts';
import { startFixture } from '../support/fixture.ts';
import { type TemporaryFolder, temporaryFolder } from '../support/temporary-folder.ts';

function assertThrows(call: () => unknown, code: ErrorCode, ...words: (string | RegExp)[]): void {
  try {
    call();
  } catch (error) {
    assert.instanceOf(error, IpcError);
    assert.propertyVal(error, 'code', code);
    for (const word of words)
      assert.match((error as Error).message, word instanceof RegExp ? word : literally(word));
    return;
  }
  assert.fail(`no ${code} was thrown`);
}

/** The lock, which is free. */
function taken(path: string): FileLock {
  const lock = FileLock.take(path);
  return lock instanceof FileLock ? lock : assert.fail(`process ${lock.holder} holds it`);
}

function literally(text: string): RegExp {
  return new RegExp(text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
}

describe('the run directory', () => {
  let folder: TemporaryFolder;

  beforeEach(() => {
    folder = temporaryFolder();
  });

  afterEach(() => folder[Symbol.dispose]());

  describe('ensureRunDirectory()', () => {
    it('creates a folder that only its owner can enter, and takes one that is there', () => {
      const path = join(folder.path, 'run');
      assert.equal(ensureRunDirectory(path), path);
      assert.equal(statSync(path).mode & 0o777, 0o700);
      writeFileSync(join(path, 'kept'), '');
      assert.equal(ensureRunDirectory(path), path);
      assert.isTrue(statSync(join(path, 'kept')).isFile());
    });

    it('refuses a folder that others may enter, and says what to set instead', () => {
      const path = join(folder.path, 'run');
      mkdirSync(path);
      for (const mode of [0o755, 0o710, 0o701, 0o770]) {
        chmodSync(path, mode);
        assertThrows(
          () => ensureRunDirectory(path),
          'ERR_RUN_DIRECTORY',
          path,
          'others may enter',
          'ACTOR_IPC_RUN_DIR',
        );
      }
    });

    it('refuses a link or a file in its place', () => {
      const real = join(folder.path, 'real');
      const link = join(folder.path, 'link');
      const file = join(folder.path, 'file');
      mkdirSync(real, { mode: 0o700 });
      symlinkSync(real, link);
      writeFileSync(file, '');
      for (const path of [link, file])
        assertThrows(() => ensureRunDirectory(path), 'ERR_RUN_DIRECTORY', path, 'a link or a file');
    });

    it('says what the kernel says where its parent is missing', () => {
      const path = join(folder.path, 'none/run');
      assertThrows(() => ensureRunDirectory(path), 'ERR_RUN_DIRECTORY', path, 'No such file or directory');
    });
  });

  describe('the names in a run directory', () => {
    it('are the same for the same thing, and others for others', () => {
      const names = [
        appSocketPath('/run', 'u', 'a'),
        appSocketPath('/run', 'u', 'b'),
        appSocketPath('/run', 'v', 'a'),
        treeDirectory('/run', 'one'),
        treeDirectory('/run', 'two'),
        controlSocketPath('/run'),
      ];
      assert.equal(new Set(names).size, names.length);
      assert.equal(appSocketPath('/run', 'u', 'a'), names[0]);
      assert.equal(treeDirectory('/run', 'one'), names[3]);
    });

    it('are short however long what they stand for is, and stay within their folder', () => {
      for (const text of ['a', 'x'.repeat(5000), '../../etc', 'é漢/😀', '']) {
        for (const path of [appSocketPath('/run', text, text), treeDirectory('/run', text)]) {
          assert.match(path, /^\/run\/[a-z0-9-]+(\.sock)?$/);
          assert.isAtMost(path.length, 40);
        }
      }
    });
  });

  describe('FileLock', () => {
    it('is taken once, and names its holder to the others, until it is released', () => {
      const path = join(folder.path, 'lock');
      const lock = taken(path);
      assert.deepEqual(FileLock.take(path), { holder: process.pid });
      lock.release();
      taken(path).release();
    });

    it('leaves no descriptor behind when it is not given', () => {
      const path = join(folder.path, 'lock');
      const lock = taken(path);
      const before = openDescriptors().size;
      for (let i = 0; i < 10; i++) FileLock.take(path);
      assert.equal(openDescriptors().size, before);
      lock.release();
      assert.equal(openDescriptors().size, before - 1);
    });

    it('releases once: a second release closes nothing that has been opened since', () => {
      const lock = taken(join(folder.path, 'lock'));
      lock.release();
      // Takes the number that has become free.
      const other = openSync('/dev/null', 'r');
      lock.release();
      const open = isOpen(other);
      if (open) closeSync(other);
      assert.isTrue(open);
    });

    it('is not taken through a link', () => {
      const path = join(folder.path, 'lock');
      symlinkSync(join(folder.path, 'elsewhere'), path);
      assertThrows(() => FileLock.take(path), 'ERR_RUN_DIRECTORY', path, 'a link');
    });
  });

  describe('claimApp()', () => {
    function client() {
      return new (native().Socket)(appSocketPath(folder.path, 'u', 'app'));
    }

    /** The next connection to a claim. */
    function connection({ listener }: Claim): Promise<number> {
      return new Promise((resolve) => listener.listen(resolve));
    }

    it('listens where clients of the app connect, for the owner alone', async () => {
      const claim = claimApp(folder.path, 'u', 'app');
      assert.equal(statSync(appSocketPath(folder.path, 'u', 'app')).mode & 0o777, 0o600);
      const accepted = connection(claim);
      client().close();
      native().closeFd(await accepted);
      claim.release();
    });

    it('lets clients wait that connect before anybody accepts', async () => {
      const claim = claimApp(folder.path, 'u', 'app');
      const waiting = Array.from({ length: 100 }, client);
      let accepted = 0;
      await new Promise<void>((resolve) => {
        claim.listener.listen((fd) => {
          native().closeFd(fd);
          if (++accepted === waiting.length) resolve();
        });
      });
      for (const one of waiting) one.close();
      claim.release();
    });

    it('refuses a second server of the same app, and names the first', () => {
      const claim = claimApp(folder.path, 'u', 'app');
      assertThrows(
        () => claimApp(folder.path, 'u', 'app'),
        'ERR_APP_ALREADY_SERVED',
        'app',
        String(process.pid),
      );
      const other = claimApp(folder.path, 'u', 'another');
      const same = claimApp(folder.path, 'v', 'app');
      for (const each of [claim, other, same]) each.release();
    });

    it('leaves the first server undisturbed when a second is refused', async () => {
      const claim = claimApp(folder.path, 'u', 'app');
      assertThrows(() => claimApp(folder.path, 'u', 'app'), 'ERR_APP_ALREADY_SERVED');
      const accepted = connection(claim);
      client().close();
      native().closeFd(await accepted);
      claim.release();
    });

    it('gives the app to another once it is released, and answers nobody in between', () => {
      const before = openDescriptors().size;
      const claim = claimApp(folder.path, 'u', 'app');
      claim.release();
      assert.equal(openDescriptors().size, before);
      assert.throws(client, /refused/);
      claimApp(folder.path, 'u', 'app').release();
    });

    it('gives the app to another once its server has been killed, and names it while it lives', async () => {
      using server = startFixture('transport/claims.ts', [folder.path, 'u', 'app']);
      await new Promise((resolve) => server.child.stdout!.once('data', resolve));
      const refused = () => claimApp(folder.path, 'u', 'app');
      assertThrows(refused, 'ERR_APP_ALREADY_SERVED', String(server.child.pid));
      server.child.kill('SIGKILL');
      await server.end;
      const claim = claimApp(folder.path, 'u', 'app');
      const accepted = connection(claim);
      client().close();
      native().closeFd(await accepted);
      claim.release();
    });

    it('works in a folder whose path is longer than the address of a socket', async () => {
      let deep = folder.path;
      while (deep.length < 150) deep = ensureRunDirectory(join(deep, 'a-folder-with-a-long-name'));
      const claim = claimApp(deep, 'u', 'app');
      const accepted = connection(claim);
      const far = new (native().Socket)(appSocketPath(deep, 'u', 'app'));
      native().closeFd(await accepted);
      far.close();
      claim.release();
    });

    it('lets the app go when it can not listen, and says why', () => {
      const path = appSocketPath(folder.path, 'u', 'app');
      mkdirSync(path);
      const before = openDescriptors().size;
      assertThrows(() => claimApp(folder.path, 'u', 'app'), 'ERR_SYSTEM', 'listening for app app');
      assert.equal(openDescriptors().size, before);
      taken(`${path}.lock`).release();
    });

    it('refuses a folder that is not there', () => {
      const missing = join(folder.path, 'none');
      assertThrows(() => claimApp(missing, 'u', 'app'), 'ERR_RUN_DIRECTORY', missing);
    });

    it('releases once: a second release closes nothing that has been opened since', () => {
      const claim = claimApp(folder.path, 'u', 'app');
      claim.release();
      const others = [openSync('/dev/null', 'r'), openSync('/dev/null', 'r'), openSync('/dev/null', 'r')];
      claim.release();
      const left = others.filter((fd) => isOpen(fd) && readlinkSync(`/proc/self/fd/${fd}`) === '/dev/null');
      for (const fd of left) closeSync(fd);
      assert.deepEqual(left, others);
    });
  });
});
