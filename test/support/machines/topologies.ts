// Topologies: checks of descriptions whose files stand beside the test that describes them.
import { assert } from 'chai';
import { IpcError } from '../../../src/errors.ts';
import { checkTopology } from '../../../src/spec/topology-check.ts';

/** What is wrong with it, a line for each mistake. Fails if it is accepted. */
export function mistakesOf(exported: unknown, file: string): string[] {
  try {
    checkTopology(exported, file);
  } catch (error) {
    assert.instanceOf(error, IpcError);
    const { code, message } = error as IpcError;
    assert.equal(code, 'ERR_TOPOLOGY_INVALID');
    assert.isTrue(message.startsWith(`${file}: `), 'it names the file');
    return message.slice(file.length + 2).split('\n  ');
  }
  return assert.fail('it was accepted');
}
