// Mills: what the bench of the inspector looks at.
import { defineTopology, node } from 'actor-ipc/topology';

const mills = Number(process.env.MILLS ?? 4);
const turnsPerS = Number(process.env.TURNS_PER_S ?? 10_000) / mills;

export default defineTopology({
  name: 'mills',
  children: Object.fromEntries(
    Array.from({ length: mills }, (_, i) => [
      `mill${i + 1}`,
      node('./mill.ts', { args: [String(turnsPerS)] }),
    ]),
  ),
});
