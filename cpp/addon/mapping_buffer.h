// MappingBuffer: the one ArrayBuffer over a whole mapping, for the objects of JavaScript that have one.
//
// Lifetime: the mapping stays as long as the buffer can be reached. Close() detaches it, so that every view of it turns empty
// instead of dangling, and gives the mapping up at once; a buffer that somebody else has detached or transferred keeps it.
#pragma once

#include <napi.h>

#include <memory>

#include "os/memory.h"

namespace actor_ipc {

class MappingBuffer {
 public:
  /// Makes the buffer. Throws if the engine allows none.
  void Open(Napi::Env env, const std::shared_ptr<Mapping>& mapping);
  bool open() const { return held_ != nullptr; }
  /// REQUIRES: open().
  Napi::Object Value() const { return buffer_.Value(); }
  /// Does nothing unless it is open.
  void Close(Napi::Env env);

  /// An ArrayBuffer over a part of the mapping that keeps it mapped; null if the engine allows none. `held`, if asked for,
  /// is what the buffer's finalizer owns.
  static napi_value Expose(Napi::Env env, const std::shared_ptr<Mapping>& mapping, size_t offset, size_t bytes,
                           std::shared_ptr<Mapping>** held = nullptr);

 private:
  void* base_ = nullptr;
  size_t bytes_ = 0;
  /// Owned by the buffer's finalizer, which may run long after Close(); emptied by Close().
  std::shared_ptr<Mapping>* held_ = nullptr;
  Napi::ObjectReference buffer_;
};

}  // namespace actor_ipc
