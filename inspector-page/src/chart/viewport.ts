// Viewport: which part of a drawing is seen, how large. Wheel and pinch zoom, dragging moves, `fit` shows all.
import type { RefObject } from 'preact';
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import type { Box } from './chart-layout.ts';
import type { Size } from './state-size.ts';

export interface View {
  readonly x: number;
  readonly y: number;
  readonly scale: number;
}

export interface Viewport {
  readonly view: View;
  /** All of it, or as much as can still be read. */
  readonly fit: () => void;
  readonly zoom: (factor: number) => void;
  readonly move: (dx: number, dy: number) => void;
  readonly show: (box: Box) => void;
}

const scaleMin = 0.08;
const scaleMax = 3;
/** A drawing that would be smaller than this is shown from where its focus is. */
const readableScale = 0.62;
const margin = 16;
/** What stands upon the drawing at its lower edge. */
const toolsHeight = 36;

/** @param focus what must be seen if not all of it can be: the states that are active. */
export function useViewport(
  element: RefObject<HTMLElement | null>,
  room: Size,
  drawing: Size | null,
  focus: () => Box | null,
): Viewport {
  const [view, setView] = useState<View>({ x: 0, y: 0, scale: 1 });
  const latest = useRef({ room, drawing, focus });
  latest.current = { room, drawing, focus };

  const actions = useMemo(() => {
    const clamp = (scale: number) => Math.min(scaleMax, Math.max(scaleMin, scale));
    const scaleToFit = ({ width, height }: Size, most: number) => {
      const { room: all } = latest.current;
      const high = all.height - 2 * margin - toolsHeight;
      return clamp(Math.min((all.width - 2 * margin) / width, high / height, most));
    };
    const centre = (box: Box, scale: number) => {
      const { room: all } = latest.current;
      setView({
        scale,
        x: all.width / 2 - (box.x + box.width / 2) * scale,
        y: (all.height - toolsHeight) / 2 - (box.y + box.height / 2) * scale,
      });
    };
    return {
      fit: () => {
        const { drawing: all } = latest.current;
        if (all) centre({ x: 0, y: 0, ...all }, scaleToFit(all, 1.25));
      },
      first: () => {
        const { drawing: all, focus: wanted } = latest.current;
        if (!all) return;
        const scale = scaleToFit(all, 1.25);
        const box = scale < readableScale ? wanted() : null;
        if (box) centre(box, Math.max(scale, readableScale, scaleToFit(box, 0.9)));
        else centre({ x: 0, y: 0, ...all }, scale);
      },
      zoom: (factor: number) => {
        const { room: all } = latest.current;
        setView((now) => zoomAt(now, clamp(now.scale * factor), all.width / 2, all.height / 2));
      },
      zoomAt: (factor: number, x: number, y: number) =>
        setView((now) => zoomAt(now, clamp(now.scale * factor), x, y)),
      move: (dx: number, dy: number) => setView((now) => ({ ...now, x: now.x + dx, y: now.y + dy })),
      show: (box: Box) => setView((now) => intoView(now, box, latest.current.room)),
    };
  }, []);

  const ready = drawing !== null && room.width > 0 && room.height > 0;
  useEffect(() => {
    if (ready) actions.first();
  }, [drawing, ready]);

  useEffect(() => {
    const { current } = element;
    if (!current) return;
    const onWheel = (event: WheelEvent) => {
      event.preventDefault();
      const bounds = current.getBoundingClientRect();
      const step = event.deltaMode === 1 ? 20 : 1;
      if (event.shiftKey) actions.move(-event.deltaY * step, 0);
      else
        actions.zoomAt(
          Math.exp((-event.deltaY * step) / 500),
          event.clientX - bounds.left,
          event.clientY - bounds.top,
        );
    };
    const onPointerDown = (down: PointerEvent) => {
      if (down.button !== 0 || (down.target as Element).closest('button')) return;
      let { clientX, clientY } = down;
      let moved = false;
      const onMove = (event: PointerEvent) => {
        // A hand that clicks is never quite still.
        if (!moved && Math.hypot(event.clientX - down.clientX, event.clientY - down.clientY) < 4) return;
        if (!moved) current.setPointerCapture(down.pointerId);
        moved = true;
        current.classList.add('dragging');
        actions.move(event.clientX - clientX, event.clientY - clientY);
        ({ clientX, clientY } = event);
      };
      const onUp = () => {
        current.classList.remove('dragging');
        current.removeEventListener('pointermove', onMove);
        current.removeEventListener('pointerup', onUp);
        current.removeEventListener('pointercancel', onUp);
      };
      current.addEventListener('pointermove', onMove);
      current.addEventListener('pointerup', onUp);
      current.addEventListener('pointercancel', onUp);
    };
    // Not passive: the page itself must not be zoomed or scrolled.
    current.addEventListener('wheel', onWheel, { passive: false });
    current.addEventListener('pointerdown', onPointerDown);
    return () => {
      current.removeEventListener('wheel', onWheel);
      current.removeEventListener('pointerdown', onPointerDown);
    };
  }, [element, actions]);

  return { view, fit: actions.fit, zoom: actions.zoom, move: actions.move, show: actions.show };
}

function zoomAt(view: View, scale: number, x: number, y: number): View {
  const factor = scale / view.scale;
  return { scale, x: x - (x - view.x) * factor, y: y - (y - view.y) * factor };
}

/** Moves no further than it must. */
function intoView(view: View, box: Box, room: Size): View {
  const left = view.x + box.x * view.scale;
  const top = view.y + box.y * view.scale;
  const right = left + box.width * view.scale;
  const bottom = top + box.height * view.scale;
  const shift = (low: number, high: number, most: number) => {
    if (high - low > most - 2 * margin) return margin - low;
    if (low < margin) return margin - low;
    return high > most - margin ? most - margin - high : 0;
  };
  const dx = shift(left, right, room.width);
  const dy = shift(top, bottom, room.height - toolsHeight);
  return dx === 0 && dy === 0 ? view : { ...view, x: view.x + dx, y: view.y + dy };
}
