// Launch: what a process of a unit is started with, and why it could not be.
import { readFileSync } from 'node:fs';
import { constants } from 'node:os';
import { getSystemErrorName } from 'node:util';
import { IpcError } from '../errors.ts';
import type { ExecChild, NodeChild } from '../spec/child.ts';
import { revealedArguments, revealedValue } from '../spec/secret.ts';
import type { EnvValue, SecretRef } from '../spec/value.ts';
import { readSecrets } from '../workspace/process-file.ts';
import { controlFdInChild } from './minder.ts';
import type { Tree } from './tree.ts';

/** What a start can never get over, with the exit code that a shell gives for it. */
export const startsNever = new Map([
  [constants.errno.ENOENT, 127],
  [constants.errno.ENOTDIR, 127],
  [constants.errno.EACCES, 126],
  [constants.errno.ENOEXEC, 126],
]);

/** How what a topology starts for people is installed. */
const installs: Readonly<Record<string, string>> = { 'nats-server': 'apt-get install -y nats-server' };

export function whyNotStarted(errno: number, file: string): string {
  const name = errorName(errno);
  const line = Object.hasOwn(installs, file) ? ` with "${installs[file]}"` : '';
  if (startsNever.get(errno) === 127)
    return `there is no such program (${name}); install it${line}, or name it by its path`;
  if (startsNever.get(errno) === 126)
    return `it may not be executed (${name}); see its mode and its first line`;
  return name;
}

function errorName(errno: number): string {
  try {
    return getSystemErrorName(-errno);
  } catch {
    return `error ${errno}`;
  }
}

export function commandOf(
  tree: Tree,
  child: NodeChild | ExecChild,
): { file: string; args: readonly string[] } {
  const args = revealedArguments(child.args, secretsOf(child));
  if (child.kind === 'exec') return { file: child.file, args };
  return { file: process.execPath, args: [...tree.nodeArgs(child.file), child.file, ...args] };
}

export function envOf(
  { tree, unit, epoch }: { tree: Tree; unit: string; epoch: number },
  child: NodeChild | ExecChild,
  standby: boolean,
): NodeJS.ProcessEnv {
  // Whom our own supervisor told this is ourselves.
  const { NOTIFY_SOCKET: _, ...own } = process.env;
  // A secret is for those alone who name it.
  for (const name of tree.withheld()) delete own[name];
  const env = {
    ...own,
    ...tree.env,
    ACTOR_IPC_UNIT: unit,
    ACTOR_IPC_EPOCH: String(epoch),
    ...resolved(child.env),
  };
  if (child.kind === 'exec') return env;
  return {
    ...env,
    ACTOR_IPC_APP: child.app,
    ACTOR_IPC_CONTROL_FD: String(controlFdInChild),
    ...(child.input !== undefined && {
      ACTOR_IPC_INPUT: JSON.stringify(revealedValue(child.input, secretsOf(child))),
    }),
    ...(standby && { ACTOR_IPC_STANDBY: '1' }),
    ...secretsEnv([...resolvedSecrets(child.env), ...Object.values(secretsOf(child))]),
  };
}

/** What the child shows to nobody who looks on. */
function secretsEnv(secrets: readonly string[]): NodeJS.ProcessEnv {
  return secrets.length === 0 ? {} : { ACTOR_IPC_SECRETS: JSON.stringify(secrets) };
}

function resolvedSecrets(env: Readonly<Record<string, EnvValue>>): string[] {
  return Object.values(env).flatMap((value) => (typeof value === 'string' ? [] : secretOf(value)));
}

/** For a program that looks at a unit: what that itself gets, but nothing that would make it a part of the tree. */
export function probeEnvOf(run: { tree: Tree; unit: string; epoch: number }, child: NodeChild | ExecChild) {
  const { ACTOR_IPC_CONTROL_FD: _, ...env } = envOf(run, child, false);
  return env;
}

/** Read at each start, and kept nowhere. @throws {IpcError} ERR_WORKSPACE_FILE. */
function secretsOf({ secrets }: NodeChild | ExecChild): Readonly<Record<string, string>> {
  return secrets === undefined ? {} : readSecrets(secrets);
}

/** @throws {IpcError} ERR_SECRET_MISSING. */
function resolved(env: Readonly<Record<string, EnvValue>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(env).map(([name, value]) => [name, typeof value === 'string' ? value : secretOf(value)]),
  );
}

function secretOf(ref: SecretRef): string {
  if ('secret' in ref) {
    const value = process.env[ref.secret];
    if (value === undefined) throw IpcError.of('ERR_SECRET_MISSING', ref.secret, 'no variable has that name');
    return value;
  }
  try {
    return readFileSync(ref.secretFile, 'utf8').replace(/\r?\n$/, '');
  } catch (error) {
    const { code = 'unknown' } = error as NodeJS.ErrnoException;
    throw IpcError.of('ERR_SECRET_MISSING', ref.secretFile, `the file can't be read (${code})`);
  }
}
