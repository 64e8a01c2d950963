// Relay NATS file: the options of `connectNats` as a file of JSON, so that every node of a role and `doctor` read the same. Files that it
// names stand beside it. Every mistake is told at once.
import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { z } from 'zod';
import { IpcError, messageOf } from '../errors.ts';
import { nearest } from '../names.ts';
import { relayRoles } from './relay.ts';
import type { NatsOptions } from './relay-nats.ts';

const text = z.string().min(1);
const schema = z.strictObject({
  cluster: text.regex(/^[A-Za-z0-9_-]+$/, 'has letters, digits, "_" and "-"').optional(),
  role: z.enum(relayRoles).optional(),
  servers: z
    .array(text.regex(/^(nats|tls):\/\/[^\s/]+$/, 'must be nats://host:port or tls://host:port'))
    .min(1, 'names no server'),
  replicas: z.int().min(1).max(5).optional(),
  timeoutMs: z.int().min(1).max(600_000).optional(),
  auth: z
    .union(
      [
        z.strictObject({ user: text, passwordFile: text }),
        z.strictObject({ tokenFile: text }),
        z.strictObject({ nkeySeedFile: text }),
      ],
      'must be { nkeySeedFile }, { tokenFile } or { user, passwordFile }; secrets stand in files',
    )
    .optional(),
  tls: z
    .strictObject({ ca: text, cert: text.optional(), key: text.optional(), serverName: text.optional() })
    .optional(),
});

/** What such a file says: all but the name of the node. */
export type NatsFile = Omit<NatsOptions, 'node' | 'expected'>;

/** @throws {IpcError} ERR_RELAY_CONFIG with one line for each mistake. */
export function readNatsFile(file: string): NatsFile {
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(file, 'utf8'));
  } catch (error) {
    throw IpcError.from(error, 'ERR_RELAY_CONFIG', file, messageOf(error));
  }
  const { success, data, error } = schema.safeParse(value);
  if (!success) throw IpcError.of('ERR_RELAY_CONFIG', file, error.issues.map(wordingOf).join('\n  '));
  const beside = (name: string) => resolve(dirname(file), name);
  const { auth, tls, ...rest } = data;
  return {
    ...rest,
    ...(auth && {
      auth:
        'user' in auth
          ? { ...auth, passwordFile: beside(auth.passwordFile) }
          : 'tokenFile' in auth
            ? { tokenFile: beside(auth.tokenFile) }
            : { nkeySeedFile: beside(auth.nkeySeedFile) },
    }),
    ...(tls && {
      tls: {
        ...(tls.serverName !== undefined && { serverName: tls.serverName }),
        ca: beside(tls.ca),
        ...(tls.cert !== undefined && { cert: beside(tls.cert) }),
        ...(tls.key !== undefined && { key: beside(tls.key) }),
      },
    }),
  };
}

function wordingOf(issue: z.core.$ZodIssue): string {
  const at = issue.path.map(String).join('.');
  if (issue.code !== 'unrecognized_keys') return `${at === '' ? 'the file' : at}: ${issue.message}`;
  const known = Object.keys(at === 'tls' ? { ca: 1, cert: 1, key: 1, serverName: 1 } : schema.shape);
  return issue.keys
    .map((key) => {
      const near = nearest(key, known);
      return `${[...issue.path, key].join('.')}: unknown key${near === undefined ? '' : ` (did you mean ${near}?)`}; allowed: ${known.join(', ')}`;
    })
    .join('\n  ');
}
