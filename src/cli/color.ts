// Colors of what this command prints: where a person reads it, unless NO_COLOR or FORCE_COLOR says otherwise.
// picocolors alone would also color where the variable CI is set, and so break what reads our output there.
import pc from 'picocolors';

const { FORCE_COLOR, NO_COLOR } = process.env;

/** Whether a person sees the standard output in a terminal that can be drawn on. */
export const isTerminal = process.stdout.isTTY === true && process.env.TERM !== 'dumb';

/** Whether the standard output is colored: https://no-color.org, https://force-color.org. */
export const isColored = NO_COLOR ? false : FORCE_COLOR ? FORCE_COLOR !== '0' : isTerminal;

export const paint = pc.createColors(isColored);
