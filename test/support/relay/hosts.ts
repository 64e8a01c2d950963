// Hosts: machines with a network of their own between them, as network namespaces on this one. Needs to be root.
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { waitUntil } from '../wait-until.ts';

/** Why there can be none here; undefined: there can. */
export function noHosts(): string | undefined {
  if (process.getuid?.() !== 0) return 'not root';
  const name = `aipc-probe-${process.pid}`;
  const made = spawnSync('ip', ['netns', 'add', name]);
  if (made.error || made.status !== 0) return 'no network namespaces';
  spawnSync('ip', ['netns', 'del', name]);
  return undefined;
}

/** A program on a host; what it prints are lines of JSON, or plain ones. */
export class HostProgram {
  readonly child: ChildProcess;
  readonly lines: string[] = [];
  stderr = '';
  #id = 0;

  constructor(child: ChildProcess) {
    this.child = child;
    let rest = '';
    child.stdout!.setEncoding('utf8').on('data', (text: string) => {
      const parts = (rest + text).split('\n');
      rest = parts.pop()!;
      this.lines.push(...parts);
    });
    child.stderr!.setEncoding('utf8').on('data', (text: string) => {
      this.stderr += text;
    });
  }

  async sees(what: string, test: (line: string) => boolean, watchdogMs = 25_000): Promise<string> {
    return waitUntil(what, () => this.lines.find(test), watchdogMs).catch((error: Error) => {
      throw new Error(`${error.message}\n${this.lines.slice(-5).join('\n')}\n${this.stderr.slice(-2_000)}`);
    });
  }

  /** Orders something and waits for the answer. */
  async does(what: string, facts: object = {}): Promise<unknown> {
    const id = ++this.#id;
    this.child.stdin!.write(`${JSON.stringify({ id, what, ...facts })}\n`);
    const line = await this.sees(`the answer to ${what}`, (each) => each.startsWith(`{"id":${id},`));
    const { answer, error } = JSON.parse(line) as { answer?: unknown; error?: unknown };
    return error ?? answer;
  }
}

export class Hosts {
  readonly #prefix = `aipc${process.pid % 10_000}`;
  readonly #names: string[] = [];
  readonly #programs = new Set<HostProgram>();

  constructor(names: readonly string[]) {
    try {
      this.#make('sw');
      this.#ip('-n', this.#ns('sw'), 'link', 'add', 'br0', 'type', 'bridge');
      this.#ip('-n', this.#ns('sw'), 'link', 'set', 'br0', 'up');
      for (const name of names) this.#join(name);
    } catch (error) {
      this.close();
      throw error;
    }
  }

  addressOf(name: string): string {
    return `10.77.0.${this.#names.indexOf(name) + 1}`;
  }

  /** Pulls the cable of a host, or plugs it in again. */
  cable(name: string, plugged: boolean): void {
    this.#ip('-n', this.#ns('sw'), 'link', 'set', `p${this.#names.indexOf(name)}`, plugged ? 'up' : 'down');
  }

  /** Lets a host send no more than that each second, as over a thin line: `256kbit`. Undefined: as much as it can. */
  thin(name: string, rate: string | undefined): void {
    const args = [
      'netns',
      'exec',
      this.#ns(name),
      'tc',
      'qdisc',
      rate ? 'add' : 'del',
      'dev',
      'eth0',
      'root',
    ];
    if (rate) args.push('tbf', 'rate', rate, 'burst', '4kb', 'latency', '1s');
    this.#ip(...args);
  }

  run(name: string, fixture: string, args: readonly string[], env: NodeJS.ProcessEnv): HostProgram {
    return this.node(
      name,
      [fileURLToPath(new URL(`../../fixtures/relay/${fixture}`, import.meta.url)), ...args],
      env,
    );
  }

  /** Runs Node there. */
  node(name: string, args: readonly string[], env: NodeJS.ProcessEnv): HostProgram {
    return this.start(name, process.execPath, args, env);
  }

  /** Any program. */
  start(name: string, command: string, args: readonly string[], env: NodeJS.ProcessEnv = {}): HostProgram {
    const child = spawn('ip', ['netns', 'exec', this.#ns(name), command, ...args], {
      stdio: ['pipe', 'pipe', 'pipe'],
      env: { ...process.env, ...env },
    });
    const program = new HostProgram(child);
    child.stdin!.on('error', () => {});
    this.#programs.add(program);
    return program;
  }

  close(): void {
    for (const { child } of this.#programs) child.kill('SIGKILL');
    for (const name of this.#names.splice(0)) spawnSync('ip', ['netns', 'del', this.#ns(name)]);
  }

  #join(name: string): void {
    const index = this.#names.length;
    this.#make(name);
    const [ns, sw] = [this.#ns(name), this.#ns('sw')];
    this.#ip('-n', sw, 'link', 'add', `p${index}`, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', ns);
    this.#ip('-n', sw, 'link', 'set', `p${index}`, 'master', 'br0');
    this.#ip('-n', sw, 'link', 'set', `p${index}`, 'up');
    this.#ip('-n', ns, 'addr', 'add', `10.77.0.${index + 1}/24`, 'dev', 'eth0');
    this.#ip('-n', ns, 'link', 'set', 'eth0', 'up');
    this.#ip('-n', ns, 'link', 'set', 'lo', 'up');
  }

  #make(name: string): void {
    this.#ip('netns', 'add', this.#ns(name));
    this.#names.push(name);
  }

  #ns(name: string): string {
    return `${this.#prefix}-${name}`;
  }

  #ip(...args: string[]): void {
    execFileSync('ip', args, { stdio: 'pipe' });
  }
}
