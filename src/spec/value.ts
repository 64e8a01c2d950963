// Value: what a topology file may say in place of a text that is not its own: a variable of the environment, or a secret.

/** A secret by its name, or by its file. What it stands for is read only when a process is started with it. */
export type SecretRef = { readonly secret: string } | { readonly secretFile: string };

export type JsonValue =
  | string
  | number
  | boolean
  | null
  | readonly JsonValue[]
  | { readonly [key: string]: JsonValue };

/** What a child's environment holds. */
export type EnvValue = string | SecretRef;

/**
 * A variable of the environment in which the topology is loaded. For what is no secret: it is part of the topology from then on.
 * @param otherwise what it is if the variable is not set.
 * @throws {Error} if it is not set and there is nothing else.
 */
export function env(name: string, otherwise?: string): string {
  const value = process.env[name] ?? otherwise;
  if (value === undefined)
    throw new Error(
      `the variable ${name} is not set; set it, put it into .env beside the topology, or give env() a default`,
    );
  return value;
}

/**
 * A secret as value of a child's `env`: the topology, logs, arguments and records hold only its name.
 * @param source a variable of the root's environment, or a file (relative to the topology), of which one line end is cut off.
 */
export function secret(source: string | { file: string }): SecretRef {
  return typeof source === 'string' ? { secret: source } : { secretFile: source.file };
}

/** The variables that are secrets of somebody, so that nobody else gets them. */
export function secretNames(spec: { readonly children: Readonly<Record<string, unknown>> }): Set<string> {
  const names = new Set<string>();
  const visit = (child: unknown): void => {
    const { env, children, pool } = child as { env?: object; children?: object; pool?: unknown };
    for (const value of Object.values(env ?? {}) as EnvValue[])
      if (typeof value === 'object' && 'secret' in value) names.add(value.secret);
    for (const below of Object.values(children ?? {})) visit(below);
    if (pool) visit(pool);
  };
  visit(spec);
  return names;
}
