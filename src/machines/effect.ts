// Placeholders for the effects that a machine names and src/actors provides. A forgotten one fails at once.
import { fromCallback } from 'xstate';

/** An action that must be provided. */
export function effect(machine: string, name: string): () => never {
  return () => {
    throw new Error(`machine ${machine} needs its effect ${name}`);
  };
}

/** An invoked actor that must be provided. */
export function effectActor<TEvent extends { type: string }, TInput>(machine: string, name: string) {
  return fromCallback<TEvent, TInput>(effect(machine, name));
}
