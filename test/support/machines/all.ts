// All machines of src/machines with what a walk through each of them needs, for tests that hold all to the same rules.
import type { AnyStateMachine, EventObject } from 'xstate';
import { appSessionMachine } from '../../../src/machines/app-session.ts';
import { cacheAttachmentMachine } from '../../../src/machines/cache-attachment.ts';
import { type ChannelContext, channelMachine } from '../../../src/machines/channel.ts';
import { incomingSessionMachine } from '../../../src/machines/incoming-session.ts';
import { type LinkPeerContext, linkPeerMachine } from '../../../src/machines/link-peer.ts';
import { type MulticastContext, multicastMachine } from '../../../src/machines/multicast.ts';
import { type ProbeContext, probeMachine } from '../../../src/machines/probe.ts';
import {
  clientProcessMachine,
  type ServerProcessContext,
  serverProcessMachine,
} from '../../../src/machines/process.ts';
import { regionAttachmentMachine } from '../../../src/machines/region-attachment.ts';
import { type RelayNodeContext, relayNodeMachine } from '../../../src/machines/relay-node.ts';
import { type RemoteHostContext, remoteHostMachine } from '../../../src/machines/remote-host.ts';
import { retirementMachine } from '../../../src/machines/retirement.ts';
import { type SessionContext, sessionMachine } from '../../../src/machines/session.ts';
import { type SessionServerContext, sessionServerMachine } from '../../../src/machines/session-server.ts';
import { type SubscriptionContext, subscriptionMachine } from '../../../src/machines/subscription.ts';
import {
  type SupervisorContext,
  type SupervisorEvent,
  supervisorMachine,
} from '../../../src/machines/supervisor.ts';
import { type UnitContext, type UnitPhase, unitMachine } from '../../../src/machines/unit.ts';
import * as samples from './samples.ts';

export interface Walk {
  readonly machine: AnyStateMachine;
  /** Which inputs lead to different places. */
  readonly inputs: readonly object[];
  readonly events: readonly EventObject[];
  /** What of the context decides where it goes: states that agree in it are one place. */
  readonly place?: (context: never) => unknown;
}

const policies = [samples.policy, { ...samples.policy, shutdown: 'kill' }];

const unitChanges = (['starting', 'up', 'completed', 'exited', 'failed'] as UnitPhase[]).flatMap((phase) =>
  ['a', 'b'].map(
    (id): SupervisorEvent => ({
      type: 'unit.changed',
      id,
      phase,
      epoch: 1,
      pid: 7,
      state: null,
      note: null,
    }),
  ),
);

export const walks: readonly Walk[] = [
  {
    machine: unitMachine,
    inputs: policies.flatMap((policy) =>
      [true, false].map((canAsk) => ({ ...samples.unitInput, policy, canAsk })),
    ),
    // Everything happens in the first two epochs.
    events: [
      ...samples.unitEvents,
      ...samples.unitEvents.map((event) => ('epoch' in event ? { ...event, epoch: 2 } : event)),
      { type: 'verdict.restart', delayMs: 100 } as EventObject,
    ],
    place: ({ requested }: UnitContext) => requested,
  },
  {
    machine: probeMachine,
    inputs: [
      { ...samples.probeInput, failures: 1 },
      { ...samples.probeInput, how: 'listen', failures: 1 },
    ],
    events: samples.probeEvents,
    place: ({ failed, holds }: ProbeContext) => [Math.sign(failed), holds],
  },
  {
    machine: supervisorMachine,
    inputs: [
      samples.supervisorInput,
      { ...samples.supervisorInput, strategy: 'one-for-all' },
      { ...samples.supervisorInput, endsWhenIdle: true },
    ],
    events: [...samples.supervisorEvents, ...unitChanges],
    place: ({ booted, units }: SupervisorContext) => [booted, units.a?.phase, units.b?.phase],
  },
  {
    machine: retirementMachine,
    inputs: [
      samples.retirementInput,
      { ...samples.retirementInput, canAsk: false },
      { ...samples.retirementInput, shutdown: 'kill' },
    ],
    events: samples.retirementEvents,
  },
  {
    machine: serverProcessMachine,
    inputs: [samples.serverProcessInput],
    events: samples.serverProcessEvents,
    place: ({ sessions }: ServerProcessContext) => Math.sign(sessions),
  },
  {
    machine: clientProcessMachine,
    inputs: [
      samples.clientProcessInput,
      {
        ...samples.clientProcessInput,
        reconnect: { ...samples.clientProcessInput.reconnect, giveUpAfterMs: 0 },
      },
    ],
    events: samples.clientProcessEvents,
  },
  {
    machine: sessionServerMachine,
    inputs: [samples.sessionServerInput],
    events: samples.sessionServerEvents,
    place: ({ pending }: SessionServerContext) => Math.sign(pending),
  },
  {
    machine: incomingSessionMachine,
    inputs: [samples.incomingSessionInput],
    events: samples.incomingSessionEvents,
  },
  {
    machine: sessionMachine,
    inputs: [samples.clientSessionInput, samples.serverSessionInput],
    events: [...samples.sessionEvents, { type: 'channel.ended', name: 'orders' } as EventObject],
    place: ({ openChannels }: SessionContext) => openChannels,
  },
  {
    machine: appSessionMachine,
    inputs: [samples.appSessionInput],
    events: samples.appSessionEvents,
  },
  {
    machine: multicastMachine,
    inputs: [samples.multicastInput, { ...samples.multicastInput, policy: 'block' }],
    events: samples.multicastEvents,
    place: ({ pending, readers }: MulticastContext) => [pending, readers.map(({ slow }) => slow)],
  },
  {
    machine: channelMachine,
    inputs: [samples.channelInput, samples.offeringChannelInput, samples.offeredChannelInput],
    events: [...samples.channelEvents, { type: 'close', alone: true } as EventObject],
    place: ({ alone, peerParted }: ChannelContext) => [alone, peerParted],
  },
  {
    machine: regionAttachmentMachine,
    inputs: [samples.regionAttachmentInput],
    events: samples.regionAttachmentEvents,
  },
  {
    machine: cacheAttachmentMachine,
    inputs: [samples.cacheAttachmentInput],
    events: samples.cacheAttachmentEvents,
  },
  {
    machine: subscriptionMachine,
    inputs: [samples.subscriptionInput],
    events: samples.subscriptionEvents,
    place: ({ number }: SubscriptionContext) => number,
  },
  {
    machine: linkPeerMachine,
    inputs: [samples.linkPeerInput, { ...samples.linkPeerInput, side: 'accepts' }],
    events: samples.linkPeerEvents,
    place: ({ side, silentBeats, refused }: LinkPeerContext) => [side, silentBeats, refused !== null],
  },
  {
    machine: relayNodeMachine,
    inputs: [samples.relayNodeInput],
    events: samples.relayNodeEvents,
    place: ({ neighbours }: RelayNodeContext) => (neighbours.sibling ?? []).length,
  },
  {
    machine: remoteHostMachine,
    inputs: [samples.remoteHostInput],
    events: [
      ...samples.remoteHostEvents,
      { ...samples.remoteHostEvents[0], units: [] } as unknown as EventObject,
    ],
    place: ({ units }: RemoteHostContext) => units.length,
  },
];
