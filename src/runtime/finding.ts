// Finding: one line of what `doctor` has looked at, and what to change.

export interface Finding {
  readonly name: string;
  /** `wrong`: nothing can run; `poor`: it runs, but not well. */
  readonly verdict: 'good' | 'poor' | 'wrong';
  readonly found: string;
  /** What to change; null if all is well. */
  readonly advice: string | null;
}

export const good = (name: string, found: string): Finding => ({
  name,
  verdict: 'good',
  found,
  advice: null,
});
export const poor = (name: string, found: string, advice: string): Finding => ({
  name,
  verdict: 'poor',
  found,
  advice,
});
export const wrong = (name: string, found: string, advice: string): Finding => ({
  name,
  verdict: 'wrong',
  found,
  advice,
});
