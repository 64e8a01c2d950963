// A victim of the relay soak: one node of a relay tier, from the built package since that starts so much faster. It prints each
// state that it comes to. `relay-victim.mjs SPEC`.
import { createRuntime } from '../../dist/index.js';

const quiet = () => {};
const runtime = createRuntime({
  log: { debug: quiet, warn: quiet, error: quiet, info: ({ state }) => state && console.log(state) },
});
await runtime.relayNode(JSON.parse(process.argv[2]));
