// Cache for JavaScript: changes only, since reads need no call. What a change is about stands in a block of private memory that
// JavaScript fills, the exchange, so that a call has no arguments to unwrap.
//
// Lifetime: one ArrayBuffer over the whole mapping and one over the exchange; close() detaches both, so that every view turns
// empty instead of dangling.
#pragma once

#include <napi.h>

#include <memory>
#include <string>
#include <string_view>

#include "addon/mapping_buffer.h"
#include "os/fd.h"
#include "shm/cache.h"

namespace actor_ipc {

class CacheObject : public Napi::ObjectWrap<CacheObject> {
 public:
  static void Register(Napi::Env env, Napi::Object exports);
  /// new Cache(capacity, recordBytes, shards, tombstones, seed, agedOutMs) creates; new Cache(fd) attaches and takes fd.
  explicit CacheObject(const Napi::CallbackInfo& info);

 private:
  Napi::Value GetFd(const Napi::CallbackInfo& info);
  Napi::Value GetGeneration(const Napi::CallbackInfo& info);
  Napi::Value GetSlot(const Napi::CallbackInfo& info);
  Napi::Value GetShape(const Napi::CallbackInfo& info);
  Napi::Value GetMemory(const Napi::CallbackInfo& info);
  Napi::Value GetExchange(const Napi::CallbackInfo& info);
  void Join(const Napi::CallbackInfo& info);
  void Leave(const Napi::CallbackInfo& info);
  Napi::Value Set(const Napi::CallbackInfo& info);
  Napi::Value Delete(const Napi::CallbackInfo& info);
  Napi::Value Touch(const Napi::CallbackInfo& info);
  Napi::Value Clear(const Napi::CallbackInfo& info);
  Napi::Value Sweep(const Napi::CallbackInfo& info);
  Napi::Value Arm(const Napi::CallbackInfo& info);
  Napi::Value Disarm(const Napi::CallbackInfo& info);
  Napi::Value TakeRings(const Napi::CallbackInfo& info);
  void CatchEvicted(const Napi::CallbackInfo& info);
  Napi::Value Stats(const Napi::CallbackInfo& info);
  void Close(const Napi::CallbackInfo& info);

  /// What JavaScript writes before a call, and reads after it.
  struct Exchange {
    double now_ms;
    double ttl_ms;
    double stamp;
    double revision;
    uint32_t key_bytes;
    uint32_t form;
    uint32_t value_bytes;
    uint32_t reserved;
    uint8_t key[kCacheKeyBytesMax + 1];
    /// The value follows; then, at EvictedOffset, a CacheEvicted and its value.
  };

  Cache& Opened(Napi::Env env);
  size_t EvictedOffset() const { return (sizeof(Exchange) + cache_->shape().record_bytes + 7) & ~size_t{7}; }
  std::string_view Key() const;
  Napi::Value Answer(Napi::Env env, const Status& status, CacheAnswer answer);

  Fd file_;
  std::unique_ptr<Cache> cache_;
  std::string generation_;
  MappingBuffer memory_;
  std::shared_ptr<Mapping> exchange_memory_;
  Exchange* exchange_ = nullptr;
  MappingBuffer exchange_buffer_;
};

}  // namespace actor_ipc
