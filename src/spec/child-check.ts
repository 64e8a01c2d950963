// The checks of children that a program adds to a running supervisor of processes.
import { z } from 'zod';
import { isName, nameRule } from '../names.ts';
import type { ChildSpec, ProcessSpec, SupervisorSpec } from './child.ts';
import { checkGates } from './gate-check.ts';
import { insignificant, parseChild } from './topology-check.ts';
import { invalid } from './topology-mistakes.ts';

/** @throws {IpcError} ERR_TOPOLOGY_INVALID with one line for each mistake. */
export function checkChild(
  spec: SupervisorSpec,
  id: unknown,
  input: unknown,
  folder: string,
): { id: string; checked: ChildSpec } {
  if (typeof id !== 'string' || !isName(id)) throw invalid('a child', [`its name: ${nameRule}`]);
  const what = `child ${id}`;
  const checked = parseChild(input, what, id, folder);
  const mistakes: string[] = [];
  const why = insignificant(checked, spec.autoShutdown);
  if (why) mistakes.push(`significant: ${why}`);
  // What a check completes in the others is none of a call's business.
  const others = Object.entries(spec.children).map(([other, child]): [string, ChildSpec] => [
    other,
    { ...child, dependsOn: { ...child.dependsOn } },
  ]);
  checkGates({ ...spec, children: { ...Object.fromEntries(others), [id]: checked } }, 'children', mistakes);
  if (mistakes.length > 0) throw invalid(what, mistakes);
  return { id, checked };
}

const extraSchema = z.strictObject({
  args: z.array(z.string()).default([]),
  env: z.record(z.string(), z.string()).default({}),
});

/** One more child of a pool: what it is made from, with more arguments and other variables. @throws ERR_TOPOLOGY_INVALID. */
export function checkPoolChild(template: ProcessSpec, input: unknown, what: string): ProcessSpec {
  const parsed = extraSchema.safeParse(input ?? {});
  if (!parsed.success)
    throw invalid(what, ['a child of a pool takes { args?: string[], env?: Record<string, string> }']);
  const { args, env } = parsed.data;
  return { ...template, args: [...template.args, ...args], env: { ...template.env, ...env } };
}
