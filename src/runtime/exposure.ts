// Exposure: what those who look on may see of this process: values as its `redact` hook leaves them, and no secret that it
// was started with.
import type { Encoded } from './feed.ts';
import { encodeValue, type Redact, withoutSecrets } from './value-encoder.ts';

export class Exposure {
  /** The program's own hook. */
  redact: Redact | undefined;
  readonly #secrets: readonly string[];

  /** @param secrets texts that are shown nowhere. */
  constructor(secrets: readonly string[] = []) {
    this.#secrets = secrets;
  }

  encode(value: unknown): Encoded {
    return encodeValue(value, { redact: this.redact, secrets: this.#secrets });
  }

  text(text: string): string {
    return this.#secrets.length === 0 ? text : withoutSecrets(text, this.#secrets);
  }
}
