// Cache layout: what stands where in a cache. Many processes write all of it; each shard under a lock of its own.
//
//   CacheHeader     constant once the cache has been handed out
//   CacheUser[64]   who uses it; taken and given back under the lock of the first shard
//   then, for each shard, `shard_bytes` apart
//     LockLine      its lock; how often a dead holder's work was taken back
//     JournalLine   what the words that the holder of the lock has changed were before
//     ShardLine     counters and the ends of its lists
//     CacheChange[] what has happened to keys lately, for those who watch
//     Word[]        buckets: the first record of each chain
//     CacheRecord[] the records, `record_stride` apart, each followed by its key and its value
//
// There is no pointer: a record is its index + 1, so that 0 is none. Whatever is read here was written by others and is
// checked before it is used. Records are read without the lock; see shm/cache_shard.h for what makes that safe.
// Times are milliseconds of CLOCK_MONOTONIC as a double, which JavaScript reads and stores as one access of 8 bytes.
#pragma once

#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "shm/region_layout.h"

namespace actor_ipc {

inline constexpr uint32_t kCacheMagic = 0x4c504941;  // "AIPL"
inline constexpr uint32_t kCacheVersion = 2;
/// Its length stands in one byte.
inline constexpr uint32_t kCacheKeyBytesMax = 255;
/// Its length stands in 22 bits, and a writer copies it under the lock.
inline constexpr uint32_t kCacheRecordBytesMax = 1u << 20;
inline constexpr uint32_t kCacheCapacityMax = 1u << 24;
inline constexpr uint32_t kCacheShardsMax = 64;
inline constexpr uint32_t kCachePrefixBytesMax = 64;
/// What those who watch may be behind before they miss something.
inline constexpr uint32_t kCacheChanges = 1024;
/// Node 20 has no longer ArrayBuffer.
inline constexpr uint64_t kCacheBytesMax = (uint64_t{4} << 30) - 4096;

/// A time, or a whole number up to 2^53, as the bits of a double.
using Double = std::atomic<uint64_t>;
static_assert(Double::is_always_lock_free && sizeof(Double) == 8);

inline double LoadDouble(const Double& word) { return std::bit_cast<double>(word.load(std::memory_order_acquire)); }
inline void StoreDouble(Double* word, double value) {
  word->store(std::bit_cast<uint64_t>(value), std::memory_order_release);
}

/// What a creator asks for, and all that the places are computed from.
struct CacheShape {
  uint32_t capacity = 0;
  /// Bytes of the largest value.
  uint32_t record_bytes = 0;
  uint32_t shards = 1;
  /// Deleted keys that are remembered.
  uint32_t tombstones = 0;
  uint32_t seed = 0;
  uint32_t reserved = 0;
  /// Since its last use, after which a record is as good as gone; 0: never.
  double aged_out_ms = 0;
};

struct alignas(kLineBytes) CacheHeader {
  uint32_t magic;
  uint32_t layout_hash;
  uint64_t bytes;
  /// Random, so that two caches of one name can be told apart.
  uint8_t generation[16];
  CacheShape shape;
};

struct alignas(kLineBytes) CacheUser {
  /// 0: the slot is free.
  Word pid;
  Word generation;
  Word64 ticks;
  /// Counted by the user alone, without a lock; added to the totals when it leaves.
  Double hits;
  Double misses;
  /// What all keys that it watches begin with. A hint: it spares the others a ring.
  Word prefix_bytes;
  std::atomic<uint8_t> prefix[kCachePrefixBytesMax];
};
static_assert(sizeof(CacheUser) == kLineBytes);

enum CacheCounter : uint32_t {
  kCountHits,
  kCountMisses,
  kCountSets,
  kCountDeletes,
  kCountEvicted,
  kCountExpired,
  kCountAged,
  kCountTombstonesEvicted,
  kCacheCounters,
};

enum CacheList : uint32_t { kSpareList = 0, kLiveList = 1, kDeadList = 2, kCacheLists = 3 };

struct ListEnds {
  Word newest;
  Word oldest;
  Word length;
  Word reserved;
};

struct alignas(kLineBytes) ShardLine {
  /// By CacheList. The spare ones are linked by `older` alone, from `newest`; those that were never used are in no list.
  ListEnds lists[kCacheLists];
  /// Given to each value that is set, so that compare-and-set can tell two of them apart.
  Word64 revision;
  /// The greatest stamp of a tombstone that had to go before its time.
  Word64 floor;
  Word64 counters[kCacheCounters];
  /// How many changes there ever were, as 32 bits that wrap.
  Word changes;
  /// Where the next sweep goes on; a hint.
  Word sweep_at;
  /// 1 once a record had a limited life: only then is it worth looking for expired ones.
  Word mortal;
  /// Records from this number + 1 on were never used: their memory is not there yet.
  Word used;
  /// Masks of users: who watches, and who is to be rung at the next change.
  Word64 watching;
  Word64 armed;
};

enum class ChangeKind : uint32_t { kSet = 1, kDeleted = 2, kEvicted = 3, kExpired = 4 };

struct CacheChange {
  /// Its number, counted from 1; 0 while it is written.
  Word number;
  /// ChangeKind | bytes of the key << 8.
  Word what;
  std::atomic<uint64_t> key[(kCacheKeyBytesMax + 8) / 8];
};
static_assert(sizeof(CacheChange) == 264);

/// What a value is; kForgotten is a tombstone.
enum class ValueForm : uint32_t { kBytes = 0, kText = 1, kMsgpack = 2, kForgotten = 3 };

struct alignas(64) CacheRecord {
  /// Odd while the record is written, which happens only while it is in no chain.
  Word version;
  Word hash;
  /// The next one in the chain.
  Word next;
  /// Bytes of the key | ValueForm << 8 | bytes of the value << 10.
  Word shape;
  /// Not 0: it was read since it was last passed over. Stored by readers.
  Word mark;
  /// Its neighbours in its list, and which one that is.
  Word newer;
  Word older;
  Word list;
  /// 0: never.
  Double expires_ms;
  /// When it was last used, as far as anybody cares. Stored by readers.
  Double used_ms;
  Double revision;
  Double stamp;
};
static_assert(sizeof(CacheRecord) == 64);

inline constexpr uint32_t kCacheUsersOffset = sizeof(CacheHeader);
inline constexpr uint32_t kShardsOffset = kCacheUsersOffset + kUsersMax * sizeof(CacheUser);
/// Within a shard.
inline constexpr uint32_t kShardJournalOffset = sizeof(LockLine);
inline constexpr uint32_t kShardLineOffset = kShardJournalOffset + sizeof(JournalLine);
inline constexpr uint32_t kChangesOffset = kShardLineOffset + sizeof(ShardLine);
inline constexpr uint32_t kBucketsOffset = kChangesOffset + kCacheChanges * sizeof(CacheChange);
static_assert(kBucketsOffset % kLineBytes == 0);

/// Where things are, all computed from the shape.
struct CachePlaces {
  /// Per shard; the first `odd` shards hold one record more.
  uint32_t capacity = 0;
  uint32_t odd = 0;
  uint32_t tombstones = 0;
  uint32_t records = 0;
  uint32_t buckets = 0;
  uint32_t record_stride = 0;
  uint64_t records_offset = 0;
  uint64_t shard_bytes = 0;
  uint64_t bytes = 0;

  /// Answers no bytes for a shape that can't be.
  static constexpr CachePlaces Of(const CacheShape& shape) {
    CachePlaces places;
    if (shape.capacity == 0 || shape.capacity > kCacheCapacityMax || shape.tombstones > kCacheCapacityMax ||
        shape.record_bytes == 0 || shape.record_bytes > kCacheRecordBytesMax || shape.shards == 0 ||
        shape.shards > kCacheShardsMax || shape.shards > shape.capacity || !(shape.aged_out_ms >= 0))
      return places;
    places.capacity = shape.capacity / shape.shards;
    places.odd = shape.capacity % shape.shards;
    places.tombstones = (shape.tombstones + shape.shards - 1) / shape.shards;
    // One more: a value is written into a spare record before it takes the place of another.
    places.records = places.capacity + (places.odd > 0 ? 1 : 0) + places.tombstones + 1;
    places.buckets = std::bit_ceil(places.records * 2 < 32 ? 32u : places.records * 2);
    places.record_stride = (static_cast<uint32_t>(sizeof(CacheRecord)) + 256 + shape.record_bytes + 63) / 64 * 64;
    places.records_offset = kBucketsOffset + uint64_t{places.buckets} * sizeof(Word);
    places.shard_bytes =
        (places.records_offset + uint64_t{places.records} * places.record_stride + kLineBytes - 1) / kLineBytes * kLineBytes;
    places.bytes = kShardsOffset + places.shard_bytes * shape.shards;
    return places;
  }
};

constexpr uint32_t CacheShardOf(uint32_t hash, uint32_t shards) {
  // Other bits than those that choose the bucket.
  return (hash * 2654435761u >> 16) % shards;
}

/// Where the value begins, counted from the end of its CacheRecord: the key comes first.
constexpr uint32_t CacheValueOffset(uint32_t key_bytes) { return (key_bytes + 7) / 8 * 8; }

/// Changes whenever a number above does.
constexpr uint32_t CacheLayoutHash() {
  uint32_t hash = RegionLayoutHash();
  for (uint32_t value :
       {kCacheVersion, kCacheChanges, kCachePrefixBytesMax, kShardsOffset, kShardJournalOffset, kShardLineOffset,
        static_cast<uint32_t>(offsetof(ShardLine, changes)), static_cast<uint32_t>(offsetof(ShardLine, used)),
        static_cast<uint32_t>(offsetof(ShardLine, armed)),
        static_cast<uint32_t>(offsetof(CacheUser, hits)), static_cast<uint32_t>(offsetof(CacheUser, prefix)), kChangesOffset,
        static_cast<uint32_t>(sizeof(CacheChange)), kBucketsOffset, static_cast<uint32_t>(offsetof(CacheRecord, shape)),
        static_cast<uint32_t>(offsetof(CacheRecord, mark)), static_cast<uint32_t>(offsetof(CacheRecord, expires_ms)),
        static_cast<uint32_t>(offsetof(CacheRecord, stamp)), CacheValueOffset(kCacheKeyBytesMax),
        static_cast<uint32_t>(kCacheCounters)})
    hash = internal::Fold(hash, value);
  return hash;
}

}  // namespace actor_ipc
