// Cache: a table in shared memory that many processes read and write, with a bounded number of records.
//
// Thread safety: one Cache in one thread; many of them, in many processes, over the same memory file.
// Invariants: those of shm/cache_shard.h. A user has nothing in the table but its slot: what it has set belongs to all. A dead
// user's slot is given to the next one that needs it.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "os/fd.h"
#include "os/memory.h"
#include "os/status.h"
#include "shm/cache_layout.h"
#include "shm/cache_shard.h"

namespace actor_ipc {

/// Formats a new cache. Errors: kTooLarge (the shape, or its memory), kSystem.
Status CreateCache(const CacheShape& shape, Fd* file, Mapping* mapping);

/// Maps a received cache and checks its header. Errors: those of MapForWriting, kBadLayout.
Status AttachCache(int file, Mapping* mapping);

struct CacheStats {
  uint32_t records = 0;
  uint32_t tombstones = 0;
  uint32_t users = 0;
  uint32_t repairs = 0;
  double floor = 0;
  uint64_t counters[kCacheCounters] = {};
};

class Cache {
 public:
  /// `mapping` comes from CreateCache or AttachCache.
  explicit Cache(std::shared_ptr<Mapping> mapping);
  Cache(const Cache&) = delete;
  Cache& operator=(const Cache&) = delete;
  /// Leaves. If the lock can't be had, the slot is given back once our process has ended.
  ~Cache();

  const std::shared_ptr<Mapping>& mapping() const { return mapping_; }
  const uint8_t* generation() const { return header_->generation; }
  /// As it was when it was checked.
  const CacheShape& shape() const { return shape_; }
  const CachePlaces& places() const { return places_; }
  /// -1 while we are no user.
  int slot() const { return slot_; }

  // Calls can answer what those of CacheShard do.

  /// Takes a user slot for this process, one of a dead user if need be. Errors: kFull, kSystem.
  Status Join();
  Status Leave();

  CacheKey KeyOf(std::string_view key) const;
  CacheShard& ShardOf(const CacheKey& key) { return shards_[CacheShardOf(key.hash, shape_.shards)]; }
  std::vector<CacheShard>& shards() { return shards_; }

  Status Set(std::string_view key, const CacheValue& value, double now_ms, CacheAnswer* answer);
  Status Delete(std::string_view key, double revision, double stamp, double ttl_ms, double now_ms, CacheAnswer* answer);
  Status Touch(std::string_view key, double ttl_ms, double now_ms, CacheAnswer* answer);
  Status Get(std::string_view key, double now_ms, CacheFound* found);
  /// As CacheShard::Catch: one record of each call, whichever shard it is in.
  void Catch(CacheEvicted* evicted);
  /// Up to `max` records of each shard.
  Status Clear(uint32_t max, uint32_t* left);
  Status Sweep(uint32_t max, double now_ms, uint32_t* removed);
  /// We are rung once at the next change of a key that begins with `prefix`, of which the first kCachePrefixBytesMax bytes
  /// count. Errors: kClosed (we have not joined).
  Status Arm(std::string_view prefix);
  Status Disarm();
  uint64_t TakeRings();
  bool RingsDue() const;
  Status Stats(CacheStats* stats);

 private:
  CacheUser* users() const { return reinterpret_cast<CacheUser*>(mapping_->base() + kCacheUsersOffset); }
  void ForgetDead();

  std::shared_ptr<Mapping> mapping_;
  const CacheHeader* header_;
  CacheShape shape_;
  CachePlaces places_;
  std::vector<CacheShard> shards_;
  CacheEvicted* evicted_ = nullptr;
  int slot_ = -1;
  uint32_t slot_generation_ = 0;
};

}  // namespace actor_ipc
