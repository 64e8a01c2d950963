// Segment for JavaScript: one mapping, one ArrayBuffer over it.
//
// Lifetime: the memory stays mapped as long as the Segment is open, a doorbell watches a word in it or a window on it has
// not been closed. close() detaches the ArrayBuffer, so that every view of it turns empty instead of dangling, and gives
// the mapping up.
// Never tell V8 that a mapping costs nothing by subtracting its size: it adds an external buffer's size when the buffer is
// made, takes it off when the buffer goes, and aborts the process if the sum turns negative.
#pragma once

#include <napi.h>

#include <memory>
#include <vector>

#include "addon/mapping_buffer.h"
#include "os/fault.h"
#include "os/fd.h"
#include "os/memory.h"

namespace actor_ipc {

class SegmentObject : public Napi::ObjectWrap<SegmentObject> {
 public:
  static void Register(Napi::Env env, Napi::Object exports);
  /// new Segment(kind, capacities, firstPosition) creates; new Segment(kind, fd, bytes, bytesMax) attaches and takes fd;
  /// new Segment(bytes) creates one of an arena, whose fd can only be read.
  explicit SegmentObject(const Napi::CallbackInfo& info);

  /// The Segment that was given as an argument. Throws a TypeError for anything else: unwrapped, another object of this
  /// addon would be taken for one.
  static SegmentObject* From(const Napi::CallbackInfo& info, size_t index);

  const std::shared_ptr<Mapping>& mapping() const { return mapping_; }

 private:
  Napi::Value GetBuffer(const Napi::CallbackInfo& info);
  Napi::Value GetFd(const Napi::CallbackInfo& info);
  Napi::Value GetBytes(const Napi::CallbackInfo& info);
  Napi::Value GetRings(const Napi::CallbackInfo& info);
  Napi::Value Window(const Napi::CallbackInfo& info);
  void Name(const Napi::CallbackInfo& info);
  /// giveBack(offset, bytes): the whole pages in there go back to the system.
  void GiveBack(const Napi::CallbackInfo& info);
  void CloseFile(const Napi::CallbackInfo& info);
  void Close(const Napi::CallbackInfo& info);

  /// A mapping and what the last word calls it; the names go first.
  struct Named {
    Mapping mapping;
    std::vector<FaultName> names;
  };

  Fd file_;
  std::shared_ptr<Mapping> mapping_;
  /// What mapping_ points into; null once it is closed.
  Named* named_ = nullptr;
  MappingBuffer buffer_;
  std::vector<uint32_t> rings_;
};

}  // namespace actor_ipc
