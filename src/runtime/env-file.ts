// Env file: variables for a topology, beside it or where somebody says.
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { parseEnv } from 'node:util';
import { IpcError } from '../errors.ts';

export interface EnvFile {
  readonly path: string;
  /**
   * Reads it again. What it has set is as it says now; what was set elsewhere still wins.
   * @returns the names of what is another one now.
   * @throws {IpcError} ERR_TOPOLOGY_INVALID if it can't be read; nothing has changed then.
   */
  reload(): string[];
}

/**
 * Adds the variables of a file to this process; those that are set already win.
 * @param named must exist; default: `.env` beside the topology, if there is one.
 * @throws {IpcError} ERR_TOPOLOGY_INVALID if it can't be read.
 */
export function loadEnvFile(topology: string, named: string | undefined): EnvFile | undefined {
  const path = resolve(named ?? join(dirname(topology), '.env'));
  if (named === undefined && !existsSync(path)) return undefined;
  const own = new Set<string>();
  const reload = () => {
    const next = variablesIn(path);
    const changed: string[] = [];
    for (const name of own)
      if (next[name] === undefined) {
        delete process.env[name];
        own.delete(name);
        changed.push(name);
      }
    for (const [name, value] of Object.entries(next)) {
      if (value === undefined || (name in process.env && !own.has(name))) continue;
      own.add(name);
      if (process.env[name] === value) continue;
      process.env[name] = value;
      changed.push(name);
    }
    return changed;
  };
  reload();
  return { path, reload };
}

function variablesIn(path: string): NodeJS.Dict<string> {
  try {
    return parseEnv(readFileSync(path, 'utf8'));
  } catch (error) {
    throw IpcError.from(error, 'ERR_TOPOLOGY_INVALID', path, 'it can not be read as a file of variables');
  }
}
