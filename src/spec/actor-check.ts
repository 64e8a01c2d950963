// The checks of what a program asks of a supervisor of actors: itself, and each child that is added later.
import { IpcError } from '../errors.ts';
import { isName, nameRule } from '../names.ts';
import type { ActorChildSpec, ActorsChild, AutoShutdown } from './child.ts';
import { insignificant, parseActors } from './topology-check.ts';
import { invalid } from './topology-mistakes.ts';
import type { ActorInput, SupervisorInput } from './topology-schema.ts';

/** A supervisor with nothing but actors below it. */
export type ActorsInput = Omit<SupervisorInput, 'kind' | 'children' | 'child'> & {
  children?: Record<string, ActorChildInput>;
  child?: ActorChildInput;
};
/** What may stand below such a supervisor: an actor, or another one. */
export type ActorChildInput = ActorInput | (ActorsInput & { kind: 'supervisor' });

/** @throws {IpcError} ERR_TOPOLOGY_INVALID with one line for each mistake. */
export function checkActors(name: string, input: unknown): ActorsChild {
  if (!isName(name)) throw invalid('a supervisor', [`name: ${nameRule}, not ${JSON.stringify(name)}`]);
  if (typeof input !== 'object' || input === null)
    throw invalid(`supervisor ${name}`, ['it must be an object']);
  return parseActors({ ...input, kind: 'supervisor' }, `supervisor ${name}`) as ActorsChild;
}

/** @throws {IpcError} ERR_TOPOLOGY_INVALID. */
export function checkActorChild(id: unknown, input: unknown, auto: AutoShutdown): ActorChildSpec {
  if (typeof id !== 'string' || !isName(id)) throw IpcError.of('ERR_TOPOLOGY_INVALID', 'a child', nameRule);
  const spec = parseActors(input, `child ${id}`);
  const why = insignificant(spec, auto);
  if (why) throw invalid(`child ${id}`, [`significant: ${why}`]);
  return spec;
}
