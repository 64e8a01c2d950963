import { createRequire } from 'node:module';
import { assert } from 'chai';
import type { ELK } from 'elkjs/lib/elk-api.js';
import fc from 'fast-check';
import {
  type Box,
  type ChartLayout,
  isLarge,
  layoutChart,
} from '../../inspector-page/src/chart/chart-layout.ts';
import { readStatechart, type Statechart } from '../../inspector-page/src/chart/statechart.ts';
import { processMachines } from '../support/inspector-page/charts.ts';

/** Its types say that it is an ES module, which it is not. */
const Elk = createRequire(import.meta.url)('elkjs') as new () => ELK;
const elk = new Elk();
const layout = (chart: Statechart) => layoutChart(elk, chart, (text) => text.length * 7);

function assertDrawn(chart: Statechart, { boxes, arrows, width, height }: ChartLayout): void {
  for (const state of chart.states.values()) {
    const box = boxes.get(state.id);
    assert.isDefined(box, state.id);
    assert.isTrue(within(box!, { x: 0, y: 0, width, height }), `${state.id} is in the drawing`);
    if (state.parent)
      assert.isTrue(within(box!, boxes.get(state.parent.id)!), `${state.id} is in its parent`);
    for (const other of state.parent?.children ?? [])
      if (other !== state) assert.isFalse(overlap(box!, boxes.get(other.id)!), `${state.id} and ${other.id}`);
  }
  for (const { id } of chart.arrows) {
    const arrow = arrows.get(id);
    assert.isAtLeast(arrow?.points.length ?? 0, 2, `${id} is routed`);
    assert.isNotNull(arrow!.label, `${id} has its label`);
  }
}

function within(inner: Box, outer: Box): boolean {
  return (
    inner.x >= outer.x - 1 &&
    inner.y >= outer.y - 1 &&
    inner.x + inner.width <= outer.x + outer.width + 1 &&
    inner.y + inner.height <= outer.y + outer.height + 1
  );
}

function overlap(one: Box, other: Box): boolean {
  return (
    one.x + 1 < other.x + other.width &&
    other.x + 1 < one.x + one.width &&
    one.y + 1 < other.y + other.height &&
    other.y + 1 < one.y + one.height
  );
}

describe('the layout of a chart', function () {
  this.timeout(120_000);

  for (const [name, chart] of Object.entries(processMachines))
    it(`of the machine of a ${name} has every state and every arrow`, async () => {
      const read = readStatechart(chart)!;
      assertDrawn(read, await layout(read));
    });

  it('of random nested and parallel machines leaves nothing out and lets no states overlap', async () => {
    await fc.assert(
      fc.asyncProperty(machine(), async (config) => {
        const chart = readStatechart(config)!;
        assertDrawn(chart, await layout(chart));
      }),
      { numRuns: 15, interruptAfterTimeLimit: 40_000 },
    );
  });

  it('as an outline has all states and arrows, no texts of arrows, and a unit in less than half of the width', async () => {
    const chart = readStatechart(processMachines.unit)!;
    assert.isTrue(isLarge(chart));
    const outline = await layoutChart(elk, chart, (text) => text.length * 7, true);
    for (const { id } of chart.states.values()) assert.isTrue(outline.boxes.has(id), id);
    for (const { id } of chart.arrows) {
      assert.isAtLeast(outline.arrows.get(id)?.points.length ?? 0, 2, id);
      assert.isNull(outline.arrows.get(id)!.label);
    }
    const whole = await layout(chart);
    assert.isBelow(outline.width, whole.width / 2);
  });

  it('has room for every label that it was given', async () => {
    const chart = readStatechart({
      id: 'm',
      initial: 'a',
      states: {
        a: { on: { 'an.event.with.a.long.name': { target: 'b', guard: 'andAGuardWithALongName' } } },
        b: {},
      },
    })!;
    const { arrows } = await layout(chart);
    const { label } = arrows.get('m.a -> m.b')!;
    assert.isAtLeast(label!.width, 'andAGuardWithALongName'.length * 7);
    assert.isAtLeast(label!.height, 2 * 15);
  });
});

interface Config {
  readonly type?: 'parallel';
  readonly states: Record<string, Partial<Config>>;
  readonly on: Record<string, string>;
}

/** Up to four states on a level, up to three levels, arrows between any two of the whole machine. */
function machine(): fc.Arbitrary<object> {
  const names = ['a', 'b', 'c', 'd'] as const;
  const state = (depth: number): fc.Arbitrary<Partial<Config>> =>
    depth === 0
      ? fc.constant({})
      : (fc.record({
          type: fc.constantFrom(undefined, undefined, 'parallel' as const),
          states: fc.integer({ min: 0, max: names.length }).chain((count) =>
            fc.tuple(...names.slice(0, count).map(() => state(depth - 1))).map((inner) => {
              const states: Record<string, Partial<Config>> = {};
              inner.forEach((each, index) => {
                states[names[index]!] = each;
              });
              return states;
            }),
          ),
        }) as fc.Arbitrary<Partial<Config>>);
  return fc
    .tuple(
      state(3),
      fc.array(fc.tuple(fc.nat(), fc.nat(), fc.stringMatching(/^[a-z]{1,12}$/)), { maxLength: 14 }),
    )
    .map(([config, links]) => {
      const root = JSON.parse(JSON.stringify({ id: 'm', ...config })) as Partial<Config>;
      const all: { path: string; config: Partial<Config> }[] = [];
      const visit = (at: Partial<Config>, path: string): void => {
        all.push({ path, config: at });
        for (const [name, inner] of Object.entries(at.states ?? {})) visit(inner, `${path}.${name}`);
      };
      visit(root, 'm');
      for (const [from, to, event] of links) {
        const source = all[from % all.length]!.config as { on?: Record<string, string> };
        source.on = { ...source.on, [event]: `#${all[to % all.length]!.path}` };
      }
      return root;
    });
}
