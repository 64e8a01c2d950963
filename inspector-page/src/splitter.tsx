// Splitter: the border between two panes, which can be moved by pointer or keys; where it stands is kept.
import { useEffect, useRef, useState } from 'preact/hooks';

interface SplitterProps {
  readonly name: 'tree' | 'detail' | 'timeline';
  /** On which side of the page the pane is that it sizes. */
  readonly side: 'left' | 'right' | 'bottom';
}

const limits = {
  tree: { least: 200, most: 640, first: 290 },
  detail: { least: 220, most: 720, first: 300 },
  timeline: { least: 90, most: 700, first: 212 },
} as const;
const keyStep = 16;

export function Splitter({ name, side }: SplitterProps) {
  const { least, most, first } = limits[name];
  const [size, setSize] = useState(() => stored(name) ?? first);
  const from = useRef({ at: 0, size: 0 });
  const clamped = Math.min(most, Math.max(least, size));
  useEffect(() => {
    document.documentElement.style.setProperty(`--${name}-size`, `${clamped}px`);
    store(name, clamped);
  }, [name, clamped]);
  const along = side === 'bottom';
  const sign = side === 'left' ? 1 : -1;
  return (
    // biome-ignore lint/a11y/useSemanticElements: a rule between sections can't be moved.
    <div
      class={`splitter ${along ? 'horizontal' : 'vertical'}`}
      role="separator"
      aria-label={`Size of the ${name} pane`}
      aria-orientation={along ? 'horizontal' : 'vertical'}
      aria-valuenow={clamped}
      aria-valuemin={least}
      aria-valuemax={most}
      tabIndex={0}
      onPointerDown={(event) => {
        event.currentTarget.setPointerCapture(event.pointerId);
        from.current = { at: along ? event.clientY : event.clientX, size: clamped };
      }}
      onPointerMove={(event) => {
        if (!event.currentTarget.hasPointerCapture(event.pointerId)) return;
        setSize(from.current.size + sign * ((along ? event.clientY : event.clientX) - from.current.at));
      }}
      onDblClick={() => setSize(first)}
      onKeyDown={({ key }) => {
        const towards = { ArrowLeft: -1, ArrowUp: -1, ArrowRight: 1, ArrowDown: 1 }[key];
        if (towards) setSize(clamped + sign * towards * keyStep);
      }}
    />
  );
}

function stored(name: string): number | null {
  try {
    const size = Number(localStorage.getItem(`actor-ipc ${name} size`));
    return size > 0 ? size : null;
  } catch {
    // Storage may be forbidden.
    return null;
  }
}

function store(name: string, size: number): void {
  try {
    localStorage.setItem(`actor-ipc ${name} size`, String(size));
  } catch {
    // As above.
  }
}
