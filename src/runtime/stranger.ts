// Stranger: the one process of this machine that looks like a saved fingerprint, and is none of ours.
import { IpcError } from '../errors.ts';
import { readFingerprint } from '../workspace/fingerprint-file.ts';
import { processesLike } from '../workspace/fingerprint-search.ts';

/** The more numbers a message names, the less they tell. */
const shownMax = 10;

/**
 * @param what is asked for, for the message.
 * @param without these, and all that descend from them.
 * @throws {IpcError} ERR_REFUSED if there is none, or more than one; ERR_WORKSPACE_FILE.
 */
export function strangerLike(what: string, file: string, without: readonly number[]): number {
  const refused = (why: string) => IpcError.of('ERR_REFUSED', what, why);
  const likely = processesLike(readFingerprint(file), without);
  const [best] = likely;
  if (!best) throw refused(`no process looks like ${file}`);
  const equal = likely.filter(({ likeness }) => likeness === best.likeness).map(({ pid }) => pid);
  if (equal.length > 1)
    throw refused(
      `processes ${equal.slice(0, shownMax).join(', ')} look equally like ${file}; name one by --pid`,
    );
  return best.pid;
}
