// Virtual list: rows of one height, of which only those are drawn that can be seen.
import type { ComponentChildren } from 'preact';
import { useLayoutEffect, useRef, useState } from 'preact/hooks';
import { useSize } from './use-size.ts';

interface VirtualListProps {
  readonly length: number;
  readonly rowHeight: number;
  /** Without a key: a row that moves is the one before it with other words, which costs less than another row. */
  readonly row: (index: number) => ComponentChildren;
  readonly label: string;
  readonly role?: 'list' | 'tree' | 'log';
  /** Stays at the end while new rows come. */
  readonly follow?: boolean;
  /** The reader has scrolled away from the end, so wants to read. */
  readonly onLeaveEnd?: () => void;
  /** Is scrolled into view whenever it changes. */
  readonly shownIndex?: number;
  readonly activeDescendant?: string | undefined;
  readonly empty?: ComponentChildren;
}

/** Rows beyond the edges, so that a fast scroll shows no gap. */
const overscan = 4;

export function VirtualList({
  length,
  rowHeight,
  row,
  label,
  role = 'list',
  follow = false,
  onLeaveEnd,
  shownIndex,
  activeDescendant,
  empty,
}: VirtualListProps) {
  const element = useRef<HTMLDivElement>(null);
  const [scrollTop, setScrollTop] = useState(0);
  const { height } = useSize(element);
  const rowsHeight = length * rowHeight;
  // A list that follows stands on whole rows: half a line at its upper edge could not be read.
  const spare = onLeaveEnd && rowsHeight > height ? height % rowHeight : 0;
  const end = Math.max(0, rowsHeight + spare - height);
  // Where it will stand once it is drawn: a list that follows must not show its old rows for a frame.
  const top = follow ? end : Math.min(scrollTop, end);

  useLayoutEffect(() => {
    if (follow && element.current) element.current.scrollTop = end;
  }, [follow, end]);

  // When it stops following it is at its end, not where it was scrolled to before that.
  useLayoutEffect(() => {
    if (!follow && element.current) setScrollTop(element.current.scrollTop);
  }, [follow]);

  useLayoutEffect(() => {
    const { current } = element;
    if (!current || shownIndex === undefined || shownIndex < 0) return;
    const at = shownIndex * rowHeight;
    if (at < current.scrollTop) current.scrollTop = at;
    else if (at + rowHeight > current.scrollTop + current.clientHeight)
      current.scrollTop = at + rowHeight - current.clientHeight;
  }, [shownIndex, rowHeight]);

  const first = Math.max(0, Math.floor(top / rowHeight) - overscan);
  const last = Math.min(length, Math.ceil((top + height) / rowHeight) + overscan);
  const rows = [];
  for (let index = first; index < last; index++) rows.push(row(index));
  return (
    // biome-ignore lint/a11y/useAriaPropsSupportedByRole: each of the roles that it may have supports these.
    <div
      ref={element}
      class="virtual-list"
      role={role}
      aria-label={label}
      aria-activedescendant={activeDescendant}
      // A list that scrolls must be reachable by keyboard.
      tabIndex={0}
      onScroll={({ currentTarget }) => {
        // A list that follows stands where it has put itself.
        if (!follow) setScrollTop(currentTarget.scrollTop);
      }}
      onWheel={({ deltaY }) => {
        if (follow && deltaY < 0 && end > 0) onLeaveEnd?.();
      }}
      onPointerDown={({ currentTarget, offsetX }) => {
        // Whoever takes hold of the scroll bar wants to read.
        if (follow && end > 0 && offsetX >= currentTarget.clientWidth) onLeaveEnd?.();
      }}
    >
      {length === 0 ? (
        empty
      ) : (
        <div class="virtual-list-space" style={{ height: `${rowsHeight + spare}px` }}>
          <div class="virtual-list-rows" style={{ transform: `translateY(${first * rowHeight}px)` }}>
            {rows}
          </div>
        </div>
      )}
    </div>
  );
}
