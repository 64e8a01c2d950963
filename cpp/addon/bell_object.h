// Bell for JavaScript: a named bell that the event loop watches. Unlike a Doorbell, which belongs to one session, anybody
// who knows its path may ring it.
#pragma once

#include <napi.h>

#include <memory>

#include "addon/reactor.h"
#include "os/fd.h"

namespace actor_ipc {

class BellObject : public Napi::ObjectWrap<BellObject> {
 public:
  static void Register(Napi::Env env, Napi::Object exports);
  /// new Bell(path). Throws TOO_LARGE, SYSTEM.
  explicit BellObject(const Napi::CallbackInfo& info);

 private:
  Napi::Value Ring(const Napi::CallbackInfo& info);
  void Listen(const Napi::CallbackInfo& info);
  void Hold(const Napi::CallbackInfo& info);
  void Close(const Napi::CallbackInfo& info);
  void OnRung();

  Reactor* reactor_;
  Fd bell_;
  std::unique_ptr<Poll> poll_;
  Napi::FunctionReference callback_;
};

}  // namespace actor_ipc
