// Secrets: which values are never shown, stored in the clear or made part of a name.

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
