// Events from the page: `--inspect-write` as it is in a browser, beside real processes; who may send, what comes of it, and what
// a page shows of values that are hard to show.
import { fileURLToPath } from 'node:url';
import { assert } from 'chai';
import type { Browser, Page } from 'playwright-core';
import { linkTo } from '../../inspector-page/src/selection.ts';
import { LiveSource } from '../../src/inspector/live-source.ts';
import { InspectorServer } from '../../src/inspector/server.ts';
import { node, secret } from '../../src/spec/topology.ts';
import { hasChromium, startChromium } from '../support/inspector-page/chromium.ts';
import { InspectedTree } from '../support/inspector-page/inspected-tree.ts';
import { waitUntil } from '../support/wait-until.ts';

const fixture = (name: string) => fileURLToPath(new URL(`../fixtures/inspector/${name}`, import.meta.url));
const skipped = hasChromium ? '' : ' (skipped: no chromium)';
const describePage = hasChromium ? describe : describe.skip;
const patient = { kind: 'actor', process: 'patient#1', actor: 'patient' } as const;
const mill = { kind: 'actor', process: 'mill#1', actor: 'mill' } as const;

describePage(`events from the inspector page${skipped}`, function () {
  this.timeout(60_000);
  let tree: InspectedTree;
  let writing: InspectorServer;
  let looking: InspectorServer;
  let browser: Browser;
  let page: Page;
  const complaints: string[] = [];

  before(async () => {
    process.env.WARD_SECRET = 'open sesame';
    [tree, browser] = await Promise.all([
      InspectedTree.start('ward', {
        patient: node(fixture('patient.ts'), { env: { WARD_SECRET: secret('WARD_SECRET') } }),
        mill: node(fixture('mill.ts')),
      }),
      startChromium(),
    ]);
    const source = new LiveSource(tree.tree);
    writing = await InspectorServer.open(source, { write: true });
    looking = await InspectorServer.open(source);
  });

  after(async () => {
    await browser?.close();
    writing?.close();
    looking?.close();
    await tree?.[Symbol.asyncDispose]();
    delete process.env.WARD_SECRET;
  });

  afterEach(async () => {
    await page.close();
    assert.deepEqual(complaints.splice(0), []);
  });

  async function open(server: InspectorServer, selection: Parameters<typeof linkTo>[0]): Promise<void> {
    page = await browser.newPage({ viewport: { width: 1280, height: 720 } });
    page.setDefaultTimeout(30_000);
    page.on('pageerror', (error) => complaints.push(String(error.stack)));
    page.on('console', (message) => {
      if (message.type() === 'error') complaints.push(message.text());
    });
    await page.goto(`${server.url}#${linkTo(selection)}`);
  }

  const active = (id: string) => page.locator(`.state.active[data-state="${id}"]`);

  it('are sent by a press on one that is possible, and by the form, and the chart follows', async () => {
    await open(writing, patient);
    await active('patient.well').waitFor();
    await page.getByText('write', { exact: true }).waitFor();
    await page.locator('.next button', { hasText: 'fall ill' }).click();
    await active('patient.ill').waitFor();
    await page.getByText('fall ill was sent to patient').waitFor();
    await page.locator('form.send input').fill('recover');
    await page.keyboard.press('Enter');
    await active('patient.well').waitFor();
    // The context is told anew with the state, and what is possible with it.
    await page.locator('.next button', { hasText: 'fall ill' }).waitFor();
  });

  it('that no state takes are shown as ignored', async () => {
    await open(writing, patient);
    await page.locator('form.send input').fill('dance');
    await page.keyboard.press('Enter');
    await page.locator('.event-row[data-kind="ignored"]', { hasText: 'dance' }).waitFor();
  });

  it('that crash the machine leave it red, with its message, and without a secret', async () => {
    await open(writing, patient);
    await page.locator('#search').fill('no help came');
    await page.locator('.next button', { hasText: 'die' }).click();
    await page.locator('.event-row[data-kind="failure"]', { hasText: 'no help came' }).first().waitFor();
    await page.locator('.centre-state[data-tone="bad"]', { hasText: 'crashed' }).waitFor();
    await page.locator('.tree-row[data-key="life patient#1"]').waitFor();
    // Nothing can be sent to what is gone.
    await page.locator('form.send').waitFor({ state: 'detached' });
    assert.notInclude((await page.content()) ?? '', 'open sesame');
    await waitUntil(
      'its next life',
      () => tree.tree.status().units[0]!.starts === 2 && tree.tree.status().units[0]!.phase === 'up',
    );
  });

  it('can not be sent where pages only look on, not even by hand', async () => {
    const again = { ...patient, process: 'patient#2' } as const;
    await open(looking, again);
    await active('patient.well').waitFor();
    await page.locator('.next .event', { hasText: 'fall ill' }).waitFor();
    assert.equal(await page.locator('form.send, .next button').count(), 0);
    const answer = await page.evaluate(
      ({ feed, place }) =>
        new Promise((resolve) => {
          const socket = new WebSocket(feed);
          socket.onopen = () =>
            socket.send(JSON.stringify({ type: 'send', place, event: { type: 'fall ill' } }));
          socket.onmessage = ({ data }) => {
            const message = JSON.parse(data);
            if (message.type !== 'refused') return;
            socket.close();
            resolve(message.why);
          };
        }),
      { feed: looking.urlOf('/feed', 'ws'), place: { process: again.process, actor: again.actor } },
    );
    assert.match(String(answer), /--inspect-write/);
    assert.equal(await active('patient.well').count(), 1);
  });

  it('show what is hard to show as words: cycles, getters that throw, BigInt, ten million characters, secrets', async () => {
    await open(looking, { ...patient, process: 'patient#2' });
    const detail = page.locator('.detail');
    await detail.getByText('12345678901234567890n').waitFor();
    const text = (await detail.textContent()) ?? '';
    for (const words of [
      'the same as $',
      'threw: a getter that throws',
      '(10,000,000 characters)',
      'redacted',
      'Map(1)',
    ])
      assert.include(text, words);
    assert.notInclude(text, 'hush');
    assert.notInclude(text, 'a cold');
  });

  it('that make a machine turn thirty thousand times at once: what is left out is counted, and no state is out of date', async () => {
    await open(writing, mill);
    await active('mill.up').waitFor();
    await page.locator('.next button', { hasText: 'flood' }).click();
    await page.locator('.count.bad', { hasText: /[\d,]+ dropped/ }).waitFor();
    // It opened just before all the turns: the record of that is among those that were left out.
    await page.locator('#tree-search').fill('mill#1');
    await page.locator('#tree-search').fill('gate');
    await page.locator('.tree-actor', { hasText: 'opened' }).waitFor();
    await active('mill.up').waitFor();
  });
});
