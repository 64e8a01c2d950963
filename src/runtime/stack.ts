// Stack: what a person needs of an error's stack.

/** This package's own code, which is never the place of somebody else's mistake. */
const ownFolder = new URL('..', import.meta.url).pathname;

/** Where in somebody's own file an error was thrown, as `file:line:column`. */
export function placeOf(error: unknown): string | undefined {
  const stack = error instanceof Error ? (error.stack ?? '') : '';
  for (const line of stack.split('\n')) {
    const place = /^\s*at (?:.*\()?((?:file:\/\/)?\/[^)]+:\d+:\d+)\)?$/.exec(line)?.[1];
    const isOwn = place?.includes(ownFolder) || place?.includes('/node_modules/');
    if (place !== undefined && !isOwn) return place.replace('file://', '');
  }
  return undefined;
}
