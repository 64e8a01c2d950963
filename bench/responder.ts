// Responder: the end of a pair that answers and takes.
import type { Job } from './job.ts';
import { payloadOf } from './payload.ts';
import type { Port } from './port.ts';

/**
 * Echoes in a round-trip measure, takes in a one-way measure and in the warm-up before it. An end mark comes before the
 * first and after each; it is answered. `begin` is lower by one for each end mark that comes even before those.
 */
export function respond(port: Port, job: Job, begin = -1, payload = payloadOf(job)): void {
  const echoes = job.measures.flatMap((measure) => (measure === 'round-trip' ? [true] : [false, false]));
  let at = begin;
  let n = 0;
  port.listen((message) => {
    if (payload.isEnd(message)) {
      at++;
      n = 0;
      return port.send(payload.end);
    }
    payload.check(message, n);
    const answer = echoes[at] ? port.send(payload.write(n)) : undefined;
    n++;
    return answer;
  });
}
