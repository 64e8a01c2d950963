// Process for JavaScript: a pidfd, which is proof of a process's death and a way to signal it and nobody else.
#pragma once

#include <napi.h>

#include <memory>

#include "addon/reactor.h"
#include "os/fd.h"

namespace actor_ipc {

class ProcessObject : public Napi::ObjectWrap<ProcessObject> {
 public:
  static void Register(Napi::Env env, Napi::Object exports);
  /// new Process(pid, startTicks): startTicks 0 skips the check. Throws GONE, SYSTEM.
  explicit ProcessObject(const Napi::CallbackInfo& info);

 private:
  Napi::Value GetEnded(const Napi::CallbackInfo& info);
  Napi::Value Signal(const Napi::CallbackInfo& info);
  void Listen(const Napi::CallbackInfo& info);
  void Close(const Napi::CallbackInfo& info);

  Reactor* reactor_;
  Fd process_;
  std::unique_ptr<Poll> poll_;
  Napi::FunctionReference on_end_;
};

}  // namespace actor_ipc
