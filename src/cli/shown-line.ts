// Shown line: what may reach a person's terminal of a line that somebody else wrote. Colors may; whatever moves the cursor,
// clears, asks the terminal something or renames its window may not.
// biome-ignore-all lint/suspicious/noControlCharactersInRegex: they are what is looked for.

/** Strings to the terminal (OSC, DCS, SOS, PM, APC), also those without an end; control sequences; single escapes. */
const sequence =
  /(?:\x1b[\]PX^_]|[\x9d\x90\x98\x9e\x9f])[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c|$)|(?:\x1b\[|\x9b)[0-?]*[ -/]*(?:[@-~]|$)|\x1b[ -/]*[0-~]?/g;
const color = /^\x1b\[[\d;:]*m$/;
/** What is left of controls, and what turns the direction of text around. */
const control = /[\x00-\x08\x0a-\x1a\x1c-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]|\x1b(?!\[[\d;:]*m)/g;
const tabStop = 8;
const reset = '\x1b[0m';

/** @param colored whether colors may stay. */
export function shownLine(line: string, colored: boolean): string {
  // A line that was written over itself shows what it was last, as progress bars do.
  const drawn = line.replace(/\r+$/, '');
  const last = drawn.slice(drawn.lastIndexOf('\r') + 1);
  let painted = false;
  const text = last
    .replace(sequence, (found) => {
      if (!colored || !color.test(found)) return '';
      painted = true;
      return found;
    })
    .replace(control, '');
  const spaced = text.includes('\t') ? withSpaces(text) : text;
  return painted ? `${spaced}${reset}` : spaced;
}

/** Lines that came as one text; each keeps its end. */
export function shownText(text: string, colored: boolean): string {
  return text
    .split('\n')
    .map((line) => shownLine(line, colored))
    .join('\n');
}

function withSpaces(text: string): string {
  const [first = '', ...parts] = text.split('\t');
  return parts.reduce((line, part) => line + ' '.repeat(tabStop - (line.length % tabStop)) + part, first);
}
