// The public API of the entry `actor-ipc`.
export { sessionOf, sessionSetup, type WithSession } from './actors/session-setup.ts';
export { type ErrorCode, type FatalTo, IpcError } from './errors.ts';
export type { Reconnect } from './machines/process.ts';
export {
  type ConnectOptions,
  connect,
  createRuntime,
  type Participation,
  type Runtime,
  type RuntimeOptions,
  reportState,
  type ServeOptions,
  type Serving,
  serve,
} from './runtime/program.ts';
export type {
  Broadcast,
  BroadcastMessage,
  Channel,
  ChannelStats,
  HoseReason,
  Peer,
  Publisher,
  PublisherStats,
  Publishers,
  Session,
  SessionEvent,
  SessionInput,
  Side,
  SubscriptionStats,
  WaitOptions,
} from './spec/session.ts';
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
} from './spec/universe.ts';
