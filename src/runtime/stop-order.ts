// Stop order: whether units end after all that depend on them, as the kernel sees it from outside.
import { isAlive, type Living, livingAs } from './living.ts';
import type { UnitStatus } from './status.ts';

interface Pair {
  readonly needed: string;
  readonly needing: string;
  readonly neededProcess: Living;
  readonly needingProcess: Living;
}

type StatusOfUnit = Pick<UnitStatus, 'name' | 'pid' | 'dependsOn'>;

export class StopOrder {
  readonly #pairs: Pair[];
  readonly #told = new Set<Pair>();

  /** @param units as they are while all are up; what others say about an order among them is taken from their edges. */
  constructor(units: readonly StatusOfUnit[]) {
    const processes = units.flatMap(({ name, pid }) => {
      const living = pid === null ? undefined : livingAs(pid);
      return living ? [{ name, living }] : [];
    });
    /** Of a supervisor: all below it. */
    const below = (unit: string) =>
      processes.filter(({ name }) => name === unit || name.startsWith(`${unit}/`));
    this.#pairs = units.flatMap(({ name, dependsOn }) => {
      const folder = name.slice(0, name.lastIndexOf('/') + 1);
      return Object.entries(dependsOn)
        .filter(([, edge]) => !edge.startsWith('('))
        .flatMap(([other]) => below(`${folder}${other}`))
        .flatMap((needed) =>
          below(name).map((needing) => ({
            ...{ needed: needed.name, neededProcess: needed.living },
            ...{ needing: needing.name, needingProcess: needing.living },
          })),
        );
    });
  }

  /** @returns what is wrong and was not told before. Who is seen dead while the other is seen alive after that has ended first. */
  look(): string[] {
    const wrong = this.#pairs.filter(
      (pair) => !this.#told.has(pair) && !isAlive(pair.neededProcess) && isAlive(pair.needingProcess),
    );
    for (const pair of wrong) this.#told.add(pair);
    return wrong.map(({ needed, needing }) => `${needed} has ended before ${needing}, which depends on it`);
  }
}
