// Registration of what the addon offers; src/transport/native.ts declares the same for TypeScript.
#include <errno.h>
#include <fcntl.h>
#include <napi.h>
#include <unistd.h>

#include <string>
#include <utility>

#include "addon/bell_object.h"
#include "addon/cache_object.h"
#include "addon/convert.h"
#include "addon/doorbell_object.h"
#include "addon/process_object.h"
#include "addon/pulse_object.h"
#include "addon/reactor.h"
#include "addon/region_object.h"
#include "addon/segment_object.h"
#include "addon/socket_object.h"
#include "addon/uv_loop.h"
#include "os/datagram.h"
#include "os/event.h"
#include "os/fault.h"
#include "os/memory.h"
#include "os/process.h"
#include "os/run_directory.h"
#include "os/seqpacket.h"
#include "shm/layout.h"

namespace actor_ipc {

namespace {

Napi::Object Layout(Napi::Env env) {
  Napi::Object layout = Napi::Object::New(env);
  const auto set = [&](const char* name, uint32_t value) { layout.Set(name, Napi::Number::New(env, value)); };
  set("hash", LayoutHash());
  set("lineBytes", kLineBytes);
  set("parkOffset", kParkOffset);
  set("pulseOffset", kPulseOffset);
  set("lanesOffset", kLanesOffset);
  set("laneStride", kLaneStride);
  set("tailOffset", offsetof(TailLine, tail));
  set("wantOffset", offsetof(TailLine, want));
  set("oldestOffset", offsetof(TailLine, oldest));
  set("turnOffset", offsetof(TailLine, turn));
  set("headOffset", kHeadLineOffset + offsetof(HeadLine, head));
  set("recordHeaderBytes", sizeof(RecordHeader));
  set("recordAlign", kRecordAlign);
  set("broadcastHeaderBytes", sizeof(BroadcastHeader));
  set("broadcastAlign", kBroadcastAlign);
  set("turnBits", kTurnBits);
  set("wrapKind", kWrapKind);
  set("blockAlign", kBlockAlign);
  set("blockGenerationOffset", offsetof(BlockHeader, generation));
  set("blockStartOffset", offsetof(BlockHeader, start));
  set("blockBytesOffset", offsetof(BlockHeader, bytes));
  set("ringBytesMin", kRingBytesMin);
  set("ringBytesMax", kRingBytesMax);
  set("lanesMax", kLanesMax);
  set("packetBytesMax", kPacketBytesMax);
  return layout;
}

/// probe(): what of the kernel is missing, as [{ feature, message }].
Napi::Value Probe(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Napi::Array missing = Napi::Array::New(env);
  const auto note = [&](const char* feature, const Status& status) {
    if (status.ok()) return;
    Napi::Object entry = Napi::Object::New(env);
    entry.Set("feature", feature);
    entry.Set("message", ErrorOf(env, status).Message());
    missing.Set(missing.Length(), entry);
  };
  Fd file;
  Mapping mapping;
  note("memfd", CreateMemory("actor-ipc-probe", PageBytes(), Access::kOwnerOnly, &file, &mapping));
  Fd event;
  note("eventfd", CreateEvent(&event));
  Fd process;
  note("pidfd", OpenProcess(::getpid(), 0, &process));
  Fd one;
  Fd other;
  note("unix packet sockets", PairPacket(&one, &other));
  return missing;
}

Napi::Value SocketPair(const Napi::CallbackInfo& info) {
  Fd one;
  Fd other;
  Check(info.Env(), PairPacket(&one, &other));
  Napi::Array pair = Napi::Array::New(info.Env(), 2);
  pair.Set(0u, Napi::Number::New(info.Env(), one.Release()));
  pair.Set(1u, Napi::Number::New(info.Env(), other.Release()));
  return pair;
}

Napi::Value DupFd(const Napi::CallbackInfo& info) {
  const int number = ::fcntl(Int32(info, 0), F_DUPFD_CLOEXEC, 0);
  if (number < 0) Check(info.Env(), Status::System(errno, "fcntl(F_DUPFD_CLOEXEC)"));
  return Napi::Number::New(info.Env(), number);
}

void CloseFd(const Napi::CallbackInfo& info) {
  Fd file = TakeFd(info, 0);
  Reactor::Of(info.Env())->Forget(file.get());
}

void EnsureFolder(const Napi::CallbackInfo& info) {
  Check(info.Env(), EnsureRunDirectory(Text(info, 0).c_str(), Uint32(info, 1)));
}

/// lockFile(path): { fd } when taken, { holder } when another process has it.
Napi::Value Lock(const Napi::CallbackInfo& info) {
  Fd lock;
  pid_t holder = 0;
  const Status status = LockFile(Text(info, 0).c_str(), &lock, &holder);
  Napi::Object answer = Napi::Object::New(info.Env());
  if (status.code() == Code::kBusy) {
    answer.Set("holder", Napi::Number::New(info.Env(), holder));
    return answer;
  }
  Check(info.Env(), status);
  answer.Set("fd", Napi::Number::New(info.Env(), lock.get()));
  Reactor::Of(info.Env())->Keep(std::move(lock));
  return answer;
}

Napi::Value TicksOf(const Napi::CallbackInfo& info) {
  uint64_t ticks = 0;
  Check(info.Env(), StartTicks(Int32(info, 0), &ticks));
  return Napi::Number::New(info.Env(), static_cast<double>(ticks));
}

Napi::Value Boot(const Napi::CallbackInfo& info) {
  char id[64];
  Check(info.Env(), BootId(id, sizeof id));
  return Napi::String::New(info.Env(), id);
}

/// closeWindow(buffer): detaches a window of a segment, so that views of it turn empty.
void CloseWindow(const Napi::CallbackInfo& info) {
  if (!info[0].IsArrayBuffer()) throw Napi::TypeError::New(info.Env(), "argument 0 must be a window");
  napi_detach_arraybuffer(info.Env(), info[0]);
}

/// sendText(path, text): false if nobody takes it.
Napi::Value Send(const Napi::CallbackInfo& info) {
  const Status status = SendText(Text(info, 0).c_str(), Text(info, 1).c_str());
  return Napi::Boolean::New(info.Env(), status.ok());
}

Napi::Value Reap(const Napi::CallbackInfo& info) {
  return Napi::Boolean::New(info.Env(), ReapChild(Int32(info, 0)));
}

void NameFaults(const Napi::CallbackInfo&) { InstallLastWord(); }

Napi::Object Register(Napi::Env env, Napi::Object exports) {
  if (!CheckUvTypes()) throw Napi::Error::New(env, "this Node.js has an event loop that the addon does not know");
  exports.Set("layout", Layout(env));
  exports.Set("probe", Napi::Function::New<Probe>(env, "probe"));
  exports.Set("socketPair", Napi::Function::New<SocketPair>(env, "socketPair"));
  exports.Set("dupFd", Napi::Function::New<DupFd>(env, "dupFd"));
  exports.Set("closeFd", Napi::Function::New<CloseFd>(env, "closeFd"));
  exports.Set("ensureFolder", Napi::Function::New<EnsureFolder>(env, "ensureFolder"));
  exports.Set("lockFile", Napi::Function::New<Lock>(env, "lockFile"));
  exports.Set("startTicks", Napi::Function::New<TicksOf>(env, "startTicks"));
  exports.Set("bootId", Napi::Function::New<Boot>(env, "bootId"));
  exports.Set("sendText", Napi::Function::New<Send>(env, "sendText"));
  exports.Set("reapChild", Napi::Function::New<Reap>(env, "reapChild"));
  exports.Set("closeWindow", Napi::Function::New<CloseWindow>(env, "closeWindow"));
  exports.Set("installLastWord", Napi::Function::New<NameFaults>(env, "installLastWord"));
  BellObject::Register(env, exports);
  CacheObject::Register(env, exports);
  SegmentObject::Register(env, exports);
  RegionObject::Register(env, exports);
  DoorbellObject::Register(env, exports);
  PulseObject::Register(env, exports);
  SocketObject::Register(env, exports);
  ListenerObject::Register(env, exports);
  ProcessObject::Register(env, exports);
  return exports;
}

}  // namespace

NODE_API_MODULE(actor_ipc, Register)

}  // namespace actor_ipc
