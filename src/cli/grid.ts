// Grid: rows of cells as lines that fit into a terminal of any width, also with colors and wide characters in them.
import sliceAnsi from 'slice-ansi';
import stringWidth from 'string-width';

export interface Column {
  readonly head: string;
  readonly align?: 'right';
  /** So wide at least, so that its neighbours stay where they are while its figures change. */
  readonly min?: number;
  /** Where there is no room for all, the column with the highest number goes first; one without never goes. */
  readonly drop?: number;
  /** Its cells are cut where there is still no room. */
  readonly cut?: true;
}

const gap = '  ';
const cutMin = 4;

/** @param width of the terminal; infinite where there is none. */
export function gridLines(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
  width = Number.POSITIVE_INFINITY,
): string[] {
  const lines = [columns.map(({ head }) => head), ...rows];
  const widths = columns.map(({ min = 0 }, at) =>
    Math.max(min, ...lines.map((cells) => stringWidth(cells[at] ?? ''))),
  );
  const shown = new Set(columns.keys());
  // An empty column says nothing.
  for (const at of columns.keys())
    if (columns[at]!.drop !== undefined && rows.every((cells) => !cells[at])) shown.delete(at);
  const total = () => [...shown].reduce((sum, at) => sum + widths[at]! + gap.length, -gap.length);
  const droppable = [...columns.keys()]
    .filter((at) => columns[at]!.drop !== undefined)
    .sort((a, b) => columns[b]!.drop! - columns[a]!.drop!);
  for (const at of droppable) if (total() > width) shown.delete(at);
  for (const at of shown)
    if (columns[at]!.cut && total() > width)
      widths[at] = Math.max(Math.min(cutMin, widths[at]!), widths[at]! - (total() - width));
  return lines.map((cells) =>
    fitted(
      [...shown]
        .map((at) => padded(fitted(cells[at] ?? '', widths[at]!), widths[at]!, columns[at]!.align))
        .join(gap),
      width,
    ).trimEnd(),
  );
}

/** The beginning of a text that is at most so wide, with a mark where something is missing. */
export function fitted(text: string, width: number): string {
  if (stringWidth(text) <= width) return text;
  if (width < 1) return '';
  // A wide character at the edge is in the slice as a whole.
  let end = width - 1;
  while (end > 0 && stringWidth(sliceAnsi(text, 0, end)) > width - 1) end--;
  return `${sliceAnsi(text, 0, end)}…`;
}

function padded(text: string, width: number, align: 'right' | undefined): string {
  const space = ' '.repeat(Math.max(0, width - stringWidth(text)));
  return align === 'right' ? `${space}${text}` : `${text}${space}`;
}
