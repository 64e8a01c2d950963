// The public API of the entry `actor-ipc`.
export { channelTarget } from './actors/channel-target.ts';
export { sessionOf, sessionSetup, type WithSession } from './actors/session-setup.ts';
export { type ErrorCode, type FatalTo, IpcError } from './errors.ts';
export type { DependencyNews } from './machines/incarnation.ts';
export type { MulticastReport, ReaderView, SlowPolicy } from './machines/multicast.ts';
export type { Reconnect } from './machines/process.ts';
export {
  type ArenaOptions,
  activated,
  type ConnectOptions,
  connect,
  createArena,
  createRuntime,
  type Multicast,
  type MulticastOptions,
  multicast,
  onDependency,
  openArena,
  type Participation,
  type Running,
  type RunOptions,
  type Runtime,
  type RuntimeOptions,
  region,
  reportState,
  run,
  type ServeOptions,
  type Serving,
  serve,
  supervise,
  writeArena,
} from './runtime/program.ts';
export type { Supervised } from './runtime/supervised.ts';
export type { ActorChildInput, ActorsInput } from './spec/actor-check.ts';
export type {
  Arena,
  ArenaStats,
  Borrowed,
  Handle,
  InPlaceCodec,
  Loan,
  SharedValue,
} from './spec/memory.ts';
export type { Descriptor, HandleOptions, NativeHandle, Received } from './spec/native-handle.ts';
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
export type { ChannelSchema, StandardSchema } from './spec/schema.ts';
export type {
  AppActor,
  BorrowOptions,
  Broadcast,
  BroadcastMessage,
  Channel,
  ChannelStats,
  ConversationOptions,
  Dialog,
  HoseReason,
  KeepAlive,
  Offer,
  OpenChannelOptions,
  Peer,
  Publisher,
  PublisherStats,
  Publishers,
  Replies,
  RequestContext,
  RequestOptions,
  ScopedMemory,
  SendOptions,
  Session,
  SessionEvent,
  SessionInput,
  Side,
  Stall,
  Stray,
  SubscriptionStats,
  WaitOptions,
} from './spec/session.ts';
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
export {
  type AppInput,
  type AppSpec,
  type BroadcastOptions,
  type BroadcastSpec,
  broadcast,
  type ChannelOptions,
  type ChannelSpec,
  type ChannelTypes,
  channel,
  defineUniverse,
  type InitChannelSpec,
  type OnDemandSpec,
  type Permissions,
} from './spec/universe.ts';
export { type BytesInput, rawBytes } from './transport/in-place.ts';
export type { SharedArena } from './transport/value-arena.ts';
