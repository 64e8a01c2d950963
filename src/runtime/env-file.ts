// Env file: variables for a topology, beside it or where somebody says.
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { parseEnv } from 'node:util';
import { IpcError } from '../errors.ts';

/**
 * Adds the variables of a file to this process; those that are set already win.
 * @param named must exist; default: `.env` beside the topology, if there is one.
 * @throws {IpcError} ERR_TOPOLOGY_INVALID if it can't be read.
 */
export function loadEnvFile(topology: string, named: string | undefined): void {
  const file = named ?? join(dirname(topology), '.env');
  if (named === undefined && !existsSync(file)) return;
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw IpcError.from(error, 'ERR_TOPOLOGY_INVALID', file, 'it can not be read as a file of variables');
  }
  for (const [name, value] of Object.entries(parseEnv(text)))
    if (value !== undefined) process.env[name] ??= value;
}
