// Keyboard: what each key does; one table for the keys themselves and for the help.
import { canvasKeys } from './chart/canvas.tsx';
import type { PageState, TimelineView } from './page-state.ts';

interface Key {
  readonly shown: readonly string[];
  readonly does: string;
  /** Null: the element that has the focus takes it. */
  readonly act: Readonly<Record<string, (page: PageState) => void>> | null;
}

const timeline = (view: TimelineView) => (page: PageState) => {
  page.timeline = view;
  page.changed();
};

function focus(id: string): void {
  const element = document.getElementById(id);
  element?.focus();
  if (element instanceof HTMLInputElement) element.select();
}

function step(page: PageState, by: 1 | -1): void {
  if (page.model.playing) page.connection.send({ type: 'step', by });
}

export const keys: readonly Key[] = [
  { shown: ['/'], does: 'search events and log', act: { '/': () => focus('search') } },
  { shown: ['g'], does: 'filter the tree', act: { g: () => focus('tree-search') } },
  {
    shown: ['↑', '↓', '←', '→'],
    does: 'move in the tree, close and open',
    act: null,
  },
  {
    shown: ['j', 'k'],
    does: 'next and previous in the tree, from anywhere',
    act: { j: () => pressInTree('ArrowDown'), k: () => pressInTree('ArrowUp') },
  },
  {
    shown: ['c'],
    does: 'chart of what is selected',
    act: {
      c: (page) => {
        page.centre = 'chart';
        page.changed();
      },
    },
  },
  {
    shown: ['d'],
    does: 'dependence graph',
    act: {
      d: (page) => {
        page.centre = 'topology';
        page.changed();
      },
    },
  },
  {
    shown: ['m'],
    does: 'channels and shared memory',
    act: {
      m: (page) => {
        page.centre = 'transport';
        page.changed();
      },
    },
  },
  {
    shown: ['f', '+', '−'],
    does: 'fit the drawing, zoom; arrows move it once it has the focus',
    act: {
      f: () => canvasKeys.current?.fit(),
      '+': () => canvasKeys.current?.zoom(1.25),
      '=': () => canvasKeys.current?.zoom(1.25),
      '-': () => canvasKeys.current?.zoom(1 / 1.25),
    },
  },
  {
    shown: ['e', 's', 'l'],
    does: 'events, sequence diagram, log',
    act: { e: timeline('events'), s: timeline('sequence'), l: timeline('log') },
  },
  { shown: ['p'], does: 'pause and resume the lists', act: { p: (page) => page.setPaused(!page.paused) } },
  {
    shown: ['space'],
    does: 'play and stop a recording',
    act: {
      ' ': (page) => page.togglePlaying(),
    },
  },
  {
    shown: [',', '.'],
    does: 'one event back and forth in a recording',
    act: { ',': (page) => step(page, -1), '.': (page) => step(page, 1) },
  },
  {
    shown: ['t'],
    does: 'light, dark, or as the system has it',
    act: { t: () => document.querySelector<HTMLButtonElement>('button.theme')?.click() },
  },
  {
    shown: ['Esc'],
    does: 'leave a field; select nothing',
    act: { Escape: (page) => (page.selection ? page.select(null) : undefined) },
  },
  {
    shown: ['?'],
    does: 'this help',
    act: {
      '?': (page) => {
        page.helpOpen = !page.helpOpen;
        page.changed();
      },
    },
  },
];

const actions = new Map(keys.flatMap(({ act }) => Object.entries(act ?? {})));

export function listenToKeys(page: PageState): void {
  addEventListener('keydown', (event) => {
    const { key, target } = event;
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const typing = target instanceof HTMLElement && /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName);
    if (typing) {
      if (key === 'Escape') target.blur();
      return;
    }
    // An open dialog takes Escape itself; a button that has the focus takes the space bar.
    if (page.helpOpen && key !== '?') return;
    if (key === ' ' && target instanceof HTMLButtonElement) return;
    const act = actions.get(key);
    if (!act) return;
    event.preventDefault();
    act(page);
  });
}

function pressInTree(key: string): void {
  const tree = document.querySelector<HTMLElement>('.tree .virtual-list');
  tree?.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true }));
}
