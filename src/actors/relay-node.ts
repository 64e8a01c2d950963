// RelayNode: the relay-node machine with real links and a real table.

import type { ErrorData } from '../errors.ts';
import { IpcError, messageOf } from '../errors.ts';
import { type RelayNodeState, relayNodeMachine } from '../machines/relay-node.ts';
import type { Address } from '../names.ts';
import type { RelayRole } from '../spec/relay.ts';
import type { RelayHooks, RelayNodeSpec } from '../spec/relay-node.ts';
import { keyHasher } from '../transport/placement-hash.ts';
import { Handles, type Host, type Hosted } from './hosting.ts';
import {
  type NeighbourListener,
  type NodeSetting,
  type NodeStats,
  type OpenNode,
  openMidwayRelay,
} from './midway-relay.ts';
import { openPressureRelief } from './pressure-relief.ts';
import { openRelaySibling } from './relay-sibling.ts';

interface Settings {
  readonly address: Address;
  /** Where the caches of its table stand. */
  readonly runDirectory: string;
  readonly spec: RelayNodeSpec;
  readonly hooks: RelayHooks;
  readonly onState: (state: RelayNodeState) => void;
  readonly onEnd: (error: ErrorData | null) => void;
}

export interface RunningNode {
  readonly hosted: Hosted<typeof relayNodeMachine>;
  /** Undefined before it listens, and after its end. */
  readonly open: OpenNode | undefined;
  readonly stats: NodeStats | undefined;
}

class Live implements RunningNode {
  readonly host: Host;
  readonly settings: Settings;
  hosted!: Hosted<typeof relayNodeMachine>;
  open: OpenNode | undefined;
  closing = false;

  constructor(host: Host, settings: Settings) {
    this.host = host;
    this.settings = settings;
  }

  get stats(): NodeStats | undefined {
    return this.open?.stats;
  }
}
const lives = new Handles<Live>('relay node');

const relayNodeLogic = relayNodeMachine.provide({
  actions: {
    open: ({ self }) => void openNode(lives.of(self)),
    reportState: ({ self }, { state }) => {
      const { host, settings } = lives.of(self);
      const { node, role } = settings.spec;
      host.log.info({ node, role, state }, `${role} ${node} is ${state.slice('operative.'.length)}`);
      settings.onState(state);
    },
    close: ({ self }) => void closeNode(lives.of(self)),
  },
});

/** Which neighbours each needs to be whole. A relay without relief is whole if nobody promised it a sibling. */
function needsOf(spec: RelayNodeSpec): RelayRole[] {
  if (spec.role === 'relay') return spec.siblingListen ? ['sibling'] : [];
  return spec.role === 'sibling' ? ['relay'] : ['sibling'];
}

const stopTimeoutMs = 3_000;

export function startRelayNode(host: Host, settings: Settings): RunningNode {
  const live = new Live(host, settings);
  const { node, role } = settings.spec;
  live.hosted = host.start(relayNodeLogic, {
    address: settings.address,
    input: { node, role, needs: needsOf(settings.spec), stopTimeoutMs },
    bind: (actor, hosted) => {
      live.hosted = hosted;
      lives.bind(actor, live);
    },
    onEnd: (end) => {
      live.open = undefined;
      settings.onEnd(
        end.how === 'done'
          ? end.output.error
          : end.how === 'crashed'
            ? IpcError.from(end.error, 'ERR_SYSTEM', `relay node ${node}`, messageOf(end.error)).toJSON()
            : null,
      );
    },
  });
  return live;
}

async function openNode(live: Live): Promise<void> {
  const { host, settings, hosted } = live;
  const onNeighbour: NeighbourListener = ({ node, role }, there) =>
    hosted.post({ type: there ? 'neighbour.found' : 'neighbour.lost', node, role });
  try {
    const hasher = await keyHasher(BigInt(settings.spec.seed));
    const { address, runDirectory, hooks } = settings;
    const onTableEnded = (why: IpcError) => hosted.post({ type: 'table.ended', error: why.toJSON() });
    const setting = { host, address, runDirectory, hooks, hasher, onNeighbour, onTableEnded };
    live.open = await openBy(setting, settings.spec);
  } catch (error) {
    const told =
      error instanceof IpcError
        ? error
        : IpcError.from(error, 'ERR_SYSTEM', `relay node ${settings.spec.node}`, messageOf(error));
    return hosted.post({ type: 'node.failed', error: told.toJSON() });
  }
  if (live.closing) return void closeNode(live);
  hosted.post({ type: 'node.opened' });
}

function openBy(setting: NodeSetting, spec: RelayNodeSpec): Promise<OpenNode> {
  switch (spec.role) {
    case 'relay':
      return openMidwayRelay(setting, spec);
    case 'sibling':
      return openRelaySibling(setting, spec);
    default:
      return openPressureRelief(setting, spec);
  }
}

async function closeNode(live: Live): Promise<void> {
  // Still opening: closed as soon as it has.
  live.closing = true;
  await live.open?.close().catch(() => undefined);
  if (live.open) live.hosted.post({ type: 'node.closed' });
}
