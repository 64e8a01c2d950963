// Playback bar: where a recording stands, and how to move in it.
import { useState } from 'preact/hooks';
import { describeMs, describeTime } from './detail/quantity.ts';
import { useTopics } from './frame/use-topics.ts';
import { usePage } from './page-state.ts';

const speeds = [0.1, 0.5, 1, 2, 10, 100] as const;

export function PlaybackBar() {
  const { model, connection } = usePage();
  useTopics(model.topics, 'playing', 'connection');
  const [speed, setSpeed] = useState(1);
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
        class="button"
        title="One event back (,)"
        aria-label="Step back"
        onClick={() => connection.send({ type: 'step', by: -1 })}
      >
        ⏮
      </button>
      <button
        type="button"
        class="button primary play"
        title="Play and stop (space)"
        onClick={() => connection.send(isPlaying ? { type: 'pause' } : { type: 'play', speed })}
      >
        {isPlaying ? 'Stop' : 'Play'}
      </button>
      <button
        type="button"
        class="button"
        title="One event forth (.)"
        aria-label="Step forth"
        onClick={() => connection.send({ type: 'step', by: 1 })}
      >
        ⏭
      </button>
      <label class="choice">
        speed
        <select
          value={String(speed)}
          onChange={({ currentTarget }) => {
            const next = Number(currentTarget.value);
            setSpeed(next);
            if (isPlaying) connection.send({ type: 'play', speed: next });
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
