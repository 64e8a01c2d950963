// Prints what the units write: each line behind the unit's name, in a colour of its own.
import pc from 'picocolors';
import stringWidth from 'string-width';
import type { TreeOptions } from '../runtime/tree.ts';
import { fitted } from './grid.ts';
import { shownLine } from './shown-line.ts';

interface Settings {
  /** Those that are known by now. */
  readonly units: readonly string[];
  readonly json: boolean;
  readonly color: boolean;
  /** Whether it is a terminal that gets the lines, which must not do with it what they like. */
  readonly terminal: boolean;
  readonly write: (text: string) => void;
}

/** A longer name is cut. */
const nameWidthMax = 24;

export function unitPrinter({ units, json, color, terminal, write }: Settings): TreeOptions['onLine'] {
  const paint = pc.createColors(color);
  const colors = [paint.cyan, paint.yellow, paint.green, paint.magenta, paint.blue];
  /** Units of one name above get one colour, in the order in which they are heard of. */
  const places = new Map([...new Set(units.map(above))].map((name, index) => [name, index]));
  let width = Math.min(nameWidthMax, Math.max(0, ...units.map((unit) => stringWidth(unit))));
  return (unit, stream, line) => {
    if (json) return write(`${JSON.stringify({ time: new Date().toISOString(), unit, stream, line })}\n`);
    const name = fitted(unit, nameWidthMax);
    width = Math.max(width, stringWidth(name));
    const group = above(unit);
    if (!places.has(group)) places.set(group, places.size);
    const dye = colors[places.get(group)! % colors.length]!;
    const bar = stream === 'err' ? paint.red('|') : paint.dim('|');
    const shown = terminal ? shownLine(line, color) : line;
    write(`${dye(name.padEnd(width))} ${bar} ${shown}\n`);
  };
}

function above(unit: string): string {
  return unit.split('/')[0]!;
}
