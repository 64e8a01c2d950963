// The bridge to the official inspector as it is in a browser: the page that embeds the official one, with the official receiver in
// it, and an app in a browser with the official client, seen on our page.
import { fileURLToPath } from 'node:url';
import { assert } from 'chai';
import type { Browser, Page } from 'playwright-core';
import { LiveSource } from '../../src/inspector/live-source.ts';
import { InspectorServer } from '../../src/inspector/server.ts';
import { StatelyBridge } from '../../src/inspector/stately.ts';
import { node } from '../../src/spec/topology.ts';
import { hasChromium, startChromium } from '../support/inspector-page/chromium.ts';
import { InspectedTree } from '../support/inspector-page/inspected-tree.ts';
import { ServedApp } from '../support/inspector-page/served-app.ts';

const fixture = (name: string) => fileURLToPath(new URL(`../fixtures/inspector/${name}`, import.meta.url));
const skipped = hasChromium ? '' : ' (skipped: no chromium)';
const describePage = hasChromium ? describe : describe.skip;

describePage(`the bridge to the official inspector, in a browser${skipped}`, function () {
  this.timeout(60_000);
  let tree: InspectedTree;
  let official: ServedApp;
  let app: ServedApp;
  let server: InspectorServer;
  let browser: Browser;
  const complaints: string[] = [];

  before(async () => {
    [tree, official, app, browser] = await Promise.all([
      InspectedTree.start('coast', { lamp: node(fixture('lamp.mjs')) }),
      ServedApp.start(fixture('official-page.mjs')),
      ServedApp.start(fixture('light-app.mjs')),
      startChromium(),
    ]);
    const source = new LiveSource(tree.tree);
    const bridge = new StatelyBridge(source, official.url);
    server = await InspectorServer.open(source, { doors: { '/stately': bridge } });
  });

  after(async () => {
    await browser?.close();
    server?.close();
    await Promise.all([tree, official, app].map((each) => each?.[Symbol.asyncDispose]()));
  });

  afterEach(() => assert.deepEqual(complaints, []));

  async function open(url: string): Promise<Page> {
    const page = await browser.newPage({ viewport: { width: 1280, height: 720 } });
    page.setDefaultTimeout(30_000);
    page.on('pageerror', (error) => complaints.push(String(error.stack)));
    page.on('console', (message) => {
      if (message.type() === 'error' && !/favicon/.test(message.location().url))
        complaints.push(message.text());
    });
    await page.goto(url);
    return page;
  }

  it('hands the official page each actor with its chart, then what it does, and no context', async () => {
    const page = await open(server.urlOf('/stately', 'http'));
    const embedded = page.frameLocator('#inspector');
    const ofLamp = (type: string) =>
      embedded.locator(`li[data-type="@xstate.${type}"][data-actor="lamp#1/lamp"]`);
    await ofLamp('actor').first().waitFor();
    assert.equal(await ofLamp('actor').first().getAttribute('data-states'), 'dark bright');
    for (const state of ['dark', 'bright'])
      await ofLamp('snapshot').filter({ hasText: state }).first().waitFor();
    const contexts = await embedded
      .locator('li')
      .evaluateAll((items) => items.map((item) => item.getAttribute('data-context')));
    assert.deepEqual([...new Set(contexts)], ['{}']);
    await page.close();
  });

  it('shows an app in another page as a guest, with its chart, and follows what is done there', async () => {
    const page = await open(server.url);
    const guest = await open(`${app.url}#${encodeURIComponent(server.urlOf('/stately', 'ws'))}`);
    const unit = page.locator('.tree-unit', { hasText: 'light' });
    await page.locator('#tree-search').fill('light x:');
    await page.locator('.tree-actor').first().click();
    await page.locator('.state.active[data-state="light.green"]').waitFor();
    await guest.getByRole('button', { name: 'turn' }).click();
    await page.locator('.state.active[data-state="light.red"]').waitFor();
    assert.notInclude(await page.content(), 'hush');
    // It takes no events, and goes with its page.
    assert.equal(await page.locator('form.send').count(), 0);
    await guest.close();
    await page.locator('#tree-search').fill('guest');
    await unit.waitFor({ state: 'detached' });
    await page.locator('.tree').getByText('Nothing has that name or state.').waitFor();
    await page.close();
  });

  it('is closed to who has not the token, wherever they come from', async () => {
    const page = await open(app.url.replace('#', ''));
    complaints.length = 0;
    const opens = (url: string) =>
      page.evaluate(
        (address) =>
          new Promise((resolve) => {
            const socket = new WebSocket(address);
            socket.onopen = () => resolve('open');
            socket.onerror = () => resolve('refused');
          }),
        url,
      );
    const [feed, bridge] = [server.urlOf('/feed', 'ws'), server.urlOf('/stately', 'ws')];
    assert.equal(await opens(bridge), 'open');
    assert.equal(await opens(bridge.replace(/token=.*/, 'token=guessed')), 'refused');
    // Our own feed is for our own page alone, even with the token.
    assert.equal(await opens(feed), 'refused');
    complaints.length = 0;
    await page.close();
  });
});
