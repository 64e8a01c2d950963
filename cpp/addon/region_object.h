// Region for JavaScript: arguments in, one call, result out. No call runs JavaScript while it has the lock.
//
// Lifetime: one ArrayBuffer over the whole mapping, made for the first view; close() detaches it, so that every view turns
// empty instead of dangling. An environment that ends leaves the region, and
// rings those who wait for what it had.
#pragma once

#include <napi.h>

#include <memory>
#include <string>

#include "addon/mapping_buffer.h"
#include "os/fd.h"
#include "shm/region.h"

namespace actor_ipc {

class RegionObject : public Napi::ObjectWrap<RegionObject> {
 public:
  static void Register(Napi::Env env, Napi::Object exports);
  /// new Region(bytes) creates; new Region(fd, bytesMax) attaches and takes fd.
  explicit RegionObject(const Napi::CallbackInfo& info);
  ~RegionObject() override;

 private:
  Napi::Value GetFd(const Napi::CallbackInfo& info);
  Napi::Value GetBytes(const Napi::CallbackInfo& info);
  Napi::Value GetGeneration(const Napi::CallbackInfo& info);
  Napi::Value GetSlot(const Napi::CallbackInfo& info);
  void Join(const Napi::CallbackInfo& info);
  void Leave(const Napi::CallbackInfo& info);
  /// bells(prefix): where the bell of each user is: `prefix`, its slot and ".bell". For an end without leave().
  void Bells(const Napi::CallbackInfo& info);
  Napi::Value Users(const Napi::CallbackInfo& info);
  Napi::Value OpenPipe(const Napi::CallbackInfo& info);
  Napi::Value Enqueue(const Napi::CallbackInfo& info);
  Napi::Value Dequeue(const Napi::CallbackInfo& info);
  Napi::Value TakeInto(const Napi::CallbackInfo& info);
  Napi::Value DequeueBlock(const Napi::CallbackInfo& info);
  Napi::Value Ack(const Napi::CallbackInfo& info);
  Napi::Value Reject(const Napi::CallbackInfo& info);
  Napi::Value Unwait(const Napi::CallbackInfo& info);
  Napi::Value Construct(const Napi::CallbackInfo& info);
  Napi::Value EnqueueBlock(const Napi::CallbackInfo& info);
  Napi::Value View(const Napi::CallbackInfo& info);
  Napi::Value Release(const Napi::CallbackInfo& info);
  Napi::Value TakeRings(const Napi::CallbackInfo& info);
  Napi::Value Recover(const Napi::CallbackInfo& info);
  Napi::Value Stats(const Napi::CallbackInfo& info);
  Napi::Value StatsOf(const Napi::CallbackInfo& info);
  void Close(const Napi::CallbackInfo& info);

  void LeaveAndRing();
  Region& Opened(Napi::Env env);
  Napi::Value Answer(Napi::Env env, const Status& status);
  Napi::Value Hand(const Napi::CallbackInfo& info, Take take, bool wait);

  Fd file_;
  std::unique_ptr<Region> region_;
  std::string generation_;
  std::string bells_;
  MappingBuffer buffer_;
};

}  // namespace actor_ipc
