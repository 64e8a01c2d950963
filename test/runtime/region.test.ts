// The regions of a runtime, whose attachments are actors: the log says what becomes of them.
import { assert } from 'chai';
import { Runtime } from '../../src/runtime/program.ts';
import { type TemporaryFolder, temporaryFolder } from '../support/temporary-folder.ts';
import { waitUntil } from '../support/wait-until.ts';

describe('the region of a runtime', () => {
  let folder: TemporaryFolder;
  let runtime: Runtime;
  let said: [level: string, message: string][];

  beforeEach(() => {
    folder = temporaryFolder();
    said = [];
    const note = (level: string) => (_: object, message: string) => void said.push([level, message]);
    const log = { debug: note('debug'), info: note('info'), warn: note('warn'), error: note('error') };
    runtime = new Runtime({ runDirectory: folder.path, log });
  });
  afterEach(async () => {
    await runtime.stop();
    folder[Symbol.dispose]();
  });

  it('tells when it is attached and when it is closed', async () => {
    const region = await runtime.region('market', { bytes: 100_000 });
    await region.close();
    await waitUntil('both lines', () => said.length === 2);
    assert.deepEqual(said, [
      ['debug', 'region market: attached'],
      ['debug', 'region market: closed'],
    ]);
  });

  it('warns when it is taken away, and ends its actor', async () => {
    await runtime.region('market', { bytes: 100_000 });
    await runtime.region('market', { bytes: 100_000, takeOver: true });
    await waitUntil('a warning', () => said.some(([level]) => level === 'warn'));
    const [, warning] = said.find(([level]) => level === 'warn')!;
    assert.match(warning, /^region market can be used no more: .*created anew/);
  });

  it('rejects with what kept it from being attached, which no log hides', async () => {
    const error = await runtime.region('market', { timeoutMs: 5 }).catch((reason: unknown) => reason);
    assert.propertyVal(error, 'code', 'ERR_REGION_MISSING');
    await waitUntil('a line', () => said.length === 1);
    assert.match(said[0]![1], /^region market: not attached: /);
    const wrong = await runtime.region('no name', {}).catch((reason: unknown) => reason);
    assert.instanceOf(wrong, TypeError);
    const abort = AbortSignal.abort(new Error('enough'));
    const given = await runtime.region('market', { signal: abort }).catch((reason: unknown) => reason);
    assert.propertyVal(given, 'message', 'enough');
  });
});
