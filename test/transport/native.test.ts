import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { assert } from 'chai';
import { IpcError } from '../../src/errors.ts';
import { lanesMax } from '../../src/spec/universe.ts';
import { segmentKind } from '../../src/transport/link.ts';
import {
  minderPath,
  type NativeDoorbell,
  native,
  nativeCode,
  requireKernel,
} from '../../src/transport/native.ts';
import { cppBuildTimeoutMs, cppTarget } from '../support/cpp-target.ts';
import { isOpen, openDescriptors } from '../support/descriptors.ts';
import { fixtureCommand, type ProgramOptions, startFixture, startProgram } from '../support/fixture.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { waitUntil } from '../support/wait-until.ts';

/** A module without types, since it runs before anything is installed. */
const { prebuildName } = (await import(new URL('../../scripts/prebuild-name.mjs', import.meta.url).href)) as {
  prebuildName(): string;
};

const addonPath = fileURLToPath(new URL('../../build/Release/actor_ipc.node', import.meta.url));

/** What a call of the addon throws. */
function thrownBy(call: () => unknown): unknown {
  try {
    call();
  } catch (error) {
    return error;
  }
  return assert.fail('nothing was thrown');
}

function codeOf(call: () => unknown): string | undefined {
  return nativeCode(thrownBy(call));
}

describe('requireKernel()', () => {
  let deny: string;
  let denyOnLoad: string;

  before('build what denies a system call', function () {
    this.timeout(cppBuildTimeoutMs);
    deny = cppTarget('actor_ipc_deny_syscall');
    denyOnLoad = cppTarget('actor_ipc_deny_on_load', 'libactor_ipc_deny_on_load.so');
  });

  async function answer(command: string, args: string[], options?: ProgramOptions) {
    using program = startProgram(command, args, options);
    const { code, stdout, stderr } = await program.end;
    assert.equal(code, 0, stderr);
    return JSON.parse(stdout) as { code?: string; message?: string };
  }

  function assertUnsupported(error: { code?: string; message?: string }, feature: string) {
    assert.equal(error.code, 'ERR_KERNEL_UNSUPPORTED');
    assert.match(
      error.message ?? '',
      new RegExp(`does not offer ${feature} \\(.*Function not implemented\\)`),
    );
  }

  it('is content with the kernel that runs this test', () => {
    assert.deepEqual(native().probe(), []);
    requireKernel();
  });

  for (const [call, feature] of [
    ['memfd_create', 'memfd'],
    ['pidfd_open', 'pidfd'],
  ] as const) {
    it(`names ${feature} where the kernel has no ${call}`, async () => {
      const command = fixtureCommand('transport/require-kernel.ts');
      assertUnsupported(await answer(deny, [call, ...command]), feature);
    });
  }

  it('names eventfd where the kernel has no eventfd2', async () => {
    // Node.js itself can't start without it, so it goes once Node.js runs.
    const [command, ...args] = fixtureCommand('transport/require-kernel.ts', [denyOnLoad]);
    const error = await answer(command, args, { env: { ACTOR_IPC_TEST_DENY: 'eventfd2' } });
    assertUnsupported(error, 'eventfd');
  });

  it('says nothing where only the tools of these tests are in the way', async () => {
    const [command, ...args] = fixtureCommand('transport/require-kernel.ts', [denyOnLoad]);
    assert.deepEqual(await answer(command, args), {});
  });
});

describe('native()', () => {
  /** The modules of the transport in a place without a build. */
  async function copied(folder: string): Promise<typeof import('../../src/transport/native.ts')> {
    const source = fileURLToPath(new URL('../../src', import.meta.url));
    mkdirSync(join(folder, 'src/transport'), { recursive: true });
    cpSync(join(source, 'errors.ts'), join(folder, 'src/errors.ts'));
    cpSync(join(source, 'transport/native.ts'), join(folder, 'src/transport/native.ts'));
    writeFileSync(join(folder, 'package.json'), '{ "type": "module" }');
    return await import(pathToFileURL(join(folder, 'src/transport/native.ts')).href);
  }

  function assertMissing(error: unknown, path: string) {
    assert.propertyVal(error, 'code', 'ERR_ADDON_MISSING');
    assert.include((error as Error).message, path);
    assert.include((error as Error).message, 'npm rebuild actor-ipc');
    assert.notInclude((error as Error).message, '\n');
  }

  it('says where it looked and how to build the addon, if there is none', async () => {
    using folder = temporaryFolder();
    const elsewhere = await copied(folder.path);
    const path = join(folder.path, 'build/Release/actor_ipc.node');
    assertMissing(thrownBy(elsewhere.native), path);
    assertMissing(thrownBy(elsewhere.requireKernel), path);
  });

  it('says the same of a file that is no addon', async () => {
    using folder = temporaryFolder();
    const path = join(folder.path, 'build/Release/actor_ipc.node');
    mkdirSync(join(folder.path, 'build/Release'), { recursive: true });
    writeFileSync(path, 'not a shared object');
    assertMissing(thrownBy((await copied(folder.path)).native), path);
  });

  it('finds the addon once it has been built, without a new start', async () => {
    using folder = temporaryFolder();
    const elsewhere = await copied(folder.path);
    assert.throws(elsewhere.native, /could not be loaded/);
    cpSync(addonPath, join(folder.path, 'build/Release/actor_ipc.node'), { recursive: true });
    assert.equal(elsewhere.native().layout.hash, native().layout.hash);
  });

  it('has as many lanes as the description of an app counts on', () => {
    assert.equal(native().layout.lanesMax, lanesMax);
  });

  it('takes a prebuild with its minder where nothing has been built, and a build before it', async () => {
    using folder = temporaryFolder();
    const elsewhere = await copied(folder.path);
    const prebuild = join(folder.path, 'prebuilds', prebuildName());
    cpSync(addonPath, join(prebuild, 'actor_ipc.node'), { recursive: true });
    assert.equal(elsewhere.native().layout.hash, native().layout.hash);
    assert.equal(elsewhere.minderPath(), join(prebuild, 'actor-ipc-minder'));

    using other = temporaryFolder();
    const build = join(other.path, 'build/Release');
    cpSync(prebuild, join(other.path, 'prebuilds', prebuildName()), { recursive: true });
    cpSync(addonPath, join(build, 'actor_ipc.node'), { recursive: true });
    assert.equal((await copied(other.path)).minderPath(), join(build, 'actor-ipc-minder'));
  });

  it('loads the addon once', () => {
    assert.strictEqual(native(), native());
  });

  it('puts the minder beside the addon', () => {
    assert.equal(minderPath(), join(addonPath, '../actor-ipc-minder'));
  });
});

describe('nativeCode()', () => {
  it('is the code of an error of the addon, whose errno stands beside it', () => {
    using folder = temporaryFolder();
    const error = thrownBy(() => new (native().Socket)(join(folder.path, 'none')));
    assert.equal(nativeCode(error), 'SYSTEM');
    assert.propertyVal(error, 'errno', 2);
    assert.match((error as Error).message, /^connect: No such file or directory$/);
  });

  it('is undefined for what the addon did not throw', () => {
    for (const error of [undefined, null, 'AGAIN', { code: 'AGAIN' }, new Error('AGAIN')])
      assert.isUndefined(nativeCode(error));
    assert.equal(nativeCode(IpcError.of('ERR_TIMEOUT', 'it', 1)), 'ERR_TIMEOUT');
  });
});

describe('a native Segment', () => {
  it('has empty views and no buffer once it is closed, and closes twice', () => {
    const segment = new (native().Segment)(segmentKind.session, [1024], 0);
    const words = new Int32Array(segment.buffer);
    const { fd } = segment;
    assert.isTrue(isOpen(fd));
    segment.close();
    segment.close();
    assert.equal(words.length, 0);
    assert.throws(() => segment.buffer, /closed/);
    assert.equal(segment.fd, -1);
    assert.equal(segment.bytes, 0);
    assert.isFalse(isOpen(fd));
  });

  it('stays mapped without its descriptor', () => {
    const segment = new (native().Segment)(segmentKind.session, [1024], 0);
    const { fd } = segment;
    segment.closeFile();
    segment.closeFile();
    assert.isFalse(isOpen(fd));
    assert.equal(new Int32Array(segment.buffer)[native().layout.parkOffset >> 2], 0);
    segment.close();
  });

  it('takes the descriptor that it is given, also if it refuses it', () => {
    const { Segment, dupFd } = native();
    const segment = new Segment(segmentKind.channel, [1024], 0);
    const refusals: [kind: number, bytes: number, max: number, code: string][] = [
      [segmentKind.session, segment.bytes, segment.bytes, 'BAD_LAYOUT'],
      [segmentKind.channel, segment.bytes + 4096, 1 << 20, 'BAD_SEGMENT'],
      [segmentKind.channel, segment.bytes, segment.bytes - 1, 'TOO_LARGE'],
    ];
    for (const [kind, bytes, max, code] of refusals) {
      const fd = dupFd(segment.fd);
      assert.equal(
        codeOf(() => new Segment(kind, fd, bytes, max)),
        code,
      );
      assert.isFalse(isOpen(fd));
    }
    segment.close();
  });

  it('refuses lanes that no ring can have, and sizes that are no numbers', () => {
    const { Segment } = native();
    for (const capacities of [[1000], [512], [2 ** 31], new Array(257).fill(1024)])
      assert.equal(
        codeOf(() => new Segment(segmentKind.session, capacities, 0)),
        'TOO_LARGE',
      );
    for (const position of [-1, 1.5, Number.NaN, 2 ** 32])
      assert.throws(() => new Segment(segmentKind.session, [1024], position), TypeError);
  });
});

/** Mappings of shared memory in this process. */
function mappings(): number {
  return readFileSync('/proc/self/maps', 'utf8').split('memfd:actor-ipc').length - 1;
}

describe('a window of a Segment', () => {
  const { Segment, closeWindow } = native();

  it('shows its range of the memory, and has a buffer of its own', () => {
    const segment = new Segment(segmentKind.session, [1024], 0);
    const [offset] = segment.rings as [number];
    const whole = new Uint8Array(segment.buffer);
    const windows = [segment.window(offset, 16), segment.window(offset, 16), segment.window(offset + 8, 8)];
    whole.set([1, 2, 3, 4, 5, 6, 7, 8, 9], offset);
    assert.deepEqual(
      windows.map((window) => new Uint8Array(window)[0]),
      [1, 1, 9],
    );
    assert.deepEqual(
      windows.map((window) => window.byteLength),
      [16, 16, 8],
    );
    for (const window of windows) closeWindow(window);
    segment.close();
  });

  it('turns its views empty when it is closed, and closes twice', () => {
    const segment = new Segment(segmentKind.session, [1024], 0);
    const window = segment.window(0, 128);
    const view = new Int32Array(window);
    assert.notEqual(view[0], 0);
    closeWindow(window);
    closeWindow(window);
    assert.isUndefined(view[0]);
    assert.equal(view.length, 0);
    assert.throws(() => Atomics.load(view, 0));
    assert.throws(() => new Uint8Array(window), TypeError);
    assert.throws(() => view.slice(), TypeError);
    segment.close();
  });

  it('of no bytes is an ordinary empty buffer', () => {
    const segment = new Segment(segmentKind.session, [1024], 0);
    const window = segment.window(segment.bytes, 0);
    assert.equal(window.byteLength, 0);
    closeWindow(window);
    segment.close();
  });

  it('is within its segment, and not of a closed one', () => {
    const segment = new Segment(segmentKind.session, [1024], 0);
    for (const [offset, bytes] of [
      [segment.bytes, 1],
      [1, segment.bytes],
      [2 ** 52, 1],
      [8, 2 ** 53 - 1],
    ] as const)
      assert.throws(() => segment.window(offset, bytes), RangeError);
    for (const wrong of [-1, 0.5, Number.NaN]) assert.throws(() => segment.window(wrong, 1), TypeError);
    segment.close();
    assert.throws(() => segment.window(0, 1), /closed/);
    assert.throws(() => closeWindow({} as ArrayBuffer), TypeError);
  });

  it('keeps the memory mapped after its segment was closed, until it is closed itself', async () => {
    const before = mappings();
    const segment = new Segment(segmentKind.session, [1024], 0);
    const window = segment.window(0, 128);
    const view = new Uint8Array(window);
    segment.close();
    assert.notEqual(view[0], 0);
    assert.equal(mappings(), before + 1);
    closeWindow(window);
    await waitUntil('the memory to be unmapped', () => mappings() === before);
  });

  it('costs nothing when many come and go', async () => {
    const before = mappings();
    const segment = new Segment(segmentKind.session, [1024], 0);
    for (let i = 0; i < 20_000; i++) closeWindow(segment.window((i % 16) * 64, 64));
    segment.close();
    await waitUntil('the memory to be unmapped', () => mappings() === before);
  });
});

describe('a Segment whose buffer was taken from it', () => {
  it('closes, and leaves the memory to the one who took it', () => {
    const { Segment, closeWindow } = native();
    const detached = new Segment(segmentKind.session, [1024], 0);
    closeWindow(detached.buffer);
    detached.close();
    const { transfer } = ArrayBuffer.prototype as { transfer?: () => ArrayBuffer };
    // Node.js 20 has no transfer.
    if (!transfer) return;
    const moved = new Segment(segmentKind.session, [1024], 0);
    const taken = transfer.call(moved.buffer);
    moved.close();
    assert.notEqual(new Uint8Array(taken)[0], 0);
  });
});

describe('the addon, used in every wrong way', () => {
  const calls = 10_000;

  for (const seed of [1, 2, 3, 4])
    it(`throws and never ends the process, in ${calls} calls at random (seed ${seed})`, async () => {
      using folder = temporaryFolder();
      const args = [addonPath, String(seed), String(calls), folder.path];
      using program = startFixture('transport/misuse.mjs', args);
      const { code, signal, stdout, stderr } = await program.end;
      assert.deepEqual({ code, signal }, { code: 0, signal: null }, stderr);
      const result = JSON.parse(stdout) as { calls: number; thrown: number };
      assert.equal(result.calls, calls);
      // Neither everything nor nothing is refused, or the calls would meet no state worth having.
      assert.isAbove(result.thrown, calls / 10);
      assert.isBelow(result.thrown, (calls * 9) / 10);
    });
});

describe('a native Doorbell', () => {
  it('refuses a bell that is no eventfd, and closes it', () => {
    const { Segment, Doorbell, dupFd } = native();
    const segment = new Segment(segmentKind.session, [1024], 0);
    const doorbell = new Doorbell(segment, 0);
    const fd = dupFd(segment.fd);
    assert.equal(
      codeOf(() => doorbell.adoptPeer(fd)),
      'BAD_PACKET',
    );
    assert.isFalse(isOpen(fd));
    doorbell.close();
    segment.close();
  });

  it('watches no word outside its segment, or off its alignment', () => {
    const { Segment, Doorbell } = native();
    const segment = new Segment(segmentKind.session, [1024], 0);
    const doorbell = new Doorbell(segment, 0);
    for (const offset of [2, segment.bytes - 2, segment.bytes, 2 ** 32 - 4])
      assert.throws(() => doorbell.watch(segment, offset, 0), RangeError);
    doorbell.close();
    segment.close();
  });

  /** How often a doorbell calls back that nobody rings. */
  async function callsOf(heard: (doorbell: NativeDoorbell, call: number) => boolean): Promise<number> {
    const { Segment, Doorbell } = native();
    const segment = new Segment(segmentKind.session, [1024], 0);
    const doorbell = new Doorbell(segment, 0);
    let calls = 0;
    doorbell.listen(() => heard(doorbell, ++calls));
    doorbell.again();
    // What is asked for comes in the next turn of the loop; these are more.
    for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate);
    doorbell.close();
    segment.close();
    return calls;
  }

  it('calls back in the next turn if it is asked to, or if the callback answers true', async () => {
    assert.equal(await callsOf(() => false), 1);
    assert.equal(await callsOf((_, call) => call < 3), 3);
  });

  it('calls back in the next turn if it is asked to by its own callback, or by what that has woken', async () => {
    const calls = await callsOf((doorbell, call) => {
      if (call === 1) doorbell.again();
      if (call === 2) queueMicrotask(() => doorbell.again());
      return false;
    });
    assert.equal(calls, 3);
  });

  it('keeps a watched word mapped after its segment was closed', async () => {
    const { Segment, Doorbell, dupFd } = native();
    const own = new Segment(segmentKind.session, [1024], 0);
    const watched = new Segment(segmentKind.session, [1024], 0);
    const doorbell = new Doorbell(own, 0);
    doorbell.watch(watched, native().layout.pulseOffset, 0);
    let calls = 0;
    doorbell.listen(() => {
      calls++;
      return false;
    });
    watched.close();
    const ringer = new Doorbell(own, 0);
    ringer.adoptPeer(dupFd(doorbell.fd));
    // It looks at the word each time it is rung; one that is unmapped would end this process.
    for (let i = 0; i < 10; i++) {
      ringer.ring();
      await new Promise(setImmediate);
    }
    assert.equal(calls, 0);
    for (const bell of [doorbell, ringer]) bell.close();
    own.close();
  });
});

describe('a native Process', () => {
  it('tells when a process has ended that was opened with its start ticks', async () => {
    using program = startProgram(process.execPath, ['-e', 'setInterval(() => {}, 1000)']);
    const pid = program.child.pid!;
    const opened = new (native().Process)(pid, native().startTicks(pid));
    assert.isFalse(opened.ended);
    const end = new Promise<void>((resolve) => opened.listen(resolve));
    // Its descriptor does not keep this process running; the program's pipes do.
    assert.isTrue(opened.signal(9));
    await end;
    assert.isTrue(opened.ended);
    await program.end;
    assert.isFalse(opened.signal(9));
    opened.close();
    opened.close();
  });

  it('is not another process with the same number', () => {
    const ticks = native().startTicks(process.pid);
    assert.equal(
      codeOf(() => new (native().Process)(process.pid, ticks + 1)),
      'GONE',
    );
  });
});

describe('the addon in worker threads', () => {
  const count = 8;

  for (const end of ['drain', 'exit', 'throw', 'terminate']) {
    it(`loads in ${count} at once and leaves nothing behind when they end without closing anything, by ${end}`, async () => {
      using folder = temporaryFolder();
      const args = [addonPath, String(count), end, folder.path];
      using program = startFixture('transport/addon-workers.mjs', args);
      const { code, signal, stdout, stderr } = await program.end;
      assert.deepEqual({ code, signal }, { code: 0, signal: null }, stderr);
      const { before, after, ended } = JSON.parse(stdout);
      assert.equal(ended, count);
      assert.equal(after, before);
    });
  }
});

describe('the addon', () => {
  it('closes what was never closed once nobody can reach it', async () => {
    const { Segment, Doorbell, Socket, Listener, Process, socketPair, startTicks } = native();
    using folder = temporaryFolder();
    const before = openDescriptors().size;
    (() => {
      for (let i = 0; i < 8; i++) {
        const segment = new Segment(segmentKind.session, [1024], 0);
        new Doorbell(segment, 0);
        for (const fd of socketPair()) new Socket(fd);
        new Listener(join(folder.path, `${i}.sock`), 0o600, 1);
        new Process(process.pid, startTicks(process.pid));
      }
    })();
    assert.isAbove(openDescriptors().size, before + 8 * 5);
    await waitUntil('all descriptors are closed', () => {
      // Garbage enough that the collector comes round.
      new Array(100_000).fill(() => undefined);
      return openDescriptors().size <= before;
    });
  });
});
