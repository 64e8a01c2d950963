// Cache shard: a table of records by key, of exact capacity, that forgets the least recently used ones. A cache has one of
// them, or several that share the capacity.
//
// Thread safety: one CacheShard in one thread; many of them, in many processes, over the same memory. Get takes no lock.
// Changes are made under a robust lock with a journal (shm/journal.h): whole or not at all, whenever a process is killed.
// Invariants
//  1. A value is written into a spare record, which then takes the place of the old one in its chain by one store. So a
//     reader sees the old value or the new one, and a writer that is killed leaves one of them.
//  2. A record is written only while it is in no chain, and its version is odd meanwhile. A reader that stood on it notices
//     by the version, and begins again; one that stands on a record that was taken out but not written yet reads what was
//     there when it began. So a key that is there throughout is always found.
//  3. What makes a change visible to readers is not put back any more (Journal::Publish): nobody sees a value that was
//     never set.
//  4. Each record that was ever used is in one of three lists: spare, live, or dead, which are the tombstones of deleted keys.
//     At least one is spare or was never used, and at most `capacity` are live.
//  5. Of two live records, a marked one is never evicted before an unmarked one that is older.
#pragma once

#include <cstdint>
#include <vector>

#include "os/status.h"
#include "shm/cache_layout.h"
#include "shm/journal.h"
#include "shm/robust_lock.h"

namespace actor_ipc {

struct CacheKey {
  const uint8_t* bytes = nullptr;
  uint32_t count = 0;
  uint32_t hash = 0;
};

struct CacheValue {
  ValueForm form = ValueForm::kBytes;
  const uint8_t* bytes = nullptr;
  uint32_t count = 0;
  /// 0: no end.
  double ttl_ms = 0;
  /// Orders the writes of several nodes; 0: in the order of calls.
  double stamp = 0;
  /// The revision that must be there: 0 for none at all, kAnyRevision for whatever.
  double revision = -1;
};
inline constexpr double kAnyRevision = -1;

/// What became of a change.
enum class CacheAnswer : uint8_t {
  kDone,
  kMissing,  // there is no such key
  kRefused,  // another revision is there
  kStale,    // a greater stamp is there, or one that is no longer remembered may have been
};

/// A value, copied out of the cache.
struct CacheFound {
  ValueForm form = ValueForm::kBytes;
  std::vector<uint8_t> bytes;
  double expires_ms = 0;
  double used_ms = 0;
  double revision = 0;
  double stamp = 0;
};

/// A record that had to go though its life was not over. The value follows.
struct CacheEvicted {
  /// What is left of its life; 0: no end.
  double ttl_ms;
  double stamp;
  /// 0: none has gone.
  uint32_t key_bytes;
  uint32_t form;
  uint32_t value_bytes;
  /// 1: nobody has used it for too long; 0: there was no room.
  uint32_t aged;
  uint8_t key[kCacheKeyBytesMax + 1];
};
static_assert(sizeof(CacheEvicted) == 288, "src/transport/native-cache.ts has the places");

struct ShardStats {
  uint32_t live = 0;
  uint32_t tombstones = 0;
  uint32_t repairs = 0;
  double floor = 0;
  uint64_t counters[kCacheCounters] = {};
};

class CacheShard {
 public:
  /// `base` is the start of the cache; `places` were computed from its checked shape.
  CacheShard(uint8_t* base, const CacheShape& shape, const CachePlaces& places, uint32_t index);

  // All that follows, except Get, can answer kLocked, and kBadLayout if what stands there makes no sense.
  // `now_ms` is the time of CLOCK_MONOTONIC.

  /// Errors: kTooLarge (key or value).
  Status Set(const CacheKey& key, const CacheValue& value, double now_ms, CacheAnswer* answer);
  /// Deletes the key. With a `stamp` it leaves a tombstone for `ttl_ms`, also if the key was not there.
  Status Delete(const CacheKey& key, double revision, double stamp, double ttl_ms, double now_ms, CacheAnswer* answer);
  /// Begins the life of a record anew: `ttl_ms` from now; below 0 leaves its end as it is.
  Status Touch(const CacheKey& key, double ttl_ms, double now_ms, CacheAnswer* answer);
  /// Deletes up to `max` records. `left` is how many are there still.
  Status Clear(uint32_t max, uint32_t* left);
  /// From now on what a call evicts, at most one record, is copied there: the call sets `key_bytes`. Records that aged are
  /// evicted only then, so a call that comes upon a second one leaves it there. Null: no more. Room for the largest value follows.
  void Catch(CacheEvicted* evicted) { evicted_ = evicted; }
  /// Looks at `max` records, and removes those whose time is over.
  Status Sweep(uint32_t max, double now_ms, uint32_t* removed);
  /// A live record, or a tombstone, without a lock and without marking it. Errors: kNotFound, kBadLayout.
  Status Get(const CacheKey& key, double now_ms, CacheFound* found) const;

  /// The user in that slot is rung once at the next change, if `on`; or never again.
  Status Arm(uint32_t user, bool on);
  Status Stats(ShardStats* stats);
  /// Adds to the totals what a user has counted, and sets `pid` to 0; for the first shard, whose lock guards the users.
  Status Leave(CacheUser* user, uint32_t generation);
  /// Takes the lowest free slot. Errors: kFull.
  Status Join(CacheUser* users, uint32_t pid, uint64_t ticks, uint32_t* slot, uint32_t* generation);

  /// Who is to be told of a change, as a mask of user slots; each once.
  uint64_t TakeRings();
  bool RingsDue() const { return rings_ != 0; }

 private:
  class Section;

  /// A record in its chain: `link` is the word that names it.
  struct Place {
    Word* link = nullptr;
    uint32_t record = 0;
  };

  CacheRecord* At(uint32_t number) const {
    return number - 1 < places_.records
               ? reinterpret_cast<CacheRecord*>(base_ + places_.records_offset + uint64_t{number - 1} * places_.record_stride)
               : nullptr;
  }
  std::atomic<uint64_t>* BytesOf(CacheRecord* record) const {
    return reinterpret_cast<std::atomic<uint64_t>*>(record + 1);
  }
  Word* BucketOf(uint32_t hash) const { return &buckets_[hash & (places_.buckets - 1)]; }
  bool SameKey(CacheRecord* record, const CacheKey& key) const;
  Status Find(const CacheKey& key, Place* place) const;
  Status PlaceOf(uint32_t number, Place* place) const;
  Status Look(const CacheKey& key, double now_ms, CacheFound* found, uint32_t* steps, bool* again) const;
  bool Over(const CacheRecord& record, double now_ms, CacheCounter* cause) const;
  Status Unlist(uint32_t number);
  Status List(uint32_t number, CacheList list);
  Status TakeSpare(uint32_t* number);
  void Write(CacheRecord* record, const CacheKey& key, const CacheValue& value, uint32_t next, double now_ms);
  Status Put(const Place& place, const CacheKey& key, const CacheValue& value, CacheList list, double now_ms);
  Status Remove(const Place& place, CacheCounter cause, ChangeKind kind);
  Status RemoveAt(uint32_t number, CacheCounter cause, ChangeKind kind);
  Status MakeRoom(double now_ms);
  Status MakeTombstoneRoom(double now_ms);
  Status SweepSome(uint32_t max, double now_ms, uint32_t* removed);
  void CopyEvicted(CacheRecord* record, bool aged, double now_ms);
  void Count(CacheCounter counter, uint64_t more = 1);
  uint32_t Note(const CacheRecord& record, ChangeKind kind);
  void Ring(const CacheRecord& record);

  uint8_t* cache_;
  uint8_t* base_;
  CachePlaces places_;
  uint32_t capacity_;
  uint32_t record_bytes_;
  double aged_out_ms_;
  CacheUser* users_;
  LockLine* lock_line_;
  ShardLine* line_;
  CacheChange* changes_;
  Word* buckets_;
  RobustLock lock_;
  Journal journal_;
  uint64_t rings_ = 0;
  CacheEvicted* evicted_ = nullptr;
};

}  // namespace actor_ipc
