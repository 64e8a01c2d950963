// Prints what the units write: each line behind the unit's name, in a colour of its own.
import pc from 'picocolors';
import type { TreeOptions } from '../runtime/tree.ts';

interface Settings {
  readonly units: readonly string[];
  readonly json: boolean;
  readonly color: boolean;
  readonly write: (text: string) => void;
}

export function unitPrinter({ units, json, color, write }: Settings): TreeOptions['onLine'] {
  const paint = pc.createColors(color);
  const colors = [paint.cyan, paint.yellow, paint.green, paint.magenta, paint.blue];
  const width = Math.max(...units.map((unit) => unit.length));
  return (unit, stream, line) => {
    if (json) return write(`${JSON.stringify({ time: new Date().toISOString(), unit, stream, line })}\n`);
    const index = Math.max(0, units.indexOf(unit.split('/')[0]!));
    const bar = stream === 'err' ? paint.red('|') : paint.dim('|');
    write(`${colors[index % colors.length]!(unit.padEnd(width))} ${bar} ${line}\n`);
  };
}
