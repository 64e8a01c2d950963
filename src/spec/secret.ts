// Secrets: which values are never shown, stored in the clear or made part of a name.
import type { JsonValue } from './value.ts';

const secretKey = /(?:^|[._-])(?:password|passwd|secret|token|key)$/i;

/** What stands where a secret was. */
export const stars = '***';

/** Whether the value of that key is a secret: `password`, `passwd`, `secret`, `token`, `key`, and `api_key` and the like. */
export function isSecretKey(key: string): boolean {
  return secretKey.test(key);
}

/** A command line as it may be shown: `***` for what follows a secret key, as `key=value` or as the next argument. */
export function maskedArguments(args: readonly string[]): string[] {
  return args.map((arg, i) => {
    const before = args[i - 1];
    if (before?.startsWith('-') && !before.includes('=') && !arg.startsWith('-') && isSecretKey(before))
      return stars;
    const at = arg.indexOf('=');
    return at > 0 && isSecretKey(arg.slice(0, at)) ? `${arg.slice(0, at)}=${stars}` : arg;
  });
}

/** The secrets of a command line by the keys before them, as `revealedArguments` needs them to put them back. */
export function secretsOfArguments(args: readonly string[]): Record<string, string> {
  const secrets: Record<string, string> = {};
  for (const [i, arg] of maskedArguments(args).entries()) {
    if (arg === args[i]) continue;
    const key = arg === stars ? args[i - 1]! : arg.slice(0, arg.indexOf('='));
    secrets[key] = arg === stars ? args[i]! : args[i]!.slice(key.length + 1);
  }
  return secrets;
}

/** A masked command line with its secrets; what has none of these keys stays masked. */
export function revealedArguments(
  args: readonly string[],
  secrets: Readonly<Record<string, string>>,
): string[] {
  return args.map((arg, i) => {
    const key = arg === stars ? (args[i - 1] ?? '') : arg.endsWith(`=${stars}`) ? arg.slice(0, -4) : '';
    if (key === '' || !Object.hasOwn(secrets, key)) return arg;
    return arg === stars ? secrets[key]! : `${key}=${secrets[key]}`;
  });
}

/** A map with its secrets; anything else stays as it is. */
export function revealedValue(value: JsonValue, secrets: Readonly<Record<string, string>>): JsonValue {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, text]) => [
      key,
      text === stars && Object.hasOwn(secrets, key) ? secrets[key]! : text,
    ]),
  );
}
