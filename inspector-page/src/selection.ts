// Selection: what the page is about, as part of its address, so that a link leads to an actor.

export type Selection =
  | { readonly kind: 'unit'; readonly path: string }
  | { readonly kind: 'actor'; readonly process: string; readonly actor: string }
  /** A life that has ended. */
  | { readonly kind: 'life'; readonly process: string }
  | { readonly kind: 'resource'; readonly of: string; readonly name: string };

/** The part of the address after `#`. */
export function linkTo(selection: Selection | null): string {
  if (selection === null) return '';
  const { kind, ...rest } = selection;
  return new URLSearchParams({ show: kind, ...rest }).toString();
}

export function readLink(hash: string): Selection | null {
  const parts = new URLSearchParams(hash.replace(/^#/, ''));
  const of = (name: string) => parts.get(name) ?? '';
  switch (parts.get('show')) {
    case 'unit':
      return { kind: 'unit', path: of('path') };
    case 'actor':
      return { kind: 'actor', process: of('process'), actor: of('actor') };
    case 'life':
      return { kind: 'life', process: of('process') };
    case 'resource':
      return { kind: 'resource', of: of('of'), name: of('name') };
    default:
      return null;
  }
}

export function isSame(one: Selection | null, other: Selection | null): boolean {
  return linkTo(one) === linkTo(other);
}
