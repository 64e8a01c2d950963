// Whatever a page of the documentation tells to type exists: commands with their options, scripts, and the names of tests.
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { assert } from 'chai';
import { command } from './cli/command.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const read = (name: string) => readFileSync(join(root, name), 'utf8');
const pages = [
  ...['README.md', 'SECURITY.md', 'CONTRIBUTING.md', 'ARCHITECTURE.md'],
  ...readdirSync(join(root, 'docs'))
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name}`),
  ...readdirSync(join(root, 'examples')).map((name) => `examples/${name}/README.md`),
];

/** What stands in a page to be typed: lines of blocks, and pieces of a line. */
function typed(page: string): string[] {
  const text = read(page);
  const blocks = [...text.matchAll(/^```(?:console|sh|bash)?\n(.*?)^```/gms)].flatMap(([, block]) =>
    block!.split('\n').map((line) => line.replace(/^\$ /, '')),
  );
  const inline = [...text.replace(/^```.*?^```/gms, '').matchAll(/`([^`]+)`/g)].map(([, code]) => code!);
  return [...blocks, ...inline].map((line) => line.replaceAll('\n', ' '));
}

describe('what the documentation tells to type', function () {
  this.timeout(120_000);
  const helps = new Map<string, Promise<string>>();
  const helpOf = (...names: string[]) => {
    const key = names.join(' ');
    const help = helps.get(key) ?? command([...names, '--help']).then(({ output }) => output);
    helps.set(key, help);
    return help;
  };
  const commandsIn = (help: string) =>
    [...help.slice(help.indexOf('Commands:')).matchAll(/^ {2}([a-z][a-z-]*)/gm)].map(([, name]) => name!);

  for (const page of pages)
    it(`${page}: commands and options of actor-ipc are there`, async () => {
      const known = commandsIn(await helpOf());
      for (const line of typed(page)) {
        const [, words] = /^(?:[A-Z_]+=\S+ )*(?:npx )?actor-ipc ((?:[a-z]\S*|-).*)$/.exec(line) ?? [];
        if (words === undefined) continue;
        const [name, next] = words.split(/\s+/) as [string, string?];
        assert.include(known, name, line);
        const below = commandsIn(await helpOf(name)).includes(next ?? '') ? [name, next!] : [name];
        const help = await helpOf(...below);
        for (const [, option] of words.matchAll(/[[\s](--[a-z][a-z-]+|-[a-zA-Z])(?=[\s\]=]|$)/g))
          assert.match(help, new RegExp(`(^|[\\s,])${option}([\\s,=]|$)`, 'm'), `${line}: ${option}`);
      }
    });

  it('scripts of npm are there', () => {
    const { scripts } = JSON.parse(read('package.json')) as { scripts: object };
    for (const page of pages)
      for (const line of typed(page))
        for (const [, name] of line.matchAll(/npm run (?:-s |--silent )?([a-z:]+)/g))
          assert.property(scripts, name!, `${page}: ${line}`);
  });

  it('files of tests and programs are there', () => {
    for (const page of pages)
      for (const line of typed(page))
        for (const [file] of line.matchAll(/\b(?:test|examples|src|cpp)\/[\w./-]+\.(?:ts|mjs|cc|h|md)\b/g))
          assert.isTrue(existsSync(join(root, file)), `${page}: ${file}`);
  });

  it('names of tests find some', () => {
    const wanted = pages.flatMap((page) =>
      typed(page).flatMap((line) =>
        [...line.matchAll(/npx mocha -g (?:"([^"]+)"|(\S+))/g)].map(([, quoted, word]) => ({
          page,
          name: quoted ?? word!,
        })),
      ),
    );
    assert.isNotEmpty(wanted);
    const args = ['node_modules/mocha/bin/mocha.js', '--dry-run', '--reporter', 'json'];
    const output = execFileSync(process.execPath, args, {
      cwd: root,
      encoding: 'utf8',
      maxBuffer: 256 * 1024 * 1024,
    });
    const { tests } = JSON.parse(output.slice(output.indexOf('{'))) as { tests: { fullTitle: string }[] };
    for (const { page, name } of wanted)
      assert.isTrue(
        tests.some(({ fullTitle }) => new RegExp(name).test(fullTitle)),
        `${page}: -g ${name}`,
      );
  });
});
