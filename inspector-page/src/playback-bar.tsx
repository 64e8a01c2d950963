// Playback bar: where a recording stands, and how to move in it.
import { useState } from 'preact/hooks';
import { describeMs, describeTime } from './detail/quantity.ts';
import { useTopics } from './frame/use-topics.ts';
import { usePage } from './page-state.ts';

const speeds = [0.1, 0.5, 1, 2, 10, 100] as const;

export function PlaybackBar() {
  const page = usePage();
  const { model, connection } = page;
  useTopics(model.topics, 'playing', 'connection', 'selection');
  /** Where the reader holds the slider; the answers of the server lag behind the hand. */
  const [held, setHeld] = useState<number | null>(null);
  const { hello, playing } = model;
  if (hello?.mode !== 'recording' || !hello.span) return null;
  const { fromMs, toMs } = hello.span;
  const at = held ?? playing?.at ?? fromMs;
  const seek = (moment: number) =>
    connection.send({ type: 'seek', at: Math.min(toMs, Math.max(fromMs, moment)) });
  const isPlaying = playing?.playing === true;
  return (
    <section class="playback" aria-label="Recording">
      <button
        type="button"
        class="button step-button"
        title="One event back (,)"
        aria-label="Step back"
        onClick={() => connection.send({ type: 'step', by: -1 })}
      >
        <StepSign />
      </button>
      <button
        type="button"
        class="button primary play"
        title="Play and stop (space)"
        onClick={() => page.togglePlaying()}
      >
        {isPlaying ? 'Stop' : 'Play'}
      </button>
      <button
        type="button"
        class="button step-button"
        title="One event forth (.)"
        aria-label="Step forth"
        onClick={() => connection.send({ type: 'step', by: 1 })}
      >
        <StepSign forth />
      </button>
      <label class="choice">
        speed
        <select
          value={String(page.speed)}
          onChange={({ currentTarget }) => {
            page.speed = Number(currentTarget.value);
            if (isPlaying) connection.send({ type: 'play', speed: page.speed });
            page.changed();
          }}
        >
          {speeds.map((each) => (
            <option key={each} value={each}>
              {each}×
            </option>
          ))}
        </select>
      </label>
      <input
        type="range"
        aria-label="Moment of the recording"
        min={fromMs}
        max={Math.max(fromMs + 1, toMs)}
        step={1}
        value={at}
        onInput={({ currentTarget }) => {
          setHeld(Number(currentTarget.value));
          seek(Number(currentTarget.value));
        }}
        onChange={() => setHeld(null)}
      />
      <time>{describeTime(at)}</time>
      <span class="muted">
        {describeMs(Math.max(0, at - fromMs))} of {describeMs(toMs - fromMs)}
      </span>
    </section>
  );
}

/** Drawn: fonts have coloured pictures for it. */
function StepSign({ forth = false }: { readonly forth?: boolean }) {
  return (
    <svg class="step-sign" viewBox="0 0 12 12" width={12} height={12} aria-hidden="true">
      <path
        d="M1.5 1.5h1.8v9H1.5zM10.5 1.5v9L4 6z"
        transform={forth ? 'translate(12 0) scale(-1 1)' : undefined}
      />
    </svg>
  );
}
