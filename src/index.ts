// The public API of the entry `actor-ipc`.

export { channelTarget } from './actors/channel-target.ts';
export type { LinkStats } from './actors/link-peer.ts';
export type { NodeStats } from './actors/midway-relay.ts';
export type { ConnectRelayOptions, RelayListen, RelayServing, ServeRelayOptions } from './actors/relay.ts';
export type { RelayDownstream, RelayDownstreamOptions } from './actors/relay-downstream.ts';
export type { GatewayOptions, SessionGateway } from './actors/session-gateway.ts';
export { sessionOf, sessionSetup, type WithSession } from './actors/session-setup.ts';
export type { ShardDownstream, ShardDownstreamOptions } from './actors/shard-downstream.ts';
export type { ClusterNode } from './actors/shard-relay.ts';
export { type ErrorCode, type FatalTo, IpcError } from './errors.ts';
export type { DependencyNews } from './machines/incarnation.ts';
export type { MulticastReport, ReaderView, SlowPolicy } from './machines/multicast.ts';
export type { Reconnect } from './machines/process.ts';
export type { Multicast, Participation, Running, RunOptions, Serving } from './runtime/participation.ts';
export { processInput } from './runtime/process-input.ts';
export {
  activated,
  carrySessions,
  clusterNode,
  connect,
  connectDownstream,
  connectNats,
  connectRelay,
  createArena,
  createRuntime,
  multicast,
  onDependency,
  openArena,
  redact,
  region,
  relayNode,
  reportState,
  run,
  serve,
  serveRelay,
  supervise,
  writeArena,
} from './runtime/process-runtime.ts';
export type {
  ArenaOptions,
  ConnectOptions,
  MulticastOptions,
  Runtime,
  RuntimeOptions,
} from './runtime/program.ts';
export type { ServeOptions } from './runtime/serving.ts';
export type { Supervised } from './runtime/supervised.ts';
export type { Redact } from './runtime/value-encoder.ts';
export type { ActorChildInput, ActorsInput } from './spec/actor-check.ts';
export type {
  Broadcast,
  BroadcastMessage,
  Publisher,
  PublisherStats,
  Publishers,
  SubscriptionStats,
} from './spec/broadcast.ts';
export { type BroadcastOptions, type BroadcastSpec, broadcast } from './spec/broadcast-spec.ts';
export type { BorrowOptions, Channel, ChannelStats } from './spec/channel.ts';
export {
  type ChannelOptions,
  type ChannelSpec,
  type ChannelTypes,
  channel,
  type InitChannelSpec,
  type OnDemandSpec,
} from './spec/channel-spec.ts';
export type {
  ConversationOptions,
  Dialog,
  Replies,
  RequestContext,
  RequestOptions,
  Stray,
} from './spec/conversation.ts';
export type {
  Arena,
  ArenaStats,
  Borrowed,
  Handle,
  InPlaceCodec,
  Loan,
  SharedValue,
} from './spec/memory.ts';
export type { Descriptor, HandleOptions, NativeHandle, Received, SendOptions } from './spec/native-handle.ts';
export type { Peer, Side } from './spec/peer.ts';
export type { ArenaChange, ArenaReader, ArenaWriter } from './spec/published-arena.ts';
export type {
  DequeueOptions,
  Packet,
  PacketCodec,
  Pipe,
  PipeOptions,
  PipeStats,
  Region,
  RegionOptions,
  RegionStats,
  RegionValue,
} from './spec/region.ts';
export type {
  Blobs,
  KeyValue,
  KeyValueEntry,
  Lease,
  LeaseOptions,
  Relay,
  RelayHandler,
  RelayHold,
  RelayListener,
  RelayNode,
  RelayRequest,
  RelayRequestOptions,
  RelayRole,
  RelayStatus,
} from './spec/relay.ts';
export type { LinkTimes, LinkTls, RelayEndpoint } from './spec/relay-link.ts';
export type { NatsAuth, NatsOptions, NatsTls } from './spec/relay-nats.ts';
export { type NatsFile, readNatsFile } from './spec/relay-nats-file.ts';
export type {
  MidwaySpec,
  RelayHooks,
  RelayNodeSpec,
  ReliefSpec,
  SiblingSpec,
  TableSpec,
} from './spec/relay-node.ts';
export type { ShardedNodeSpec, ShardRelaySpec, ShardReliefSpec } from './spec/relay-sharded.ts';
export type { ChannelSchema, StandardSchema } from './spec/schema.ts';
export type {
  AppActor,
  HoseReason,
  KeepAlive,
  Offer,
  OpenChannelOptions,
  ScopedMemory,
  Session,
  Stall,
} from './spec/session.ts';
export type { SessionEvent, SessionInput } from './spec/session-event.ts';
export type {
  CallAnswer,
  CallError,
  ChildCounts,
  ChildEntry,
  ChildRef,
  ChildSpecView,
  StartAnswer,
  Supervision,
} from './spec/supervision.ts';
export { type AppInput, type AppSpec, defineUniverse, type Permissions } from './spec/universe.ts';
export type { WaitOptions } from './spec/waiting.ts';
export { type BytesInput, rawBytes } from './transport/in-place.ts';
export type { SharedArena } from './transport/value-arena.ts';
