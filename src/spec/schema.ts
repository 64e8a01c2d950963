// Schemas: checks of what travels, by any library that follows Standard Schema (https://standardschema.dev): zod, valibot,
// arktype. Only its interface is known here.

/** What `validate` answers: the value, or what is wrong with it. */
export type SchemaResult<Output> =
  | { readonly value: Output; readonly issues?: undefined }
  | { readonly issues: readonly SchemaIssue[] };

export interface SchemaIssue {
  readonly message: string;
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined;
}

/** Standard Schema, version 1. One whose `validate` answers a promise refuses every message: order would be lost. */
export interface StandardSchema<Input = unknown, Output = Input> {
  readonly '~standard': {
    readonly version: 1;
    readonly vendor: string;
    /** Answers the value that is used in its place, or the issues. */
    readonly validate: (value: unknown) => SchemaResult<Output> | Promise<SchemaResult<Output>>;
    readonly types?: { readonly input: Input; readonly output: Output } | undefined;
  };
}

type SchemaPair<Q = unknown, R = unknown> = readonly [
  request: StandardSchema<unknown, Q>,
  reply: StandardSchema<unknown, R>,
];

/** The schemas of a channel; what has none is not checked. */
export interface ChannelSchema {
  readonly up?: StandardSchema;
  readonly down?: StandardSchema;
  readonly requests?: Readonly<Record<string, SchemaPair>>;
}

type OutputOf<V> = V extends StandardSchema<unknown, infer Output> ? Output : unknown;
type PairOf<P> = P extends readonly [infer Q, infer R] ? readonly [OutputOf<Q>, OutputOf<R>] : never;

/** What a channel with these schemas carries. */
export type CarriedBy<S extends ChannelSchema> = {
  [K in keyof S & ('up' | 'down')]: OutputOf<S[K]>;
} & (S extends { requests: infer R } ? { requests: { [N in keyof R]: PairOf<R[N]> } } : unknown);

/** The schemas of a channel whose types are written down. */
export type SchemaFor<T> = {
  readonly [K in keyof T & ('up' | 'down')]?: StandardSchema<unknown, T[K]>;
} & (T extends { requests: infer R }
  ? {
      readonly requests?: {
        readonly [N in keyof R]?: R[N] extends readonly [infer Q, infer A] ? SchemaPair<Q, A> : never;
      };
    }
  : unknown);
