// What stands in the records of requests. A peer wrote it: each field is looked at before it is used.
import { IpcError } from '../errors.ts';
import { creditMax } from './exchange.ts';
import { type RequestMode, requestMode } from './record.ts';

/** Requests have numbers from 1 to this, and then from 1 again. */
export const requestNumberMax = 0x7fffffff;

/** A request. Throws if it makes no sense. */
export function requestIn(body: unknown) {
  if (!Array.isArray(body) || typeof body[0] !== 'string') throw new Error('a request without a name');
  const [name, value, mode = requestMode.one, credit = 0, deadline = Number.POSITIVE_INFINITY] =
    body as unknown[];
  if (mode !== requestMode.one && mode !== requestMode.many && mode !== requestMode.dialog)
    throw new Error('a request for something unknown');
  const creditMin = mode === requestMode.one ? 0 : 1;
  if (!Number.isInteger(credit) || (credit as number) < creditMin || (credit as number) > creditMax)
    throw new Error('a request with a credit out of range');
  if (typeof deadline !== 'number' || Number.isNaN(deadline))
    throw new Error('a request with a deadline that is none');
  return { name: name as string, value, mode: mode as RequestMode, credit: credit as number, deadline };
}

/** Why there is no reply, as an error of the request with that name. Throws if it makes no sense. */
export function failureIn(body: unknown): (name: string) => IpcError {
  const { message, code } = (body ?? {}) as { message?: unknown; code?: unknown };
  if (typeof message !== 'string' || !(code === undefined || typeof code === 'string'))
    throw new Error('a failure without its reason');
  return (name) => failureOf(name, message, code);
}

function failureOf(name: string, why: string, code: string | undefined): IpcError {
  if (code === 'ERR_REQUEST_UNHANDLED') return IpcError.of(code, name, why);
  const cause = code === undefined ? undefined : IpcError.received({ code, message: why });
  return IpcError.from(cause, 'ERR_REQUEST_FAILED', name, why);
}
