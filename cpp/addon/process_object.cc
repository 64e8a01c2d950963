#include "addon/process_object.h"

#include "addon/convert.h"
#include "os/process.h"

namespace actor_ipc {

namespace {

constexpr napi_type_tag kTypeTag = {0x0c5c7fd0a6a3a450, 0xd23f0824128b2f33};

}  // namespace

void ProcessObject::Register(Napi::Env env, Napi::Object exports) {
  exports.Set("Process",
              DefineClass(env, "Process",
                          {InstanceAccessor<&ProcessObject::GetEnded>("ended"),
                           InstanceMethod<&ProcessObject::Signal>("signal"),
                           InstanceMethod<&ProcessObject::Listen>("listen"), InstanceMethod<&ProcessObject::Close>("close")}));
}

ProcessObject::ProcessObject(const Napi::CallbackInfo& info)
    : Napi::ObjectWrap<ProcessObject>(info), reactor_(Reactor::Of(info.Env())) {
  Check(info.Env(), OpenProcess(Int32(info, 0), Whole(info, 1), &process_));
  info.This().As<Napi::Object>().TypeTag(&kTypeTag);
}

Napi::Value ProcessObject::GetEnded(const Napi::CallbackInfo& info) {
  CheckTag(info.Env(), info.This(), kTypeTag, "Process");
  return Napi::Boolean::New(info.Env(), process_.valid() && ProcessEnded(process_.get()));
}

/// signal(number): false if the process has ended. Throws SYSTEM.
Napi::Value ProcessObject::Signal(const Napi::CallbackInfo& info) {
  const Status status = SignalProcess(process_.get(), Int32(info, 0));
  if (status.code() == Code::kGone) return Napi::Boolean::New(info.Env(), false);
  Check(info.Env(), status);
  return Napi::Boolean::New(info.Env(), true);
}

/// listen(onEnd): called once when the process has ended. Does not keep our own process running.
void ProcessObject::Listen(const Napi::CallbackInfo& info) {
  const Napi::Function on_end = Callback(info, 0);
  if (poll_ != nullptr) throw Napi::Error::New(info.Env(), "the process is listened to already");
  auto poll = std::make_unique<Poll>(reactor_, process_.get(), [this](int) {
    const Napi::HandleScope scope(Env());
    [[maybe_unused]] const Napi::Object alive = Value();  // The callback may close this object.
    poll_->Stop();
    reactor_->Call(on_end_, {});
  });
  poll->Hold(false);
  if (!poll->Start(kUvReadable)) throw Napi::Error::New(info.Env(), "the event loop can't watch the process");
  on_end_ = Napi::Persistent(on_end);
  poll_ = std::move(poll);
  Ref();
}

void ProcessObject::Close(const Napi::CallbackInfo&) {
  if (poll_ != nullptr) {
    poll_->Close();
    poll_.reset();
    on_end_.Reset();
    Unref();
  }
  process_.Reset();
}

}  // namespace actor_ipc
