// Page header: which tree this is, whether the page still hears of it, and what concerns the whole page.
import { useState } from 'preact/hooks';
import { useTopics } from './frame/use-topics.ts';
import { usePage } from './page-state.ts';
import { applyTheme, nextTheme, storedTheme, type Theme } from './theme.ts';

const themeNames: Readonly<Record<Theme, string>> = { system: 'Auto', light: 'Light', dark: 'Dark' };

export function PageHeader() {
  const page = usePage();
  const { model } = page;
  useTopics(model.topics, 'connection', 'selection');
  const [theme, setTheme] = useState(storedTheme());
  const { hello } = model;
  return (
    <header class="page-head">
      <h1>
        <button
          type="button"
          class="brand"
          title="Show the whole tree"
          onClick={() => page.select(null, 'topology')}
        >
          <img src="./icon.svg" width={20} height={20} alt="" />
          {hello?.topology.name ?? 'actor-ipc'}
        </button>
      </h1>
      {hello ? (
        <span class="muted file" title={hello.topology.file}>
          {hello.topology.file.slice(hello.topology.file.lastIndexOf('/') + 1)}
        </span>
      ) : null}
      {hello?.mode === 'recording' ? <span class="badge accent">recording</span> : null}
      {hello?.problem === undefined ? null : (
        <span class="badge bad" title={hello.problem}>
          incomplete
        </span>
      )}
      {hello?.write ? (
        <span class="badge warn" title="This page may send events to actors">
          write
        </span>
      ) : null}
      <span class="spacer" />
      <ConnectionSign />
      <button
        type="button"
        class="button theme"
        title="Light, dark, or as the system has it (t)"
        onClick={() => {
          const next = nextTheme(theme);
          applyTheme(next);
          setTheme(next);
        }}
      >
        {themeNames[theme]}
      </button>
      <button
        type="button"
        class="button help"
        title="Keys (?)"
        aria-label="Keys"
        onClick={() => {
          page.helpOpen = !page.helpOpen;
          page.changed();
        }}
      >
        ?
      </button>
    </header>
  );
}

function ConnectionSign() {
  const { model } = usePage();
  const { connection, connectionNote } = model;
  const words = {
    connecting: 'connecting…',
    open: 'connected',
    lost: 'connection lost, trying again…',
    refused: 'refused',
  }[connection];
  const tone = { connecting: 'busy', open: 'good', lost: 'bad', refused: 'bad' }[connection];
  return (
    <span class="connection" data-state={connection} role="status" title={connectionNote}>
      <span class="dot" data-tone={tone} />
      {words}
    </span>
  );
}
