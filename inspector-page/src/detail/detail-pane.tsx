// Detail pane: everything about what is selected.
import type { ComponentChildren } from 'preact';
import { useTopics } from '../frame/use-topics.ts';
import { usePage } from '../page-state.ts';
import { fullName } from '../tree/tree-rows.ts';
import { ActorDetail } from './actor-detail.tsx';
import { DetailHead } from './fact-list.tsx';
import { LifeDetail } from './life-detail.tsx';
import { ResourceDetail } from './resource-detail.tsx';
import { TreeDetail } from './tree-detail.tsx';
import { UnitDetail } from './unit-detail.tsx';

export function DetailPane() {
  const page = usePage();
  const { model, selection } = page;
  useTopics(
    model.topics,
    'selection',
    'units',
    'actors',
    'values',
    'resources',
    'metrics',
    'context',
    'connection',
  );
  return (
    <section class="pane detail" aria-label="Details">
      {content()}
    </section>
  );

  function content(): ComponentChildren {
    switch (selection?.kind) {
      case 'unit': {
        const unit = model.units.get(selection.path);
        if (!unit) return gone(selection.path, 'No unit of that name is in the tree.');
        return <UnitDetail unit={unit} />;
      }
      case 'actor': {
        const actor = model.actor(selection);
        if (!actor) return gone(selection.actor, `It does not run in ${selection.process} now.`);
        return <ActorDetail actor={actor} />;
      }
      case 'life': {
        const { process } = selection;
        const unit = model.units.get(model.unitOf.get(process) ?? '');
        const life = unit?.dead.find((dead) => dead.process === process);
        if (!unit || !life) return gone(process, 'That life is too long ago to be kept.');
        return <LifeDetail unit={unit} life={life} />;
      }
      case 'resource': {
        const resource = model.resources.find(
          (each) => each.kind === selection.of && fullName(each) === selection.name,
        );
        if (!resource) return gone(selection.name, 'Nobody has it any more.');
        return <ResourceDetail resource={resource} />;
      }
      default:
        return <TreeDetail />;
    }
  }

  function gone(name: string, why: string) {
    return (
      <>
        <DetailHead kind="" name={name} />
        <p class="empty">{model.filled ? why : 'Waiting for the tree…'}</p>
      </>
    );
  }
}
