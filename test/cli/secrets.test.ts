// Secrets reach the processes that name them and nothing else; variables of files reach the topology.
import { existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { assert } from 'chai';
import { Spectator } from '../inspector/spectator.ts';
import { waitUntil } from '../support/wait-until.ts';
import { Command, command, processesWith, scratch } from './command.ts';

const marks = { variable: 'marked-secret-of-a-variable', file: 'marked-secret-of-a-file' } as const;
const entry = (name: string) => new URL(`../../dist/${name}`, import.meta.url).href;

describe('a topology with secrets', function () {
  this.timeout(180_000);
  const place = scratch();
  const file = join(place.folder, 'topology.mjs');
  const recording = join(place.folder, 'recording.jsonl');
  const outputs: string[] = [];
  let run: Command;

  const ask = async (...args: string[]) => {
    const result = await command([...args, '--workspace', place.workspace], place.env);
    outputs.push(result.output);
    return result;
  };
  const write = (text: string) =>
    writeFileSync(
      file,
      `import { defineTopology, env, exec, node, secret } from '${entry('spec/topology.js')}';\n${text}`,
    );
  /** All texts in files below a folder, but those that hold the secrets. */
  function* texts(folder: string): Generator<[string, string]> {
    for (const name of readdirSync(folder)) {
      const path = join(folder, name);
      if (statSync(path).isDirectory()) yield* texts(path);
      else if (statSync(path).isFile() && name !== '.env' && name !== 'token.txt')
        yield [path, readFileSync(path, 'latin1')];
    }
  }

  before(async () => {
    writeFileSync(join(place.folder, '.env'), `MARKED=${marks.variable}\nPLACE=from-file\nTAKEN=from-file\n`);
    writeFileSync(join(place.folder, 'token.txt'), `${marks.file}\n`);
    writeFileSync(
      join(place.folder, 'child.mjs'),
      'console.log("child", process.env.TOKEN?.length, process.env.MARKED); setInterval(() => {}, 1e6);\n',
    );
    write(`
      const shell = (script, env) => exec('sh', { args: ['-c', script], env });
      export default defineTopology({
        name: 'vault',
        children: {
          named: shell('echo named \${#TOKEN} \${#OTHER}; exec sleep 1000', {
            TOKEN: secret('MARKED'), OTHER: secret({ file: 'token.txt' }),
          }),
          other: shell('echo "other<$MARKED>"; exec sleep 1000', {}),
          child: node('child.mjs', { env: { TOKEN: secret('MARKED') } }),
          dies: exec('sh', { args: ['-c', 'echo bye; exit 3'], env: { TOKEN: secret('MARKED') }, restart: 'transient',
            backoff: { minMs: 10, maxMs: 10 }, giveUp: { restarts: 1, periodMs: 60000 } }),
          probed: exec('sh', { args: ['-c', 'exec sleep 1000'], env: { MINE: 'of-the-unit' }, liveness: {
            exec: ['sh', '-c', 'echo "probe<$MARKED><$MINE>" > probe.txt'], periodMs: 50,
          } }),
          values: exec('sh', { args: ['-c', 'echo "$@"; exec sleep 1000', 'sh', env('PLACE'), env('TAKEN'), env('NOT_SET', 'else')] }),
        },
      });`);
    run = new Command(
      ['run', file, '--workspace', place.workspace, '--json', '--log-level', 'debug', '--record', recording],
      {
        ...place.env,
        TAKEN: 'from-outside',
      },
    );
    await run.sees(/dies: .*given up/);
  });
  after(async () => {
    run.signal('SIGKILL');
    await run.ended;
    await waitUntil('no process of the tree', () => processesWith(place.folder).length === 0);
    place.remove();
  });

  it('gives them to the processes that name them', async () => {
    await run.sees(new RegExp(`named ${marks.variable.length} ${marks.file.length}`));
    await run.sees(new RegExp(`child ${marks.variable.length} undefined`));
  });

  it('keeps them from the others', async () => {
    await run.sees(/other<>/);
  });

  it('gives a program that probes a unit what that unit gets, and no more', async () => {
    const path = join(place.folder, 'probe.txt');
    const text = await waitUntil(
      'the probe',
      () => (existsSync(path) && readFileSync(path, 'utf8')) || undefined,
    );
    assert.equal(text, 'probe<><of-the-unit>\n');
  });

  it('reads variables from .env, below those that are set, and defaults', async () => {
    await run.sees(/from-file from-outside else/);
  });

  it('shows them nowhere', async () => {
    await ask('status', '--json');
    await ask('logs', '--json');
    await ask('restart', 'named');
    await ask('apply', file, '--dry-run', '--json');
    await ask('status');
    await ask('fingerprint', 'named');
    // What fails says why, and not with which values.
    assert.equal((await ask('signal', 'named', 'NOPE')).code, 6);
    for (const args of [['check'], ['graph'], ['graph', '--format', 'json']])
      outputs.push((await command([args[0]!, file, ...args.slice(1)], place.env)).output);
    const check = await command(['check', file, '--json'], place.env);
    assert.equal(check.code, 0, check.output);
    assert.include(check.output, '"secret": "MARKED"');
    const arguments_ = readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .map((pid): [string, string] => {
        try {
          return [`arguments of ${pid}`, readFileSync(`/proc/${pid}/cmdline`, 'latin1')];
        } catch {
          return [pid, ''];
        }
      });
    const seen: [string, string][] = [
      ['output of run', run.output],
      ['output of check', check.output],
      ...outputs.map((output): [string, string] => ['output of a command', output]),
      ...arguments_,
      ...texts(place.folder),
    ];
    for (const [what, text] of seen)
      for (const mark of Object.values(marks)) assert.notInclude(text, mark, what);
  });

  it('shows them neither in the inspector nor in a recording', async () => {
    const { output } = await command(['inspect', '--workspace', place.workspace, '--json'], place.env);
    using page = new Spectator(JSON.parse(output).url);
    await page.waits('the units', () => page.unit('named') && page.actors.size > 0);
    // What the supervisor itself keeps of its units is there to be seen, too.
    const supervisor = await page.waits(
      'the supervisor',
      () =>
        [...page.actors].flatMap(([process, actors]) =>
          [...actors.keys()].filter((actor) => actor === 'supervisor').map((actor) => ({ process, actor })),
        )[0],
    );
    page.send({ type: 'watch', place: supervisor });
    await page.waits('its context', () => page.contextOf('supervisor'));
    const shown = JSON.stringify(page.messages);
    const recorded = await waitUntil('a recording', () => {
      const text = readFileSync(recording, 'utf8');
      return text.includes('"chart"') && text.includes('dies') && text;
    });
    for (const text of [output, shown, recorded])
      for (const mark of Object.values(marks)) assert.notInclude(text, mark);
  });

  it('says which one is missing, and tries the start again', async () => {
    const from = run.output.length;
    rmSync(join(place.folder, 'token.txt'));
    const restarted = ask('restart', 'named');
    await run.sees(/the secret .*token\.txt is not there: the file can't be read \(ENOENT\)/, from);
    writeFileSync(join(place.folder, 'token.txt'), marks.file);
    assert.equal((await restarted).code, 0);
  });

  it('refuses a variable that is not there', async () => {
    write(
      `export default defineTopology({ name: 'vault', children: { a: exec(env('NOWHERE_TO_BE_SEEN')) } });`,
    );
    const { code, output } = await command(['check', file], place.env);
    assert.equal(code, 2);
    assert.match(output, /the variable NOWHERE_TO_BE_SEEN is not set/);
  });

  it('reads another file of variables if told so', async () => {
    writeFileSync(join(place.folder, 'more'), 'NOWHERE_TO_BE_SEEN=true\n');
    const { code, output } = await command(
      ['check', file, '--env-file', join(place.folder, 'more')],
      place.env,
    );
    assert.equal(code, 0, output);
    const missing = await command(['check', file, '--env-file', join(place.folder, 'less')], place.env);
    // Some versions of Node.js take this option for their own, wherever it stands, and end with 9.
    assert.include([2, 9], missing.code);
    assert.match(missing.output, /can not be read as a file of variables|not found/);
  });
});
