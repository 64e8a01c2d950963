// Certificates: an authority and what it has signed, made by openssl in a folder of the test.
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { LinkTls } from '../../../src/spec/relay-link.ts';

export class Authority {
  readonly #folder: string;
  readonly #name: string;

  constructor(folder: string, name = 'authority') {
    this.#folder = folder;
    this.#name = name;
    this.#openssl(
      'req',
      '-x509',
      ...newKey(this.#file('key')),
      '-days',
      '2',
      '-subj',
      `/CN=${name}`,
      '-out',
      this.#file('crt'),
    );
  }

  get certificate(): string {
    return this.#file('crt');
  }

  /** Files for one node; `names` are hosts or addresses that it answers for. */
  issue(node: string, names: readonly string[] = ['localhost']): LinkTls {
    const [key, request, cert, rules] = ['key', 'csr', 'crt', 'ext'].map((end) =>
      join(this.#folder, `${this.#name}-${node}.${end}`),
    ) as [string, string, string, string];
    const alternatives = names.map((name) => (/^[\d.]+$/.test(name) ? `IP:${name}` : `DNS:${name}`));
    writeFileSync(rules, `subjectAltName=${alternatives.join(',')}\n`);
    this.#openssl('req', ...newKey(key), '-subj', `/CN=${node}`, '-out', request);
    this.#openssl(
      'x509',
      '-req',
      '-in',
      request,
      '-CA',
      this.certificate,
      '-CAkey',
      this.#file('key'),
      '-CAcreateserial',
      '-days',
      '2',
      '-extfile',
      rules,
      '-out',
      cert,
    );
    return { ca: this.certificate, cert, key };
  }

  #file(end: string): string {
    return join(this.#folder, `${this.#name}.${end}`);
  }

  #openssl(...args: string[]): void {
    execFileSync('openssl', args, { stdio: 'pipe' });
  }
}

function newKey(file: string): string[] {
  return ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', file];
}
