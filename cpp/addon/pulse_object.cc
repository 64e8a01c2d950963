#include "addon/pulse_object.h"

#include <algorithm>
#include <utility>

#include "addon/convert.h"
#include "addon/segment_object.h"
#include "os/event.h"

namespace actor_ipc {

namespace {

constexpr napi_type_tag kTypeTag = {0x2b8f6d0193e44a7c, 0xc1405e7ad29b8f36};

uint64_t IdleNs(void* loop) { return uv_metrics_idle_time(static_cast<uv_loop_t*>(loop)); }

}  // namespace

std::shared_ptr<PulseBell> PulseBell::Of(Reactor* reactor) {
  if (auto bell = reactor->pulse_bell().lock()) return bell;
  Fd event;
  if (!CreateEvent(&event).ok()) return nullptr;
  std::shared_ptr<PulseBell> bell(new PulseBell(reactor, std::move(event)));
  // The sessions' sockets keep the process running, not this.
  bell->poll_.Hold(false);
  if (!bell->poll_.Start(kUvReadable)) return nullptr;
  reactor->pulse_bell() = bell;
  return bell;
}

PulseBell::PulseBell(Reactor* reactor, Fd bell)
    : bell_(std::move(bell)),
      loop_(bell_.get(), &IdleNs, reactor->loop()),
      poll_(reactor, bell_.get(), [this](int) { OnBell(); }) {}

void PulseBell::Leave(PulseObject* member) {
  std::replace(members_.begin(), members_.end(), member, static_cast<PulseObject*>(nullptr));
}

void PulseBell::End() {
  for (PulseObject* member : std::vector(members_))
    if (member != nullptr) member->Detach();
}

void PulseBell::OnBell() {
  const std::shared_ptr<PulseBell> alive = shared_from_this();  // A callback may close the last member.
  ClearEvent(bell_.get());
  Pulse::OfProcess().Answer(&loop_);
  for (size_t i = 0; i < members_.size(); i++)
    if (members_[i] != nullptr) members_[i]->Tell();
  members_.erase(std::remove(members_.begin(), members_.end(), nullptr), members_.end());
}

void PulseObject::Register(Napi::Env env, Napi::Object exports) {
  exports.Set("Pulse", DefineClass(env, "Pulse",
                                   {InstanceAccessor<&PulseObject::GetIdle>("idle"),
                                    InstanceMethod<&PulseObject::Listen>("listen"),
                                    InstanceMethod<&PulseObject::Close>("close")}));
}

PulseObject::PulseObject(const Napi::CallbackInfo& info)
    : Napi::ObjectWrap<PulseObject>(info), reactor_(Reactor::Of(info.Env())) {
  const std::shared_ptr<Mapping> own = SegmentObject::From(info, 0)->mapping();
  const std::shared_ptr<Mapping> peer = SegmentObject::From(info, 1)->mapping();
  if (own == nullptr || !own->writable()) throw Napi::TypeError::New(info.Env(), "argument 0 must be an own segment");
  if (peer == nullptr) throw Napi::TypeError::New(info.Env(), "argument 1 must be an open segment");
  const PulseLimits limits{Uint32(info, 2), Uint32(info, 3), Uint32(info, 4)};
  if (limits.beat_ms == 0) throw Napi::RangeError::New(info.Env(), "a beat takes at least a millisecond");
  bell_ = PulseBell::Of(reactor_);
  if (bell_ == nullptr) throw Napi::Error::New(info.Env(), "the event loop can't watch the bell of its keep-alive thread");
  auto session = std::make_shared<PulseSession>(bell_->loop(), own, peer, limits);
  Check(info.Env(), Pulse::OfProcess().Add(session));
  session_ = std::move(session);
  bell_->Join(this);
  info.This().As<Napi::Object>().TypeTag(&kTypeTag);
}

void PulseObject::Listen(const Napi::CallbackInfo& info) {
  const Napi::Function callback = Callback(info, 0);
  if (session_ == nullptr || !callback_.IsEmpty()) throw Napi::Error::New(info.Env(), "the pulse is listened to already, or closed");
  callback_ = Napi::Persistent(callback);
  Ref();
  // What has changed before anybody listened.
  Tell();
}

Napi::Value PulseObject::GetIdle(const Napi::CallbackInfo& info) {
  CheckTag(info.Env(), info.This(), kTypeTag, "Pulse");
  return Napi::Boolean::New(info.Env(), session_ != nullptr && session_->idle());
}

void PulseObject::Close(const Napi::CallbackInfo&) {
  Detach();
  if (callback_.IsEmpty()) return;
  callback_.Reset();
  Unref();
}

void PulseObject::Tell() {
  if (session_ == nullptr || callback_.IsEmpty()) return;
  const bool idle = session_->idle();
  const uint32_t stalled_ms = session_->StalledMs();
  if (idle == told_idle_ && (stalled_ms > 0) == told_stalled_) return;
  told_idle_ = idle;
  told_stalled_ = stalled_ms > 0;
  const Napi::HandleScope scope(Env());
  [[maybe_unused]] const Napi::Object alive = Value();  // The callback may close this pulse.
  reactor_->Call(callback_, {Napi::Number::New(Env(), stalled_ms), Napi::Boolean::New(Env(), idle)});
}

void PulseObject::Detach() {
  if (session_ == nullptr) return;
  Pulse::OfProcess().Remove(session_);
  session_.reset();
  bell_->Leave(this);
  bell_.reset();
}

}  // namespace actor_ipc
