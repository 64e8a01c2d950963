// Uris of workspace processes: `[direction]scheme://[user[:password]@]host[:port]/path?key=value#fragment`. Secrets in them
// are told apart here, once: a name, a file, a log or a listing gets the uri without them or with stars in their place.
import { IpcError } from '../errors.ts';
import { isSecretKey, stars } from './secret.ts';

export interface Uri {
  /** What was written. */
  readonly text: string;
  /** `<`, `>` or `|` before the scheme; empty for most. */
  readonly direction: '' | '<' | '>' | '|';
  readonly scheme: string;
  readonly user: string | undefined;
  readonly password: string | undefined;
  readonly host: string;
  readonly port: number | undefined;
  /** With its leading slash, decoded; empty if there is none. */
  readonly path: string;
  /** Pairs in the order in which they were written, decoded. */
  readonly query: readonly (readonly [key: string, value: string])[];
  /** The same as arguments of a command line: `key=value`, or `key` alone where no value was written. */
  readonly words: readonly string[];
  readonly fragment: string | undefined;
}

const uriPattern =
  /^(?<direction>[<>|]?)(?<scheme>[a-z][a-z0-9+.-]*):\/\/(?:(?<user>[^:@/?#]*)(?::(?<password>[^@/?#]*))?@)?(?<host>\[[\da-z:.%_-]*\]|[^:/?#]*)(?::(?<port>\d{1,5}))?(?<path>\/[^?#]*)?(?:\?(?<query>[^#]*))?(?:#(?<fragment>.*))?$/i;

/** The longest uri that is taken. */
const uriLengthMax = 8_192;

/** @throws {IpcError} ERR_URI_INVALID. */
export function parseUri(text: string): Uri {
  const match = text.length <= uriLengthMax ? uriPattern.exec(text) : null;
  if (!match?.groups) throw invalid(text, 'it is not of the form scheme://host/path?key=value');
  const {
    direction = '',
    scheme,
    user,
    password,
    host = '',
    port,
    path = '',
    query,
    fragment,
  } = match.groups;
  if (port !== undefined && Number(port) > 65_535) throw invalid(text, `port ${port} is above 65535`);
  const pairs = (query ?? '').split('&').filter((pair) => pair !== '');
  return {
    text,
    direction: direction as Uri['direction'],
    scheme: scheme!.toLowerCase(),
    user: user === undefined ? undefined : decode(text, user),
    password: password === undefined ? undefined : decode(text, password),
    host,
    port: port === undefined ? undefined : Number(port),
    path: decode(text, path),
    query: pairs.map((pair) => pairOf(text, pair)),
    words: pairs.map((pair) => (pair.includes('=') ? pairOf(text, pair).join('=') : decode(text, pair))),
    fragment: fragment === undefined ? undefined : decode(text, fragment),
  };
}

/** The uri by which a process is named: without its password and the query pairs that are secrets. */
export function identityOf(uri: Uri): string {
  return rewritten(uri.text, '', () => undefined);
}

/** The uri as it may be shown: `***` for each secret. */
export function maskedUri(uri: Uri): string {
  return rewritten(uri.text, `:${stars}`, (key) => `${key}=${stars}`);
}

/** The query pairs that are secrets; the password of the user is one by the name `password`. */
export function secretsOf({ password, query }: Uri): Record<string, string> {
  const secrets = Object.fromEntries(query.filter(([key]) => isSecretKey(key)));
  return password === undefined ? secrets : { password, ...secrets };
}

function pairOf(text: string, pair: string): readonly [string, string] {
  const at = pair.indexOf('=');
  const [key, value] = at < 0 ? [pair, ''] : [pair.slice(0, at), pair.slice(at + 1)];
  return [decode(text, key), decode(text, value)];
}

/** The text with the password and the secret pairs replaced; everything else stays as it was written. */
function rewritten(text: string, password: string, secretPair: (key: string) => string | undefined): string {
  const [, head = '', query, tail = ''] = /^([^?#]*)(?:\?([^#]*))?(#.*)?$/s.exec(text) ?? [];
  const shown = head.replace(/^([^/]*:\/\/[^:@/]*):[^@/]*@/, `$1${password}@`);
  if (query === undefined) return shown + tail;
  const pairs = query.split('&').flatMap((pair) => {
    const key = pair.split('=', 1)[0]!;
    return isSecretKey(decodeOr(key)) ? (secretPair(key) ?? []) : pair;
  });
  return shown + (pairs.length > 0 ? `?${pairs.join('&')}` : '') + tail;
}

function decode(text: string, part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    throw invalid(text, 'a % in it is not followed by two hexadecimal digits');
  }
}

function decodeOr(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

function invalid(text: string, why: string): IpcError {
  // What could not be read may hold a secret anywhere behind the question mark.
  return IpcError.of(
    'ERR_URI_INVALID',
    rewritten(text.slice(0, 200), `:${stars}`, (key) => `${key}=${stars}`),
    why,
  );
}
