// The page and the real server, beside the telemetry example: what a user sees who adds --inspect.
import { assert } from 'chai';
import type { Browser, Page } from 'playwright-core';
import { Command, scratch, telemetry } from '../cli/command.ts';
import { hasChromium, startChromium } from '../support/inspector-page/chromium.ts';
import { waitUntil } from '../support/wait-until.ts';

const skipped = hasChromium ? '' : ' (skipped: no chromium)';
const describePage = hasChromium ? describe : describe.skip;

/** Notes with each frame where the rows of units are, once all of them are there. */
const watchRows = `
  globalThis.rowPlaces = new Set();
  const look = () => {
    const rows = [...document.querySelectorAll('.tree-row')];
    const places = rows.map((row) => row.dataset.key + ' ' + Math.round(row.getBoundingClientRect().top));
    if (rows.filter((row) => row.classList.contains('tree-unit')).length === 5) rowPlaces.add(places.slice(0, 5).join());
    requestAnimationFrame(look);
  };
  look();
`;

describePage(`the inspector page of a running tree${skipped}`, function () {
  this.timeout(120_000);
  const place = scratch();
  let run: Command;
  let browser: Browser;
  let page: Page;
  let url: string;
  const complaints: string[] = [];

  before(async () => {
    run = new Command(
      ['run', telemetry, '--inspect', '--inspect-write', '--workspace', place.workspace],
      place.env,
    );
    [url] = await run.sees(/http:\/\/127\.0\.0\.1:\d+\/\?token=[\w-]+/);
    browser = await startChromium();
    page = await open(url);
    await page.evaluate(watchRows);
    await run.sees(/telemetry is operative/);
  });

  after(async () => {
    await browser?.close();
    run.signal('SIGKILL');
    await run.ended;
    place.remove();
  });

  afterEach(() => assert.deepEqual(complaints, []));

  async function open(address: string): Promise<Page> {
    const made = await browser.newPage({ viewport: { width: 1280, height: 720 } });
    made.setDefaultTimeout(40_000);
    made.on('pageerror', (error) => complaints.push(String(error.stack)));
    made.on('console', (message) => {
      if (message.type() === 'error') complaints.push(message.text());
    });
    await made.goto(address);
    await made.locator('.connection[data-state="open"]').waitFor();
    return made;
  }

  const row = (key: string) => page.locator(`.tree-row[data-key="${key}"]`);

  it('shows the four processes, and what depends on what', async () => {
    for (const unit of ['aggregator', 'probe', 'client', 'alerts'])
      await page.locator(`.tree-row[data-key="unit ${unit}"][data-tone="good"]`).waitFor();
    await page.locator('.dependence[data-gate="open"]').nth(2).waitFor();
    await page.waitForSelector('.metric[data-figure="messagesPerS"] strong:not(:text("–"))');
  });

  it('has all rows where they were when it started', async () => {
    const places = (await page.evaluate('[...globalThis.rowPlaces]')) as string[];
    assert.lengthOf(places, 1, places.join('\n'));
    assert.match(places[0]!, /unit aggregator \d+,unit probe \d+,unit client \d+,unit alerts \d+/);
  });

  it('shows how numbers go from process to process', async () => {
    await page.keyboard.press('s');
    await page.locator('.step', { hasText: 'message.samples' }).first().waitFor();
    assert.includeMembers(await page.locator('.lifeline-name').allTextContents(), ['probe', 'aggregator']);
    await page.keyboard.press('l');
    await page.locator('.log-row', { hasText: 'GiB' }).first().waitFor();
  });

  it('shows the chart and the context of an actor in another process', async () => {
    await page.locator('#tree-search').fill('app-session#1/machine');
    await page.locator('#tree-search').fill('sampling');
    await page.locator('.tree-actor', { hasText: 'machine' }).first().click();
    await page.locator('.state.active[data-state$=".sampling"]').waitFor();
    await page.locator('.detail .value').first().waitFor();
    await page.locator('#tree-search').fill('');
  });

  it('turns a killed process red, shows what it left, and shows it green again', async () => {
    await row('unit client').click();
    const pid = await waitUntil('the pid', () =>
      Number(/client started as process (\d+)/.exec(run.output)?.[1]),
    );
    const killedAtMs = Date.now();
    process.kill(pid, 'SIGKILL');
    await page.locator('.tree-row[data-key="life client#1"][data-tone="bad"]').click();
    await page.locator('.life .flight-row').first().waitFor();
    assert.include((await page.locator('.life').textContent()) ?? '', 'SIGKILL');
    await page.locator('.life .log-row', { hasText: 'GiB' }).first().waitFor();
    await page.locator('.tree-row[data-key="unit client"][data-tone="good"]').waitFor();
    assert.include((await row('unit client').textContent()) ?? '', '↻1');
    const ended = (await page.locator('.life-end').textContent()) ?? '';
    const minute = new Date(killedAtMs).getMinutes();
    const [, shown] = /ended at \d\d:(\d\d):/.exec(ended)!;
    assert.include([minute, (minute + 1) % 60], Number(shown));
  });

  it('shows all of that to somebody who comes late', async () => {
    const late = await open(page.url());
    await late.locator('.tree-row.selected[data-key="life client#1"]').waitFor();
    await late.locator('.life .log-row', { hasText: 'GiB' }).first().waitFor();
    await late.close();
  });
});
