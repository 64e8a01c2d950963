// npm run fuzz -- [--seconds N] [--seed S] [--target T] [--inputs N]
import { parseArgs } from 'node:util';
import { fuzz } from './fuzz.ts';
import { targets } from './targets.ts';

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '60' },
    seed: { type: 'string', default: String((Date.now() % 1_000_000_000) + 1) },
    target: { type: 'string' },
    inputs: { type: 'string', default: 'Infinity' },
  },
});
const chosen = values.target === undefined ? Object.keys(targets) : [values.target];
const ms = (Number(values.seconds) * 1000) / chosen.length;
for (const target of chosen) {
  const { inputs, grownBytes } = await fuzz({
    target,
    seed: Number(values.seed),
    inputs: Number(values.inputs),
    ms,
  });
  console.log(
    `${target}: ${inputs} inputs from seed ${values.seed}, grown by ${Math.round(grownBytes / 2 ** 20)} MiB`,
  );
}
