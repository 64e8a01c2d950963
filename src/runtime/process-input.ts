// Process input: what the topology, or the uri of a workspace's process, gives to a Node program. There may be secrets in it, so
// that it is taken out of the environment before the program could hand that on.
import { IpcError, messageOf } from '../errors.ts';
import type { JsonValue } from '../spec/value.ts';

const variable = 'ACTOR_IPC_INPUT';
/** The same for all copies of this package in a process. */
const place = Symbol.for('actor-ipc.input');

/** Moves the input from the environment to where `processInput` finds it. */
export function takeInput(): void {
  const text = process.env[variable];
  delete process.env[variable];
  if (text !== undefined) (globalThis as { [place]?: string })[place] = text;
}

/**
 * What a supervisor gives this program: the `input` of its topology, or the query of its uri as texts by key.
 * @returns undefined if it gives nothing, or none has started this program.
 * @throws {IpcError} ERR_OPTIONS_INVALID if what stands in the environment is no JSON.
 */
export function processInput<T = JsonValue>(): T | undefined {
  takeInput();
  const text = (globalThis as { [place]?: string })[place];
  if (text === undefined) return undefined;
  try {
    return JSON.parse(text) as T;
  } catch (error) {
    throw IpcError.from(error, 'ERR_OPTIONS_INVALID', variable, messageOf(error));
  }
}
