#include "shm/cache.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <new>
#include <utility>

#include "os/process.h"
#include "shm/crash_point.h"
#include "shm/key_hash.h"

namespace actor_ipc {

namespace {

/// How often the destructor tries to leave; each try spins for kLockSpinNs.
constexpr int kLeaveTries = 20;

/// Larger than any of an earlier cache of that name, so that nobody takes its revisions for ours.
uint64_t FirstRevision() {
  timespec now;
  ::clock_gettime(CLOCK_REALTIME, &now);
  return (static_cast<uint64_t>(now.tv_sec) * 1000 + static_cast<uint64_t>(now.tv_nsec) / 1'000'000) << 10;
}

}  // namespace

Status CreateCache(const CacheShape& shape, Fd* file, Mapping* mapping) {
  const CachePlaces places = CachePlaces::Of(shape);
  if (places.bytes == 0 || places.bytes > kCacheBytesMax) return Status::Of(Code::kTooLarge, "cache size");
  const uint64_t whole = (places.bytes + PageBytes() - 1) / PageBytes() * PageBytes();
  Fd owned;
  Mapping mapped;
  if (Status status = CreateMemory("actor-ipc-cache", whole, Access::kShared, &owned, &mapped); !status.ok())
    return status;
  auto* header = new (mapped.base()) CacheHeader{};
  if (::getrandom(header->generation, sizeof header->generation, 0) != sizeof header->generation)
    return Status::System(errno, "getrandom");
  header->shape = shape;
  header->bytes = whole;
  const uint64_t revision = FirstRevision();
  for (uint32_t shard = 0; shard < shape.shards; shard++) {
    uint8_t* base = mapped.base() + kShardsOffset + shard * places.shard_bytes;
    auto* line = reinterpret_cast<ShardLine*>(base + kShardLineOffset);
    line->revision.low = static_cast<uint32_t>(revision);
    line->revision.high = static_cast<uint32_t>(revision >> 32);
  }
  header->layout_hash = CacheLayoutHash();
  header->magic = kCacheMagic;
  *file = std::move(owned);
  *mapping = std::move(mapped);
  return Status::Ok();
}

Status AttachCache(int file, Mapping* mapping) {
  size_t bytes = 0;
  if (Status status = MemoryBytes(file, &bytes); !status.ok()) return status;
  Mapping mapped;
  if (Status status = MapForWriting(file, bytes, kCacheBytesMax, &mapped); !status.ok()) return status;
  if (bytes < kShardsOffset) return Status::Of(Code::kBadLayout, "cache size");
  const auto* header = reinterpret_cast<const CacheHeader*>(mapped.base());
  if (header->magic != kCacheMagic || header->layout_hash != CacheLayoutHash())
    return Status::Of(Code::kBadLayout, "made by another version of the layout");
  const CacheShape shape = header->shape;
  const CachePlaces places = CachePlaces::Of(shape);
  if (places.bytes == 0 || places.bytes > bytes || header->bytes != bytes)
    return Status::Of(Code::kBadLayout, "cache header");
  *mapping = std::move(mapped);
  return Status::Ok();
}

Cache::Cache(std::shared_ptr<Mapping> mapping)
    : mapping_(std::move(mapping)),
      header_(reinterpret_cast<const CacheHeader*>(mapping_->base())),
      shape_(header_->shape),
      places_(CachePlaces::Of(shape_)) {
  // Between the check and this copy somebody may have written there.
  if (places_.bytes == 0 || places_.bytes > mapping_->bytes()) places_ = CachePlaces{};
  for (uint32_t shard = 0; places_.bytes != 0 && shard < shape_.shards; shard++)
    shards_.emplace_back(mapping_->base(), shape_, places_, shard);
}

Cache::~Cache() {
  Status status = Leave();
  for (int i = 1; i < kLeaveTries && status.code() == Code::kLocked; i++) status = Leave();
}

Status Cache::Join() {
  if (slot_ >= 0) return Status::Ok();
  if (shards_.empty()) return Status::Of(Code::kBadLayout, "cache header");
  uint64_t ticks = 0;
  if (Status status = StartTicks(::getpid(), &ticks); !status.ok()) return status;
  ForgetDead();
  uint32_t slot = 0;
  uint32_t generation = 0;
  if (Status status = shards_[0].Join(users(), static_cast<uint32_t>(::getpid()), ticks, &slot, &generation);
      !status.ok())
    return status;
  slot_ = static_cast<int>(slot);
  slot_generation_ = generation;
  return Status::Ok();
}

Status Cache::Leave() {
  if (slot_ < 0) return Status::Ok();
  if (Status status = Disarm(); !status.ok()) return status;
  if (Status status = shards_[0].Leave(users() + slot_, slot_generation_); !status.ok()) return status;
  slot_ = -1;
  return Status::Ok();
}

CacheKey Cache::KeyOf(std::string_view key) const {
  const auto* bytes = reinterpret_cast<const uint8_t*>(key.data());
  const uint32_t count = static_cast<uint32_t>(std::min<size_t>(key.size(), kCacheKeyBytesMax + 1));
  return CacheKey{bytes, count, KeyHash(bytes, count, shape_.seed)};
}

Status Cache::Set(std::string_view key, const CacheValue& value, double now_ms, CacheAnswer* answer) {
  const CacheKey own = KeyOf(key);
  return ShardOf(own).Set(own, value, now_ms, answer);
}

Status Cache::Delete(std::string_view key, double revision, double stamp, double ttl_ms, double now_ms,
                     CacheAnswer* answer) {
  const CacheKey own = KeyOf(key);
  return ShardOf(own).Delete(own, revision, stamp, ttl_ms, now_ms, answer);
}

Status Cache::Touch(std::string_view key, double ttl_ms, double now_ms, CacheAnswer* answer) {
  const CacheKey own = KeyOf(key);
  return ShardOf(own).Touch(own, ttl_ms, now_ms, answer);
}

Status Cache::Get(std::string_view key, double now_ms, CacheFound* found) {
  const CacheKey own = KeyOf(key);
  return ShardOf(own).Get(own, now_ms, found);
}

void Cache::Catch(CacheEvicted* evicted) {
  evicted_ = evicted;
  for (CacheShard& shard : shards_) shard.Catch(evicted);
}

Status Cache::Clear(uint32_t max, uint32_t* left) {
  *left = 0;
  for (CacheShard& shard : shards_) {
    uint32_t more = 0;
    if (Status status = shard.Clear(max, &more); !status.ok()) return status;
    *left += more;
  }
  return Status::Ok();
}

Status Cache::Sweep(uint32_t max, double now_ms, uint32_t* removed) {
  *removed = 0;
  if (evicted_ != nullptr) evicted_->key_bytes = 0;
  for (CacheShard& shard : shards_) {
    uint32_t more = 0;
    if (Status status = shard.Sweep(max, now_ms, &more); !status.ok()) return status;
    *removed += more;
  }
  return Status::Ok();
}

Status Cache::Arm(std::string_view prefix) {
  if (slot_ < 0) return Status::Of(Code::kClosed, "not a user of the cache");
  CacheUser& user = users()[slot_];
  const uint32_t count = static_cast<uint32_t>(std::min<size_t>(prefix.size(), kCachePrefixBytesMax));
  bool same = user.prefix_bytes.load(std::memory_order_relaxed) == count;  // Relaxed: we alone write it.
  for (uint32_t i = 0; i < count && same; i++)
    same = user.prefix[i].load(std::memory_order_relaxed) == static_cast<uint8_t>(prefix[i]);
  if (!same) {
    // Meanwhile every key rings us.
    user.prefix_bytes.store(0, std::memory_order_release);
    for (uint32_t i = 0; i < count; i++) user.prefix[i].store(static_cast<uint8_t>(prefix[i]), std::memory_order_release);
    user.prefix_bytes.store(count, std::memory_order_release);
  }
  for (CacheShard& shard : shards_)
    if (Status status = shard.Arm(static_cast<uint32_t>(slot_), true); !status.ok()) return status;
  return Status::Ok();
}

Status Cache::Disarm() {
  if (slot_ < 0) return Status::Ok();
  for (CacheShard& shard : shards_)
    if (Status status = shard.Arm(static_cast<uint32_t>(slot_), false); !status.ok()) return status;
  return Status::Ok();
}

uint64_t Cache::TakeRings() {
  uint64_t rings = 0;
  for (CacheShard& shard : shards_) rings |= shard.TakeRings();
  return rings;
}

bool Cache::RingsDue() const {
  return std::any_of(shards_.begin(), shards_.end(), [](const CacheShard& shard) { return shard.RingsDue(); });
}

Status Cache::Stats(CacheStats* stats) {
  ForgetDead();
  *stats = CacheStats{};
  for (CacheShard& shard : shards_) {
    ShardStats part;
    if (Status status = shard.Stats(&part); !status.ok()) return status;
    stats->records += part.live;
    stats->tombstones += part.tombstones;
    stats->repairs += part.repairs;
    stats->floor = std::max(stats->floor, part.floor);
    for (uint32_t i = 0; i < kCacheCounters; i++) stats->counters[i] += part.counters[i];
  }
  // Now that what a dead holder left half done is put back, its slot is found.
  ForgetDead();
  for (uint32_t slot = 0; slot < kUsersMax; slot++) {
    const CacheUser& user = users()[slot];
    if (user.pid.load(std::memory_order_relaxed) == 0) continue;  // Relaxed: figures for people.
    stats->users++;
    const double hits = LoadDouble(user.hits);
    const double misses = LoadDouble(user.misses);
    if (hits > 0 && hits < 0x1p53) stats->counters[kCountHits] += static_cast<uint64_t>(hits);
    if (misses > 0 && misses < 0x1p53) stats->counters[kCountMisses] += static_cast<uint64_t>(misses);
  }
  return Status::Ok();
}

/// Gives back the slots of users that have ended. What can't be done now is done by the next one.
void Cache::ForgetDead() {
  for (uint32_t slot = 0; slot < kUsersMax; slot++) {
    CacheUser& user = users()[slot];
    // In the reverse order of Join: if the slot has changed hands since, its generation has too, and Leave does nothing.
    const uint32_t generation = user.generation.load(std::memory_order_acquire);
    const uint32_t pid = user.pid.load(std::memory_order_acquire);
    if (pid == 0 || pid > INT32_MAX || !ProvenDead(static_cast<pid_t>(pid), Load64(user.ticks))) continue;
    for (CacheShard& shard : shards_) (void)shard.Arm(slot, false);
    (void)shards_[0].Leave(&user, generation);
  }
}

}  // namespace actor_ipc
