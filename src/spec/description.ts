// What all descriptions of a universe have in common: how they are refused, and the sizes that each of them may name.
import { IpcError } from '../errors.ts';
import { nearest } from '../names.ts';

/** The longest time that a timer of Node can wait for. */
export const timerMaxMs = 2 ** 31 - 1;

export function isWhole(value: number, max: number): boolean {
  return Number.isInteger(value) && value >= 1 && value <= max;
}

export function isRingSize(bytes: number): boolean {
  return Number.isInteger(Math.log2(bytes)) && bytes >= 1024 && bytes <= 2 ** 30;
}

export function invalid(where: string, why: string): IpcError {
  return IpcError.of('ERR_UNIVERSE_INVALID', where, why);
}

export function unknownKey(key: string, known: readonly string[]): string {
  return `unknown key ${key}${meant(key, known)}; allowed: ${known.join(', ')}`;
}

export function meant(word: string, known: readonly string[]): string {
  const near = nearest(word, known);
  return near === undefined ? '' : ` (did you mean ${near}?)`;
}
