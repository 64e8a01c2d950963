// Completion as shells do it: each reads the script that `completion` prints and is asked for what could follow.
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { assert } from 'chai';
import { command, scratch } from './command.ts';

const main = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));

const isThere = (shell: string) => {
  try {
    execFileSync('sh', ['-c', `command -v ${shell}`], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
};

/** What each shell is asked with, for the words after the program's name; it prints one proposal per line. */
const questions: Record<string, (words: string) => string> = {
  bash: (words) => `source <(actor-ipc completion bash)
COMP_WORDS=(actor-ipc ${words}); COMP_CWORD=$((\${#COMP_WORDS[@]} - 1)); compopt() { :; }
_actor_ipc; printf '%s\\n' "\${COMPREPLY[@]}"`,
  zsh: (words) => `compdef() { :; }; compadd() { print -l -- \${(P)2}; }; _files() { :; }
source <(actor-ipc completion zsh)
words=(actor-ipc ${words}); CURRENT=\${#words}; _actor_ipc`,
  fish: (words) => `actor-ipc completion fish | source; complete -C 'actor-ipc ${words.replaceAll("'", '')}'`,
};

describe('completion', function () {
  this.timeout(180_000);
  const place = scratch();
  const bin = join(place.folder, 'bin');
  const { workspace } = place;
  before(() => {
    mkdirSync(join(workspace, 'etc'), { recursive: true });
    writeFileSync(join(workspace, 'etc', 'session.yaml'), 'dependences: {}\n');
    for (const [at, alias] of ['feed', 'front.end', 'other'].entries())
      writeFileSync(
        join(workspace, 'etc', `name-${at}.yaml`),
        `name: name-${at}\nuri: exec://localhost/bin/sleep?${at}\nalias: ${alias}\n`,
      );
    mkdirSync(bin);
    writeFileSync(join(bin, 'actor-ipc'), `#!/bin/sh\nexec "${process.execPath}" "${main}" "$@"\n`);
    chmodSync(join(bin, 'actor-ipc'), 0o755);
  });
  after(() => place.remove());

  for (const [shell, question] of Object.entries(questions)) {
    const title = isThere(shell) ? shell : `${shell} (skipped: ${shell} is not installed)`;
    (isThere(shell) ? describe : describe.skip)(title, () => {
      const ask = (words: string) =>
        execFileSync(shell, ['-c', question(words)], {
          encoding: 'utf8',
          env: { ...process.env, ...place.env, PATH: `${bin}:${process.env.PATH}` },
        })
          .split('\n')
          .filter((line) => line !== '')
          .sort();

      it('proposes commands', () => assert.deepEqual(ask('gr'), ['graph']));
      it('proposes values of an option', () => {
        assert.deepEqual(ask("graph --format ''"), ['dot', 'json', 'mermaid', 'svg']);
      });
      it('proposes the aliases of a session', () => {
        assert.deepEqual(ask(`session wait --workspace ${workspace} --alias f`), ['feed', 'front.end']);
      });
      it('proposes options', () => assert.deepEqual(ask('graph --fo'), ['--format']));
    });
  }

  it('knows three shells', async () => {
    const { code, output } = await command(['completion', 'csh'], place.env);
    assert.equal(code, 2);
    assert.match(output, /bash, zsh, fish/);
  });
});
