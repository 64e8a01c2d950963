// The page in a real browser, under the strictest content security policy, told about trees that no test could run.
import { assert } from 'chai';
import type { Browser, Page } from 'playwright-core';
import { linkTo, type Selection } from '../../inspector-page/src/selection.ts';
import type { ServerMessage } from '../../src/inspector/protocol.ts';
import { addressOf } from '../../src/names.ts';
import { hasChromium, startChromium } from '../support/inspector-page/chromium.ts';
import { ToldServer } from '../support/inspector-page/told-server.ts';
import {
  actor,
  dump,
  hello,
  killed,
  metricsOf,
  records,
  shop,
  shopUnits,
  startedAtMs,
  transition,
  unit,
} from '../support/inspector-page/told-tree.ts';
import { waitUntil } from '../support/wait-until.ts';

const door: Selection = { kind: 'actor', process: 'till#1', actor: 'door' };
const opens = transition(
  'door',
  'open',
  'opened',
  [{ event: 'open', from: 'door.closed', to: ['door.opened'] }],
  ['creak'],
);

const skipped = hasChromium ? '' : ' (skipped: no chromium)';
const describePage = hasChromium ? describe : describe.skip;

describePage(`the inspector page${skipped}`, function () {
  this.timeout(120_000);
  let browser: Browser;
  let server: ToldServer;
  let page: Page;
  /** What the browser complains about: a violated policy, a mistake in the page. */
  let complaints: string[];

  before(async () => {
    browser = await startChromium();
  });
  after(() => browser?.close());

  afterEach(async () => {
    await page.close();
    await server[Symbol.asyncDispose]();
    assert.deepEqual(complaints, []);
  });

  async function open(greeting: ServerMessage[] = shop(), selection: Selection | null = null, more = {}) {
    complaints = [];
    server = await ToldServer.start(greeting);
    page = await browser.newPage({ viewport: { width: 1280, height: 720 }, ...more });
    page.setDefaultTimeout(30_000);
    page.on('pageerror', (error) => complaints.push(String(error.stack)));
    page.on('console', (message) => {
      // That there is no server for a while is what some tests are about.
      if (message.type() === 'error' && !/WebSocket/.test(message.text())) complaints.push(message.text());
    });
    await page.goto(`${server.url}${selection ? `#${linkTo(selection)}` : ''}`);
    await page.locator('.connection[data-state="open"]').waitFor();
  }

  const row = (key: string) => page.locator(`.tree-row[data-key="${key}"]`);
  /** Opens the row of a unit, and waits for the first actor below it. */
  async function unfold(path: string): Promise<void> {
    await row(`unit ${path}`).locator('.twist').click();
    await page.locator('.tree-actor').first().waitFor();
  }
  const active = (id: string) => page.locator(`.state.active[data-state="${id}"]`);
  const texts = (selector: string) => page.locator(selector).allTextContents();
  const textOf = async (selector: string) => (await page.locator(selector).textContent()) ?? '';

  /** Waits for what no locator can wait for. */
  async function eventually(what: string, condition: () => Promise<boolean>): Promise<void> {
    const givenUpAt = performance.now() + 30_000;
    while (!(await condition())) {
      if (performance.now() > givenUpAt) throw new Error(`waited in vain: ${what}`);
      await page.waitForTimeout(20);
    }
  }

  const rowsOf = (count: number) =>
    eventually(`${count} events`, async () => (await page.locator('.event-row').count()) === count);

  it('shows units, actors with their states, and shared memory with its figures', async () => {
    await open();
    await unfold('till');
    assert.match((await row('actor till#1 door').textContent()) ?? '', /door\s*closed/);
    assert.match((await row('unit till').textContent()) ?? '', /till\s*operative/);
    assert.match((await row('resource pipe shop/orders').textContent()) ?? '', /1 user\s*−7\s*3 \/ 64/);
    assert.equal(await row('unit till').locator('.dot').getAttribute('data-tone'), 'good');
  });

  it('highlights where an actor is, and marks the transition that led there', async () => {
    await open();
    await unfold('till');
    await row('actor till#1 door').click();
    await active('door.closed').waitFor();
    server.tell(records('till#1', opens));
    await active('door.opened').waitFor();
    assert.equal(await active('door.closed').count(), 0);
    const taken = page.locator('.arrow.taken');
    assert.equal(await taken.getAttribute('data-arrow'), 'door.closed -> door.opened');
    assert.deepEqual(await taken.locator('text').allTextContents(), ['open', '/ creak']);
    assert.equal(await textOf('.centre-state'), 'opened');
  });

  it('shows a guard at its arrow, and says where it is in the words of the chart', async () => {
    await open(shop(), door);
    const arrow = page.locator('.arrow[data-arrow="door.opened -> door.closed"]');
    await arrow.waitFor();
    assert.deepEqual(await arrow.locator('text').allTextContents(), [
      'close',
      '[nobodyInside]',
      'after patience',
    ]);
    assert.include(await textOf('.descriptions'), 'Nobody gets in.');
  });

  it('asks for the context of what is shown, and shows it', async () => {
    await open(shop(), door);
    await active('door.closed').waitFor();
    await page.getByText('Asking…').waitFor();
    assert.deepEqual(server.heard.at(-1), { type: 'watch', place: { process: 'till#1', actor: 'door' } });
    server.tell({
      type: 'context',
      place: { process: 'till#1', actor: 'door' },
      at: 1,
      gone: false,
      value: 'closed',
      status: 'active',
      context: { keys: { $: 'Map', n: 2, e: [['front', 1]] }, code: { $: 'Redacted' } },
      next: [{ event: 'open', from: 'door.closed', to: ['door.opened'], guard: null, sendable: true }],
    });
    await page.getByText('Map(2)').waitFor();
    assert.include(await textOf('.detail'), 'redacted');
    assert.deepEqual(await texts('.next li'), ['open→ opened']);
    // Nothing may be sent here.
    assert.equal(await page.locator('form.send').count(), 0);
  });

  it('sends an event, only where the server lets it', async () => {
    await open(shop({ hello: { write: true } }), door);
    await active('door.closed').waitFor();
    server.tell({
      type: 'context',
      place: { process: 'till#1', actor: 'door' },
      at: 1,
      gone: false,
      value: 'closed',
      status: 'active',
      context: {},
      next: [],
    });
    await page.locator('form.send input').fill('open');
    await page.locator('form.send textarea').fill('{ "by": }');
    await page.locator('form.send button').click();
    await page.locator('form.send .mistake').waitFor();
    await page.locator('form.send textarea').fill('{ "by": "eve" }');
    await page.locator('form.send button').click();
    await page.locator('.notice[data-level="info"]').waitFor();
    assert.deepEqual(server.heard.at(-1), {
      type: 'send',
      place: { process: 'till#1', actor: 'door' },
      event: { by: 'eve', type: 'open' },
    } as object);
    server.tell({ type: 'refused', what: 'send', why: 'no such actor' });
    await page.getByText('send was refused: no such actor').waitFor();
  });

  it('turns a killed process red, and keeps its last state, records and lines', async () => {
    await open();
    await unfold('till');
    server.tell(records('till#1', opens), {
      type: 'processes',
      units: [
        shopUnits[0]!,
        unit('till', { phase: 'backoff', state: null, process: null, dead: [killed('till', 1)] }),
        shopUnits[2]!,
      ],
    });
    await page.locator('.tree-row[data-key="unit till"][data-tone="bad"]').waitFor();
    await row('life till#1').click();
    await page.locator('.life').waitFor();
    assert.match(await textOf('.life-end'), /till#1 ended .* killed by SIGKILL/);
    assert.deepEqual(await texts('.life .flight-row .event-name'), ['paid', 'session.opened']);
    assert.deepEqual(await texts('.life .log-text'), ['the last line it wrote']);
    assert.include(await textOf('.detail'), 'SIGKILL');
    // Its actors are still there, as they were last.
    await page.locator('.detail').getByText('door', { exact: true }).click();
    await active('door.opened').waitFor();
    assert.equal(await page.locator('.chart.failed').count(), 1);
    // With its next life it is green again, and the dead one stays below it.
    server.tell({
      type: 'processes',
      units: [shopUnits[0]!, unit('till', { incarnation: 2, dead: [killed('till', 1)] }), shopUnits[2]!],
    });
    await page.locator('.tree-row[data-key="unit till"][data-tone="good"]').waitFor();
    assert.match((await row('unit till').textContent()) ?? '', /↻1/);
    assert.equal(await row('life till#1').count(), 1);
  });

  it('keeps a crashed actor with its message and stack', async () => {
    await open();
    await unfold('till');
    server.tell(
      records('till#1', {
        k: 'crash',
        at: startedAtMs,
        actor: addressOf('door'),
        message: 'the hinge broke',
        stack: 'Error: the hinge broke\n    at swing (door.ts:3:1)',
      }),
    );
    await page.locator('.tree-row[data-key="actor till#1 door"][data-tone="bad"]').click();
    await page.locator('.detail .stack').waitFor();
    assert.include(await textOf('.detail'), 'door.ts:3:1');
    assert.include(await textOf('.event-row[data-kind="failure"]'), 'the hinge broke');
  });

  it('searches events and stops them, and catches up', async () => {
    await open();
    await unfold('till');
    server.tell(
      records('till#1', opens, {
        k: 'ignored',
        at: startedAtMs + 2_000,
        actor: addressOf('door'),
        event: 'kick',
      }),
    );
    await page.getByText('kick').waitFor();
    await page.keyboard.press('/');
    await page.keyboard.type('kick');
    await rowsOf(1);
    await page.keyboard.press('Escape');
    await page.keyboard.press('p');
    await page.locator('.pause.on').waitFor();
    await page.locator('#search').fill('');
    await rowsOf(2);
    server.tell(
      records('till#1', { k: 'ignored', at: startedAtMs, actor: addressOf('door'), event: 'shove' }),
      records('till#1', transition('door', 'close', 'closed')),
    );
    // The tree goes on while the list stands still.
    await row('actor till#1 door').getByText('closed').waitFor();
    assert.deepEqual(await texts('.event-row .event-name'), ['open', 'kick']);
    await page.keyboard.press('Escape');
    await page.keyboard.press('p');
    await rowsOf(4);
    await page.locator('.chip[data-kind="ignored"]').click();
    await rowsOf(2);
  });

  it('draws messages between processes as a sequence, and the log', async () => {
    await open();
    await unfold('till');
    server.tell(
      records('till#1', {
        k: 'message',
        at: startedAtMs,
        from: { process: 'stock#1', actor: 'shelf' },
        to: 'door',
        event: 'message.goods',
      }),
      {
        type: 'log',
        lines: [{ atMs: startedAtMs, unit: 'till', stream: 'err', level: null, text: 'no change left' }],
      },
    );
    await page.keyboard.press('s');
    await page.locator('.step').waitFor();
    assert.deepEqual(await texts('.lifeline-name'), ['stock', 'till']);
    assert.include(await page.locator('.step').innerHTML(), 'message.goods');
    await page.keyboard.press('l');
    await page.getByText('no change left').waitFor();
  });

  it('lists channels with rate, depth and latency, and shared memory with how full it is', async () => {
    await open();
    const [till, stock] = [
      { process: 'till#1', actor: 'door' },
      { process: 'stock#1', actor: 'shelf' },
    ];
    const flow = { from: till, to: stock, channel: 'orders', messagesPerS: 12_345, depth: 17, waitMs: 0.034 };
    const stuck = { from: stock, to: till, channel: 'receipts', messagesPerS: 0, depth: 512, waitMs: null };
    server.tell({ ...metricsOf(startedAtMs, ['till#1', 'stock#1']), flows: [stuck, flow] });
    await page.keyboard.press('m');
    const channels = page.locator('.transport table').first();
    await channels.locator('td', { hasText: 'orders' }).waitFor();
    assert.deepEqual(await channels.locator('tbody tr').allTextContents(), [
      'till#1stock#1orders12k/s1734 µs',
      'stock#1till#1receipts0/s512–',
    ]);
    assert.equal(await textOf('.metric[data-figure="waitMs"] strong'), '34 µs');
    await page.locator('.transport button', { hasText: 'shop/orders' }).click();
    await page.locator('.transport tr.selected').waitFor();
    assert.include(await textOf('.detail'), '64 packets');
    assert.include(await textOf('.transport tr.selected'), '364');
    // A channel leads to whoever sends.
    await channels.locator('button', { hasText: 'till#1' }).first().click();
    await active('door.closed').waitFor();
  });

  it('draws what depends on what, with the state of each gate', async () => {
    await open();
    await page.locator('.dependence[data-gate="open"]').waitFor();
    server.tell({
      type: 'dependences',
      edges: [{ unit: 'till', on: 'stock', state: 'operative', mode: 'after', gate: 'closed' }],
    });
    await page.locator('.dependence[data-gate="closed"]').waitFor();
    assert.equal(await page.locator('.unit-box').count(), 2);
  });

  it('opens an actor by its link, wherever it is in the tree', async () => {
    const many = Array.from({ length: 40 }, (_, i) => actor(`shelf/box/${i}`, 'full'));
    const link: Selection = { kind: 'actor', process: 'stock#1', actor: 'shelf/box/33' };
    await open(
      [...shop().slice(0, -1), dump({ process: 'stock#1', records: [actor('shelf', null), ...many] })],
      link,
    );
    await page.locator('.tree-row.selected').waitFor();
    assert.include(await textOf('.tree-row.selected'), 'box/33');
    await row('actor stock#1 shelf/box/32').click();
    assert.include(page.url(), 'box%2F32');
    await page.goBack();
    await page.locator('.tree-row.selected').getByText('box/33').waitFor();
  });

  it('is dark where the system is, and as the reader wants', async () => {
    const background = () =>
      page
        .locator('body')
        .evaluate((body) => body.ownerDocument.defaultView.getComputedStyle(body).backgroundColor);
    await open(shop(), null, { colorScheme: 'dark' });
    const dark = await background();
    await page.keyboard.press('t');
    const light = await background();
    assert.notEqual(light, dark);
    await page.reload();
    await page.locator('.connection[data-state="open"]').waitFor();
    assert.equal(await background(), light);
    await page.keyboard.press('t');
    assert.equal(await background(), dark);
  });

  it('can be used by keys alone', async () => {
    await open();
    await unfold('till');
    await page.keyboard.press('j');
    await page.keyboard.press('j');
    await page.locator('.tree-row.selected[data-key="unit till"]').waitFor();
    await page.locator('.tree .virtual-list').focus();
    await page.keyboard.press('ArrowLeft');
    await row('actor till#1 door').waitFor({ state: 'detached' });
    await page.keyboard.press('ArrowRight');
    await row('actor till#1 door').waitFor();
    await page.keyboard.press('ArrowDown');
    await active('door.closed').waitFor();
    await page.keyboard.press('d');
    await page.locator('.dependence').waitFor();
    await page.keyboard.press('?');
    await page.locator('dialog[open]').waitFor();
    assert.include(await textOf('dialog'), 'dependence graph');
    await page.keyboard.press('Escape');
    await page.locator('dialog[open]').waitFor({ state: 'detached' });
    await page.keyboard.press('Escape');
    await page.locator('.tree-row.selected').waitFor({ state: 'detached' });
  });

  it('says when it has lost the server, and takes all anew when it is back', async () => {
    await open();
    await unfold('till');
    const { port } = server;
    await server[Symbol.asyncDispose]();
    await page.locator('.connection[data-state="lost"]').waitFor();
    // What was there is still to be read.
    assert.equal(await row('actor till#1 door').count(), 1);
    server = await ToldServer.start(
      [...shop().slice(0, -1), dump({ process: 'till#1', records: [actor('window', 'shut')] })],
      port,
    );
    await row('actor till#1 window').waitFor();
    assert.equal(await row('actor till#1 door').count(), 0);
    assert.equal(await page.locator('.connection').getAttribute('data-state'), 'open');
  });

  it('refuses a server of another protocol, and says what to do', async () => {
    complaints = [];
    server = await ToldServer.start([{ ...hello(), protocol: 99 as never }]);
    page = await browser.newPage();
    await page.goto(server.url);
    await page.locator('.connection[data-state="refused"]').waitFor();
    assert.include((await page.locator('.connection').getAttribute('title')) ?? '', 'reload the page');
  });

  it('shows hostile names, states and lines as text, never as markup', async () => {
    const bad = '<img src=x onerror="document.title=1">';
    await open(
      [
        hello({ topology: { name: bad, file: bad, pid: 1, startedAtMs } }),
        {
          type: 'processes',
          units: [unit('', { process: '#0' }), unit(bad, { process: `${bad}#1`, waitsFor: bad, state: bad })],
        },
        { type: 'dependences', edges: [{ unit: bad, on: bad, state: bad, mode: 'after', gate: 'open' }] },
        { type: 'resources', resources: [] },
        dump({
          process: `${bad}#1`,
          records: [
            {
              k: 'chart',
              hash: bad,
              chart: {
                id: bad,
                initial: bad,
                states: { [bad]: { description: bad, on: { [bad]: { actions: bad } } } },
              },
            },
            actor(bad, bad, bad),
            { k: 'crash', at: 1, actor: addressOf(bad), message: bad, stack: bad },
          ],
        }),
        { type: 'log', lines: [{ atMs: 1, unit: bad, stream: 'out', level: null, text: bad }] },
        { type: 'refused', what: 'send', why: bad },
      ],
      { kind: 'actor', process: `${bad}#1`, actor: bad },
    );
    await page.locator('.state').first().waitFor();
    await page.keyboard.press('l');
    await page.locator('.log-row').waitFor();
    await page.keyboard.press('d');
    await page.locator('.unit-box').first().waitFor();
    // The brand's own picture is the only one.
    assert.deepEqual(
      await page.locator('img').evaluateAll((pictures) => pictures.map((each) => each.getAttribute('src'))),
      ['./icon.svg'],
    );
    assert.equal(await page.title(), 'actor-ipc inspector');
  });

  it('plays a recording: seeks, plays, steps', async () => {
    const span = { fromMs: startedAtMs, toMs: startedAtMs + 10_000 };
    await open([
      ...shop({ hello: { mode: 'recording', span, problem: 'it was cut off' } }),
      { type: 'playing', at: startedAtMs, playing: false, speed: 1 },
    ]);
    await page.locator('.playback').waitFor();
    assert.equal(await page.getByText('incomplete').getAttribute('title'), 'it was cut off');
    await page.keyboard.press('.');
    await page.locator('.playback select').selectOption('10');
    await page.locator('.playback select').blur();
    await page.keyboard.press(' ');
    await page.locator('.playback input[type="range"]').fill(String(startedAtMs + 5_000));
    const told = () => server.heard.filter(({ type }) => type !== 'watch');
    await waitUntil('three orders', () => told().length >= 3);
    assert.deepEqual(told(), [
      { type: 'step', by: 1 },
      { type: 'play', speed: 10 },
      { type: 'seek', at: startedAtMs + 5_000 },
    ]);
    server.tell({ type: 'playing', at: startedAtMs + 6_000, playing: true, speed: 1 });
    await page.getByRole('button', { name: 'Stop' }).waitFor();
  });

  it('draws five thousand actors, of which only what is seen is there', async () => {
    const many = Array.from({ length: 5_000 }, (_, i) => actor(`door/${i}`, 'closed', 'door'));
    await open([
      ...shop().slice(0, -1),
      dump({ process: 'stock#1', records: many }, { process: 'till#1', records: [actor('door', 'closed')] }),
    ]);
    await page.locator('.tree .count').getByText('5,001 actors').waitFor();
    await row('unit stock').locator('.twist').click();
    await row('actor stock#1 door/0').waitFor();
    assert.isBelow(await page.locator('.tree-row').count(), 60);
    await page.locator('#tree-search').fill('door/4999');
    await row('actor stock#1 door/4999').click();
    await page.locator('.tree-row.selected').waitFor();
    assert.equal(await page.locator('.tree-actor').count(), 1);
  });

  it('takes ten thousand events a second without falling behind', async () => {
    await open();
    await unfold('till');
    const batch = (from: number) =>
      records(
        'till#1',
        ...Array.from({ length: 500 }, (_, i) =>
          transition('door', `event${from + i}`, i % 2 ? 'opened' : 'closed'),
        ),
      );
    for (let sent = 0; sent < 20_000; sent += 500) server.tell(batch(sent));
    server.tell(metricsOf(startedAtMs, ['till#1']));
    await page.getByText('event19999', { exact: true }).waitFor();
    assert.isBelow(await page.locator('.event-row').count(), 40);
    assert.equal(await page.locator('.count.bad').count(), 0);
  });
});
