// Page help: the keys.
import { useEffect, useRef } from 'preact/hooks';
import { useTopics } from './frame/use-topics.ts';
import { keys } from './keyboard.ts';
import { usePage } from './page-state.ts';

export function PageHelp() {
  const page = usePage();
  useTopics(page.model.topics, 'selection');
  const element = useRef<HTMLDialogElement>(null);
  const { helpOpen } = page;
  useEffect(() => {
    if (helpOpen) element.current?.showModal();
    else element.current?.close();
  }, [helpOpen]);
  return (
    <dialog
      ref={element}
      class="page-help"
      aria-labelledby="help-title"
      onClose={() => {
        page.helpOpen = false;
        page.changed();
      }}
    >
      <h2 id="help-title">Keys</h2>
      <dl>
        {keys.map(({ shown, does }) => (
          <div key={does}>
            <dt>
              {shown.map((key) => (
                <kbd key={key}>{key}</kbd>
              ))}
            </dt>
            <dd>{does}</dd>
          </div>
        ))}
      </dl>
      <form method="dialog">
        <button type="submit" class="button primary">
          Close
        </button>
      </form>
    </dialog>
  );
}
