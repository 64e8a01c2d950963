// Relay program: what a unit runs that is a node of the relay tier. Its supervisor gives it a checked specification, or the
// configuration that a topology holds.
import { resolve } from 'node:path';
import { IpcError, messageOf } from '../errors.ts';
import { checkRelayConfig } from '../spec/relay-config.ts';
import type { GatewaySpec, RelayHooks } from '../spec/relay-node.ts';
import type { RelayUnitInput } from '../spec/relay-unit.ts';
import { processInput } from './process-input.ts';
import { currentRuntime } from './process-runtime.ts';

const { spec: given, config, notes: told = [] } = processInput<RelayUnitInput>() ?? {};
const { spec, notes } = given
  ? { spec: given, notes: told }
  : checkRelayConfig(config, resolve(process.cwd(), 'relay()'));
const runtime = currentRuntime();
for (const note of notes) runtime.host.log.info({ node: spec.node }, note);
if (spec.role === 'gateway') await openGateway(spec);
else await runtime.relayNode(spec, await hooksOf(spec.hooks));

async function openGateway({
  universe,
  away,
  here,
  outageMs,
  relay,
  listen,
  ...who
}: GatewaySpec): Promise<void> {
  const joined = relay
    ? runtime.connectRelay({ ...who, ...relay })
    : (await runtime.serveRelay({ ...who, listen })).own;
  const times = outageMs === undefined ? {} : { outageMs };
  await runtime.carrySessions({ relay: joined, universe, away, here, ...times });
}

async function hooksOf(file: string | undefined): Promise<RelayHooks> {
  if (file === undefined) return {};
  try {
    const { loadModule } = await import('./loader.ts');
    return (await loadModule(file)) as RelayHooks;
  } catch (error) {
    throw IpcError.from(error, 'ERR_RELAY_CONFIG', `hooks ${file}`, messageOf(error));
  }
}
