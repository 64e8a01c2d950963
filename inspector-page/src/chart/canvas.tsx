// Canvas: a drawing that can be moved and zoomed, with its buttons.
import type { ComponentChildren } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import { useSize } from '../frame/use-size.ts';
import { ArrowHeads } from './chart-drawing.tsx';
import type { Box } from './chart-layout.ts';
import type { Size } from './state-size.ts';
import { useViewport } from './viewport.ts';

interface CanvasProps {
  readonly drawing: Size | null;
  readonly label: string;
  /** What is looked at, if not all can be; shown again whenever `followed` changes. */
  readonly focus: () => Box | null;
  readonly followed?: string;
  readonly children: ComponentChildren;
  /** More buttons, before those of all canvases. */
  readonly tools?: ComponentChildren;
}

/** Keys and the buttons of other panes reach the canvas that is shown. */
export const canvasKeys: { current: { fit(): void; zoom(factor: number): void } | null } = { current: null };

/** By which the arrow keys move the drawing, in pixels. */
const moves: Readonly<Record<string, readonly [dx: number, dy: number]>> = {
  ArrowLeft: [60, 0],
  ArrowRight: [-60, 0],
  ArrowUp: [0, 60],
  ArrowDown: [0, -60],
};

export function Canvas({ drawing, label, focus, followed = '', children, tools }: CanvasProps) {
  const element = useRef<HTMLDivElement>(null);
  const room = useSize(element);
  const { view, fit, zoom, move, show } = useViewport(element, room, drawing, focus);
  useEffect(() => {
    canvasKeys.current = { fit, zoom };
    return () => {
      canvasKeys.current = null;
    };
  }, [fit, zoom]);
  useEffect(() => {
    const box = focus();
    if (box && followed !== '') show(box);
  }, [followed]);
  return (
    // biome-ignore lint/a11y/useSemanticElements: no form stands here.
    <div
      ref={element}
      class="canvas"
      role="group"
      aria-label={label}
      // biome-ignore lint/a11y/noNoninteractiveTabindex: what can be dragged can be moved by keys, too.
      tabIndex={0}
      onKeyDown={(event) => {
        const by = moves[event.key];
        if (!by || event.target !== event.currentTarget) return;
        event.preventDefault();
        move(...by);
      }}
    >
      <svg width={room.width} height={room.height} role="img" aria-label={label}>
        <ArrowHeads />
        <g transform={`translate(${view.x} ${view.y}) scale(${view.scale})`}>{children}</g>
      </svg>
      <div class="canvas-tools">
        {tools}
        <button type="button" onClick={() => zoom(1 / 1.25)} title="Zoom out (-)" aria-label="Zoom out">
          −
        </button>
        <button type="button" onClick={fit} title="Show all (f)">
          Fit
        </button>
        <button type="button" onClick={() => zoom(1.25)} title="Zoom in (+)" aria-label="Zoom in">
          +
        </button>
      </div>
    </div>
  );
}
