// Page state: what the reader has chosen. The model says what there is, this what is looked at.
import { createContext } from 'preact';
import { useContext } from 'preact/hooks';
import type { ActorPlace } from '../../src/inspector/protocol.ts';
import type { Connection } from './feed/connection.ts';
import type { ActorEntry, Model } from './feed/model.ts';
import { isSame, linkTo, readLink, type Selection } from './selection.ts';

export type CentreView = 'topology' | 'chart' | 'transport';
export type TimelineView = 'events' | 'sequence' | 'log';

export class PageState {
  readonly model: Model;
  readonly connection: Connection;
  selection: Selection | null;
  centre: CentreView;
  timeline: TimelineView = 'events';
  search = '';
  paused = false;
  helpOpen = false;
  /** At which a recording is played: how many times as fast as it happened. */
  speed = 1;
  /** Whether charts are shown as outlines; null: the large ones. */
  outline: boolean | null = null;
  #watched: ActorPlace | null = null;

  constructor(model: Model, connection: Connection) {
    this.model = model;
    this.connection = connection;
    this.selection = readLink(location.hash);
    this.centre = viewOf(this.selection) ?? 'topology';
    addEventListener('hashchange', () => this.select(readLink(location.hash)));
    // What is shown of a unit is found only when its actors have come.
    model.topics.listen(['actors', 'units', 'connection'], () => this.#watchShown());
  }

  /** Looks at something else, and shows its chart unless the reader stays where the whole is seen. */
  select(selection: Selection | null, centre: CentreView | null = viewOf(selection)): void {
    if (!isSame(selection, this.selection)) {
      this.selection = selection;
      const link = linkTo(selection);
      if (location.hash.replace(/^#/, '') !== link) history.pushState(null, '', `#${link}`);
    }
    if (centre) this.centre = centre;
    this.#watchShown();
    this.changed();
  }

  changed(): void {
    this.model.topics.changed('selection');
  }

  setPaused(paused: boolean): void {
    if (this.paused === paused) return;
    this.paused = paused;
    this.changed();
  }

  setSearch(search: string): void {
    this.search = search;
    this.changed();
  }

  togglePlaying(): void {
    const { playing } = this.model;
    if (playing)
      this.connection.send(playing.playing ? { type: 'pause' } : { type: 'play', speed: this.speed });
  }

  /** Sends an event, where the server lets pages do that, and says so. */
  sendEvent({ process, actor }: ActorPlace, event: { readonly type: string }): void {
    const sent = this.connection.send({ type: 'send', place: { process, actor }, event });
    this.model.setNotice(
      sent
        ? { level: 'info', text: `${event.type} was sent to ${actor}` }
        : { level: 'bad', text: 'There is no connection: nothing was sent' },
    );
  }

  /** The actor whose chart and context are shown: the selected one, or the one that is the unit's life in the root. */
  get shownActor(): ActorEntry | undefined {
    const { selection, model } = this;
    if (selection?.kind === 'actor') return model.actor(selection);
    if (selection?.kind === 'unit') return this.unitActor(selection.path);
    return undefined;
  }

  unitActor(path: string): ActorEntry | undefined {
    const { model } = this;
    const name = model.hello?.topology.name;
    const process = model.units.get('')?.process ?? '#0';
    const actors = model.actors.get(process);
    if (name === undefined || !actors) return undefined;
    if (path === '') return actors.get('supervisor');
    return actors.get(`${name}/${path}`) ?? actors.get(`${name}/${path}/supervisor`);
  }

  #watchShown(): void {
    const shown = this.shownActor;
    const place = shown ? { process: shown.process, actor: shown.actor } : null;
    const same = place?.process === this.#watched?.process && place?.actor === this.#watched?.actor;
    if (same) return;
    this.#watched = place;
    this.model.context = null;
    this.model.topics.changed('context');
    this.connection.send({ type: 'watch', place });
  }
}

/** Where the selected is best seen; null: wherever the reader is. */
function viewOf(selection: Selection | null): CentreView | null {
  if (selection === null) return null;
  return selection.kind === 'resource' ? 'transport' : 'chart';
}

const PageContext = createContext<PageState | null>(null);
export const PageProvider = PageContext.Provider;

export function usePage(): PageState {
  const page = useContext(PageContext);
  if (!page) throw new Error('a part of the page stands outside of it');
  return page;
}
