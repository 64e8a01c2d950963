// Table: columns without lines, as the listings of the command line have them.
import Table from 'cli-table3';

const edges = ['top', 'bottom', 'left', 'right'].flatMap((edge) =>
  ['', '-mid', '-left', '-right'].map((part) => `${edge}${part}`),
);

/** A table that prints its rows with two blanks between the columns. */
export function plainTable(head: string[]): InstanceType<typeof Table> {
  const none = Object.fromEntries(
    [...edges, 'mid', 'mid-mid', 'left-mid', 'mid-left', 'right-mid', 'mid-right'].map((part) => [part, '']),
  );
  return new Table({
    head,
    style: { head: [], border: [], compact: true, 'padding-left': 0, 'padding-right': 0 },
    chars: { ...none, middle: '  ' },
  });
}
