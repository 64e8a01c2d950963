// Lint: what a valid topology says that will hardly be meant. Warnings, each with its key path: the tree runs in any case.
import {
  type ActorSource,
  type ChildSpec,
  edgeOf,
  isOfActors,
  orders,
  type SupervisorSpec,
  type Topology,
} from './child.ts';
import { machineWarnings } from './machine-lint.ts';

export interface Warning {
  readonly file: string;
  /** Key path in that file. */
  readonly path: string;
  readonly text: string;
}

export function lintTopology(topology: Topology): Warning[] {
  const { file } = topology;
  return ofSupervisor(topology, '').map(([path, text]) => ({ file, path, text }));
}

type Found = readonly [path: string, text: string];

function ofSupervisor(spec: SupervisorSpec, at: string): Found[] {
  const path = (key: string) => (at === '' ? key : `${at}.${key}`);
  return [
    ...ofIntensity(spec, path('intensity')),
    ...Object.entries(spec.children).flatMap(([id, child]) => [
      ...ofChild(child, path(`children.${id}`)),
      ...ofGates(id, child, spec, path(`children.${id}.dependsOn`)),
    ]),
  ];
}

function ofChild(child: ChildSpec, at: string): Found[] {
  const own = ofGiveUp(child, at);
  if (child.kind === 'actor') return [...own, ...ofActor(child.source, at)];
  if (child.kind !== 'supervisor') return own;
  if (!isOfActors(child)) return [...own, ...ofSupervisor(child as SupervisorSpec, at)];
  const children = [
    ...Object.entries(child.children),
    ...(child.template ? [['', child.template] as const] : []),
  ];
  return [
    ...own,
    ...children.flatMap(([id, each]) => ofChild(each, id === '' ? `${at}.child` : `${at}.children.${id}`)),
  ];
}

/** A machine shows what is in it; of what is made at each start nothing is known. */
function ofActor(source: ActorSource, at: string): Found[] {
  const { config } = source as { config?: unknown };
  return machineWarnings(config).map(({ path, text }) => [
    `${at}.source${path === '' ? '' : `.${path}`}`,
    text,
  ]);
}

// ---- limits

interface Restarts {
  readonly restart: ChildSpec['restart'];
  readonly backoff: ChildSpec['backoff'];
  readonly giveUp: ChildSpec['giveUp'];
}

function ofGiveUp({ restart, backoff, giveUp }: Restarts, at: string): Found[] {
  if (restart === 'temporary') return [];
  const { restarts, periodMs } = giveUp;
  if (restarts === 0)
    return [
      [
        `${at}.giveUp.restarts`,
        'with 0 the first crash ends it for good, and its backoff is never waited for; "temporary" says the same',
      ],
    ];
  const takesMs = soonestMs(backoff, restarts + 1);
  if (takesMs <= periodMs) return [];
  return [
    [
      `${at}.giveUp`,
      `it can never trip: by its backoff ${restarts + 1} restarts take ${takesMs} ms and more, and only those of ${periodMs} ms count`,
    ],
  ];
}

function ofIntensity({ intensity, periodMs, children }: SupervisorSpec, at: string): Found[] {
  if (intensity === 'infinity') return [];
  const restarting = Object.values(children).filter(({ restart }) => restart !== 'temporary');
  if (restarting.length === 0) return [];
  if (intensity === 0)
    return [
      [at, 'with 0 the first crash of any child ends the supervisor, and no backoff is ever waited for'],
    ];
  const most = restarting.reduce((sum, child) => sum + mostWithin(child, periodMs), 0);
  if (most > intensity) return [];
  return [
    [
      at,
      `it can never trip: by their backoff all children together restart at most ${most} times in ${periodMs} ms, and ${intensity} are allowed`,
    ],
  ];
}

/** The least time from the first of so many restarts in a row to the last. */
function soonestMs({ minMs, maxMs, factor, jitter }: Restarts['backoff'], restarts: number): number {
  let sum = 0;
  // The delay before the first one is waited for before that.
  for (let attempt = 1; attempt < restarts; attempt++) {
    const delayMs = Math.min(maxMs, minMs * factor ** attempt) * (1 - jitter);
    // From here on it is the same each time.
    if (minMs * factor ** attempt >= maxMs || factor === 1)
      return Math.round(sum + (restarts - attempt) * delayMs);
    sum += delayMs;
  }
  return Math.round(sum);
}

/** So many restarts of one child fall within a period at most, before it is given up. */
function mostWithin({ backoff, giveUp }: Restarts, periodMs: number): number {
  let count = 1;
  while (count < giveUp.restarts && soonestMs(backoff, count + 1) <= periodMs) count++;
  return Math.min(count, giveUp.restarts);
}

// ---- gates

function ofGates(id: string, child: ChildSpec, { children, strategy }: SupervisorSpec, at: string): Found[] {
  return Object.entries(child.dependsOn).flatMap(([parent, wanted]): Found[] => {
    const other = children[parent];
    const { state, mode } = edgeOf(wanted);
    if (!other || !orders(wanted)) return [];
    const path = `${at}.${parent}`;
    if (state === 'started')
      return [
        [
          path,
          `"started" says nothing about whether ${parent} can do its work; "ready" or a named state does`,
        ],
      ];
    if (other.restart === 'temporary' && state !== 'completed' && mode !== 'after' && mode !== 'wants')
      return [[path, `${parent} is temporary: after its end ${id} can never start again`]];
    const ids = Object.keys(children);
    if (strategy === 'rest-for-one' && ids.indexOf(parent) > ids.indexOf(id))
      return [
        [
          path,
          `${parent} stands behind ${id}, so by "rest-for-one" its crash leaves ${id} alone; name it before`,
        ],
      ];
    return [];
  });
}
