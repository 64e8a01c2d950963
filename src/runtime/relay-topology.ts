// Relay topology: the tree that a configuration file of a relay node stands for: the node, and the sibling that it names.
import { dirname } from 'node:path';
import { IpcError } from '../errors.ts';
import type { Topology } from '../spec/child.ts';
import { type RelayConfig, readRelayConfig } from '../spec/relay-config.ts';
import { appOf, relayProgram } from '../spec/relay-unit.ts';
import { exec, node } from '../spec/topology.ts';
import { checkTopology } from '../spec/topology-check.ts';

/** @throws {IpcError} ERR_RELAY_CONFIG, ERR_TOPOLOGY_INVALID. */
export function relayTopology(file: string): Topology {
  const config = readRelayConfig(file);
  const { spec, sibling } = config;
  if (spec.role === 'sibling' && 'path' in spec.relay.endpoint)
    throw IpcError.of(
      'ERR_RELAY_CONFIG',
      file,
      'relay: is missing; say where the relay is (address, port, tls), or let the relay start this node by its proc_name',
    );
  // Plain JSON has no keys without a value.
  const unit = (each: RelayConfig) =>
    node(relayProgram, {
      app: appOf(each.spec) ?? each.spec.node,
      input: JSON.parse(JSON.stringify({ spec: each.spec, notes: each.notes })),
    });
  const children = {
    [spec.node]: unit(config),
    ...(sibling &&
      ('spec' in sibling ? { [sibling.spec.node]: unit(sibling) } : { sibling: programOf(sibling.command) })),
  };
  return checkTopology({ name: 'relay-tier', children }, file);

  function programOf([program, ...args]: readonly string[]) {
    return exec(program!, { args, cwd: dirname(file) });
  }
}
