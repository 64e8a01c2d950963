// Fact list: names and values beside each other, and the head of a detail.
import type { ComponentChildren } from 'preact';
import type { Tone } from '../tree/tone.ts';

export function DetailHead({ kind, name, tone }: { kind: string; name: string; tone?: Tone }) {
  return (
    <header class="pane-head detail-head">
      {tone ? <span class="dot" data-tone={tone} /> : null}
      <h2 title={name}>{name}</h2>
      <span class="count">{kind}</span>
    </header>
  );
}

/** Stands for what is not there now and will be there again. */
export const none = <span class="muted">–</span>;

/** What has no value is left out. */
export function FactList({ facts }: { readonly facts: readonly (readonly [string, ComponentChildren])[] }) {
  return (
    <dl class="facts">
      {facts
        .filter(([, value]) => value !== null && value !== undefined && value !== '')
        .map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
    </dl>
  );
}

export function Section({
  title,
  children,
}: {
  readonly title: string;
  readonly children: ComponentChildren;
}) {
  return (
    <section class="detail-section">
      <h3>{title}</h3>
      {children}
    </section>
  );
}
