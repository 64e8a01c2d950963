#include "addon/bell_object.h"

#include "addon/convert.h"
#include "os/datagram.h"

namespace actor_ipc {

void BellObject::Register(Napi::Env env, Napi::Object exports) {
  exports.Set("Bell", DefineClass(env, "Bell",
                                  {InstanceMethod<&BellObject::Ring>("ring"), InstanceMethod<&BellObject::Listen>("listen"),
                                   InstanceMethod<&BellObject::Hold>("hold"),
                                   InstanceMethod<&BellObject::Close>("close")}));
}

BellObject::BellObject(const Napi::CallbackInfo& info)
    : Napi::ObjectWrap<BellObject>(info), reactor_(Reactor::Of(info.Env())) {
  Check(info.Env(), BindBell(Text(info, 0).c_str(), 0600, &bell_));
}

/// ring(path, why): false if nobody has that bell. `why` is a byte. Throws TOO_LARGE, SYSTEM.
Napi::Value BellObject::Ring(const Napi::CallbackInfo& info) {
  if (!bell_.valid()) return Napi::Boolean::New(info.Env(), false);
  const uint32_t why = Uint32(info, 1);
  if (why > UINT8_MAX) throw Napi::RangeError::New(info.Env(), "argument 1 must be a byte");
  const Status status = RingBell(bell_.get(), Text(info, 0).c_str(), static_cast<uint8_t>(why));
  if (status.code() == Code::kGone) return Napi::Boolean::New(info.Env(), false);
  Check(info.Env(), status);
  return Napi::Boolean::New(info.Env(), true);
}

/// listen(onRung(why, count)): called once for all rings that have come. Does not keep the process running.
void BellObject::Listen(const Napi::CallbackInfo& info) {
  if (!bell_.valid()) throw ErrorOf(info.Env(), Status::Of(Code::kClosed, "listen"));
  const bool first = poll_ == nullptr;
  callback_ = Napi::Persistent(Callback(info, 0));
  if (!first) return;
  poll_ = std::make_unique<Poll>(reactor_, bell_.get(), [this](int) { OnRung(); });
  poll_->Hold(false);
  if (!poll_->Start(kUvReadable)) throw Napi::Error::New(info.Env(), "the event loop can't watch the bell");
  Ref();
}

void BellObject::Hold(const Napi::CallbackInfo& info) {
  if (poll_ != nullptr) poll_->Hold(info[0].ToBoolean().Value());
}

void BellObject::Close(const Napi::CallbackInfo&) {
  if (poll_ != nullptr) {
    poll_->Close();
    poll_.reset();
    callback_.Reset();
    Unref();
  }
  bell_.Reset();
}

void BellObject::OnRung() {
  const Rings rings = ClearBell(bell_.get());
  if (rings.count == 0) return;
  const Napi::HandleScope scope(Env());
  [[maybe_unused]] const Napi::Object alive = Value();  // The callback may close this bell.
  reactor_->Call(callback_, {Napi::Number::New(Env(), rings.why), Napi::Number::New(Env(), rings.count)});
}

}  // namespace actor_ipc
