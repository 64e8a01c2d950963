// Send form: an event for the shown actor, by its type and the rest as JSON. Only where the server lets pages write.
import { useState } from 'preact/hooks';
import type { ActorPlace, NextEvent } from '../../../src/inspector/protocol.ts';
import { usePage } from '../page-state.ts';

interface SendFormProps {
  readonly place: ActorPlace;
  readonly next: readonly NextEvent[];
}

export function SendForm({ place: { process, actor }, next }: SendFormProps) {
  const page = usePage();
  const [type, setType] = useState('');
  const [data, setData] = useState('');
  const [mistake, setMistake] = useState('');
  const send = (event: Event) => {
    event.preventDefault();
    const fields = readFields(data);
    if (typeof fields === 'string') return setMistake(fields);
    if (type.trim() === '') return setMistake('An event needs a type.');
    setMistake('');
    page.sendEvent({ process, actor }, { ...fields, type: type.trim() });
  };
  const types = [...new Set(next.filter(({ sendable }) => sendable).map(({ event }) => event))];
  return (
    <form class="send" onSubmit={send}>
      <label>
        <span>event</span>
        <input
          name="type"
          list="event-types"
          autocomplete="off"
          spellcheck={false}
          value={type}
          onInput={({ currentTarget }) => setType(currentTarget.value)}
        />
      </label>
      <datalist id="event-types">
        {types.map((each) => (
          <option key={each} value={each} />
        ))}
      </datalist>
      <label>
        <span title="as JSON">fields</span>
        <textarea
          name="fields"
          rows={1}
          spellcheck={false}
          placeholder='{ "amount": 3 }'
          value={data}
          onInput={({ currentTarget }) => setData(currentTarget.value)}
        />
      </label>
      {mistake === '' ? null : <p class="mistake">{mistake}</p>}
      <button type="submit" class="button primary">
        Send
      </button>
    </form>
  );
}

/** The fields, or what is wrong with them. */
function readFields(text: string): Record<string, unknown> | string {
  if (text.trim() === '') return {};
  try {
    const fields: unknown = JSON.parse(text);
    if (typeof fields === 'object' && fields !== null && !Array.isArray(fields))
      return fields as Record<string, unknown>;
    return 'The fields must be an object.';
  } catch (error) {
    return `That is no JSON: ${(error as Error).message}`;
  }
}
