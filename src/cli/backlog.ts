// Backlog: whole lines that wait to be written. Where they come faster than they go, the oldest of them go unseen, and a line
// in their place says how many.

/** So much text waits at most. */
export const backlogLengthMax = 256 * 1024;
/** What is dropped at once, beyond what is too much: so that not every line moves all others. */
const dropLength = backlogLengthMax / 8;

export class Backlog {
  readonly #tellGap: (lines: number) => string;
  #texts: string[] = [];
  #length = 0;
  #dropped = 0;

  /** @param tellGap the line that stands for so many. */
  constructor(tellGap: (lines: number) => string) {
    this.#tellGap = tellGap;
  }

  /** Characters that wait. */
  get length(): number {
    return this.#length;
  }

  /** @param text one or several whole lines. */
  add(text: string): void {
    this.#texts.push(text);
    this.#length += text.length;
    if (this.#length > backlogLengthMax) this.#drop();
  }

  /** @param length about so much, and at least one text. @returns the oldest, in order; nothing if none wait. */
  take(length = Number.POSITIVE_INFINITY): string {
    let taken = '';
    if (this.#dropped > 0) taken = this.#tellGap(this.#dropped);
    this.#dropped = 0;
    let count = 0;
    while (count < this.#texts.length && (count === 0 || taken.length < length))
      taken += this.#texts[count++];
    for (const text of this.#texts.splice(0, count)) this.#length -= text.length;
    return taken;
  }

  clear(): void {
    this.#texts = [];
    this.#length = 0;
    this.#dropped = 0;
  }

  #drop(): void {
    let count = 0;
    // The newest stays, however long it is.
    while (this.#length > backlogLengthMax - dropLength && count < this.#texts.length - 1) {
      const text = this.#texts[count++]!;
      this.#length -= text.length;
      this.#dropped += text.split('\n').length - 1;
    }
    this.#texts.splice(0, count);
  }
}
