// The public API of the entry `actor-ipc`.
export { sessionOf, sessionSetup, type WithSession } from './actors/session-setup.ts';
export { type ErrorCode, type FatalTo, IpcError } from './errors.ts';
export type { MulticastReport, ReaderView, SlowPolicy } from './machines/multicast.ts';
export type { Reconnect } from './machines/process.ts';
export {
  type ConnectOptions,
  connect,
  createRuntime,
  type Multicast,
  type MulticastOptions,
  multicast,
  type Participation,
  type Runtime,
  type RuntimeOptions,
  region,
  reportState,
  type ServeOptions,
  serve,
} from './runtime/program.ts';
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
  Channel,
  ChannelStats,
  HoseReason,
  Peer,
  Session,
  SessionEvent,
  SessionInput,
  Side,
  WaitOptions,
} from './spec/session.ts';
export {
  type AppInput,
  type AppSpec,
  type ChannelOptions,
  type ChannelSpec,
  type ChannelTypes,
  channel,
  defineUniverse,
} from './spec/universe.ts';
