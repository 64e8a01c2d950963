// Progress: what is measured now, on a terminal's last line; nothing where nobody watches.

/** Shows the text instead of the last one; an empty text takes it away. */
export function showProgress(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`);
}
