// `run --inspect`, `run --record` and `inspect`, as a user runs them.
import { readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gunzipSync, gzipSync } from 'node:zlib';
import { assert } from 'chai';
import { Spectator } from '../inspector/spectator.ts';
import { Command, command, scratch } from './command.ts';

const lighthouse = fileURLToPath(new URL('../fixtures/inspector/lighthouse.topology.mjs', import.meta.url));
const address = /inspector: (http:\S+)/;

describe('actor-ipc inspect', function () {
  this.timeout(180_000);
  const place = scratch();
  const recording = join(place.folder, 'light.jsonl.gz');
  const running = new Set<Command>();
  const run = (...args: string[]) => {
    const started = new Command(['run', lighthouse, '-w', place.workspace, ...args], place.env);
    running.add(started);
    return started;
  };
  const inspect = (...args: string[]) => {
    const started = new Command(['inspect', ...args], place.env);
    running.add(started);
    return started;
  };
  after(() => {
    for (const each of running) each.process.kill('SIGKILL');
    place.remove();
  });

  it('shows a tree that runs, whether or not it was started for that', async () => {
    const tree = run();
    await tree.sees(/lighthouse is operative/);
    const { code, output } = await command(['inspect', '-w', place.workspace], place.env);
    assert.equal(code, 0, output);
    using page = new Spectator(address.exec(output)![1]!);
    await page.waits('both lamps', () => page.actors.has('lamp#1') && page.actors.has('foghorn#1'));
    assert.isFalse((page.messages[0] as { write: boolean }).write);
    // The same inspector for whoever asks next.
    const again = await command(['inspect', '-w', place.workspace, '--json'], place.env);
    assert.equal(JSON.parse(again.output).url, address.exec(output)![1]);
    tree.signal('SIGINT');
    assert.equal((await tree.ended).code, 0);
    await page.waits('the end', () => page.closed !== undefined);
  });

  it('is refused where no tree runs', async () => {
    assert.equal((await command(['inspect', '-w', place.workspace], place.env)).code, 4);
  });

  it('refuses a port that is taken, and leaves nothing running', async () => {
    const taken = createServer();
    await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve));
    const { port } = taken.address() as { port: number };
    const { code, output } = await run('--inspect', '--inspect-port', String(port)).ended;
    taken.close();
    assert.equal(code, 2);
    assert.match(
      output,
      /the inspector can't listen on 127\.0\.0\.1:\d+: .*EADDRINUSE.*take another --inspect-port/,
    );
  });

  describe('shows a recording', () => {
    it('of a run whose supervisor was killed', async () => {
      const tree = run('--record', recording, '--inspect');
      const [, url] = await tree.sees(address);
      using page = new Spectator(url!);
      const turns = () =>
        page.seen.filter(({ process, record }) => process === 'lamp#1' && record.k === 'transition').length;
      await page.waits('some turns of the lamp', () => turns() >= 8);
      const lamp = page.unit('lamp')!;
      process.kill(lamp.pid!, 'SIGKILL');
      await page.waits('its next life', () => (page.actors.get('lamp#2')?.size ?? 0) > 0);
      const from = Date.now();
      await page.waits('what is kept by now', () => Date.now() - from > 1_500);
      tree.signal('SIGKILL');
      await tree.ended;

      const shown = inspect(recording);
      const [, replay] = await shown.sees(address);
      using viewer = new Spectator(replay!);
      const hello = await viewer.waits('hello', () => viewer.last('hello'));
      assert.deepInclude(hello, { mode: 'recording', write: false });
      assert.equal(hello.topology.name, 'lighthouse');
      const { fromMs, toMs } = hello.span!;
      assert.isAbove(toMs - fromMs, 1_500);

      viewer.send({ type: 'seek', at: toMs });
      await viewer.waits('the end', () => viewer.last('playing')?.at === toMs);
      await viewer.waits('the second life', () => viewer.actors.has('lamp#2'));
      const [dead] = viewer.unit('lamp')!.dead;
      assert.deepInclude(dead, { process: 'lamp#1', pid: lamp.pid });

      // At each moment the lamp is what it had turned to last.
      const turnsBefore = () =>
        viewer.past.flatMap(({ process, record }) =>
          process === 'lamp#1' && record.k === 'transition' && record.actor === 'lamp' ? [record] : [],
        );
      const states = await viewer.waits(
        'what happened before',
        () => turnsBefore().length > 5 && turnsBefore(),
      );
      for (const { at, value } of [states[1]!, states[4]!, states[2]!]) {
        const before = viewer.messages.length;
        viewer.send({ type: 'seek', at });
        await viewer.waits('the dump', () =>
          viewer.messages.slice(before).some((message) => message.type === 'records' && message.dump),
        );
        assert.equal(viewer.valueOf({ process: 'lamp#1', actor: 'lamp' }), value);
        assert.isFalse(viewer.actors.has('lamp#2'));
      }

      const before = viewer.messages.length;
      viewer.send({ type: 'play', speed: 20 });
      await viewer.waits('the end', () => {
        const last = viewer.last('playing');
        return last?.at === toMs && !last.playing;
      });
      assert.isTrue(viewer.messages.slice(before).some(({ type }) => type === 'records'));
      await viewer.waits('the second life again', () => viewer.actors.has('lamp#2'));
      shown.signal('SIGINT');
      assert.equal((await shown.ended).code, 0);
    });

    it('holds no secret, and nothing of contexts', () => {
      const text = gunzipPart(recording);
      assert.notInclude(text, 'fresnel');
      assert.include(text, 'lamp is lit');
    });

    it('that was cut off in its middle, up to there', async () => {
      const cut = join(place.folder, 'cut.jsonl.gz');
      const bytes = readFileSync(recording);
      writeFileSync(cut, bytes);
      truncateSync(cut, Math.floor(bytes.length * 0.6));
      const shown = inspect(cut);
      const [, url] = await shown.sees(address);
      await shown.sees(/some of it is missing|only up to some point/);
      using page = new Spectator(url!);
      const hello = await page.waits('hello', () => page.last('hello'));
      assert.match(hello.problem!, /some of it is missing|only up to some point/);
      page.send({ type: 'seek', at: hello.span!.toMs });
      await page.waits('what is whole of it', () => page.actors.has('lamp#1'));
      shown.signal('SIGTERM');
      assert.equal((await shown.ended).code, 0);
    });

    it('that was spoilt in its middle, and says so', async () => {
      const spoilt = join(place.folder, 'spoilt.jsonl');
      const lines = gunzipPart(recording).split('\n').filter(Boolean);
      lines.splice(
        5,
        2,
        '{"not": a line',
        '[1, {"type": "records", "batches": [{"process": "x", "records": [7]}]}]',
      );
      writeFileSync(spoilt, lines.join('\n'));
      const shown = inspect(spoilt);
      await shown.sees(/it was cut off, or spoilt: some of it is missing/);
      await shown.sees(address);
      shown.signal('SIGTERM');
      await shown.ended;
    });

    const header = { actorIpc: 'recording', version: 1, startedAtMs: 1, topology: { name: 'x' } };
    const others: [what: string, bytes: Buffer | string | undefined, says: RegExp][] = [
      ['that is not there', undefined, /there is no such file/],
      ['that is empty', '', /it is empty/],
      ['that is another file', 'All happy families are alike', /it is no recording of actor-ipc/],
      ['that is another compressed file', gzipSync('Call me Ishmael'), /it is no recording of actor-ipc/],
      ['that only looks compressed', Buffer.from([0x1f, 0x8b, 1, 2, 3]), /it is no recording of actor-ipc/],
      [
        'of a later version',
        JSON.stringify({ ...header, version: 2 }),
        /its format has version 2, and this actor-ipc reads up to 1/,
      ],
      ['without anything in it', JSON.stringify(header), /it holds nothing but its header/],
    ];
    for (const [what, bytes, says] of others)
      it(`${what} is refused with the reason`, async () => {
        const file = join(place.folder, 'other.jsonl');
        if (bytes !== undefined) writeFileSync(file, bytes);
        const { code, output } = await command(
          ['inspect', bytes === undefined ? '/nowhere.jsonl' : file],
          place.env,
        );
        assert.equal(code, 2);
        assert.match(output, says);
      });
  });

  it('can record nowhere but where a file can be made', async () => {
    const { code, output } = await run('--record', join(place.folder, 'no', 'such', 'folder.jsonl')).ended;
    assert.equal(code, 2);
    assert.match(output, /recording .*folder\.jsonl: it can't be made: .*ENOENT/);
  });
});

/** What is whole of a file without its end. */
function gunzipPart(file: string): string {
  return gunzipSync(readFileSync(file), { finishFlush: 2 }).toString();
}
