#include "shm/cache_shard.h"

#include <string.h>

#include <algorithm>
#include <utility>

#include "shm/crash_point.h"

namespace actor_ipc {

namespace {

/// Marked records that one insertion passes over before it evicts one all the same: it has the lock.
constexpr uint32_t kPassedOverMax = 32;
/// Records of limited life that an insertion into a full table looks at before it evicts one that has life left.
constexpr uint32_t kSweptMax = 8;
/// Steps that a reader takes beyond the number of records, in all its walks, before it says that the chain makes no sense:
/// each time it begins again, a writer has made progress.
constexpr uint32_t kStepsMore = 100'000;

uint32_t Load(const Word& word) { return word.load(std::memory_order_relaxed); }  // Relaxed: the lock orders all of it.

Status Broken() { return Status::Of(Code::kBadLayout, "record of the cache"); }

constexpr uint32_t ShapeOf(uint32_t key_bytes, ValueForm form, uint32_t value_bytes) {
  return key_bytes | static_cast<uint32_t>(form) << 8 | value_bytes << 10;
}
constexpr uint32_t KeyBytes(uint32_t shape) { return shape & 0xff; }
constexpr ValueForm FormOf(uint32_t shape) { return static_cast<ValueForm>(shape >> 8 & 3); }
constexpr uint32_t ValueBytes(uint32_t shape) { return shape >> 10; }

/// Copies whole words of 8 bytes, zeroes behind the end. Release stores: each comes after the version that turned odd.
void StoreBytes(std::atomic<uint64_t>* to, const uint8_t* from, uint32_t count) {
  for (uint32_t at = 0; at < count; at += 8) {
    uint64_t word = 0;
    memcpy(&word, from + at, std::min(8u, count - at));
    to[at / 8].store(word, std::memory_order_release);
  }
}

/// Acquire loads: each comes before the second look at the version.
void LoadBytes(const std::atomic<uint64_t>* from, uint8_t* to, uint32_t count) {
  for (uint32_t at = 0; at < count; at += 8) {
    const uint64_t word = from[at / 8].load(std::memory_order_acquire);
    memcpy(to + at, &word, std::min(8u, count - at));
  }
}

bool SameBytes(const std::atomic<uint64_t>* stored, const uint8_t* bytes, uint32_t count) {
  for (uint32_t at = 0; at < count; at += 8) {
    uint64_t word = 0;
    memcpy(&word, bytes + at, std::min(8u, count - at));
    if (stored[at / 8].load(std::memory_order_acquire) != word) return false;
  }
  return true;
}

}  // namespace

/// The lock, from construction to destruction. What has not been finished by then is put back.
class CacheShard::Section {
 public:
  explicit Section(CacheShard* shard) : shard_(shard) {
    bool owner_died = false;
    status_ = shard->lock_.Acquire(&owner_died);
    if (!status_.ok()) return;
    locked_ = true;
    if (owner_died || shard->journal_.Pending()) {
      status_ = shard->journal_.PutBack();
      Word& repairs = shard->lock_line_->repairs;
      repairs.store(Load(repairs) + 1, std::memory_order_relaxed);  // Relaxed: a figure for people.
      // It may have died before it rang those whom it had told.
      shard->rings_ |= Load64(shard->line_->watching);
    }
    shard->journal_.Begin();
  }
  Section(const Section&) = delete;
  Section& operator=(const Section&) = delete;
  ~Section() {
    if (!locked_) return;
    // What can't be put back makes no sense to the next one either, who says so.
    if (shard_->journal_.Pending()) (void)shard_->journal_.PutBack();
    shard_->lock_.Release();
  }

  const Status& status() const { return status_; }

 private:
  CacheShard* shard_;
  Status status_ = Status::Ok();
  bool locked_ = false;
};

CacheShard::CacheShard(uint8_t* base, const CacheShape& shape, const CachePlaces& places, uint32_t index)
    : cache_(base),
      base_(base + kShardsOffset + index * places.shard_bytes),
      places_(places),
      capacity_(places.capacity + (index < places.odd ? 1 : 0)),
      record_bytes_(shape.record_bytes),
      aged_out_ms_(shape.aged_out_ms),
      users_(reinterpret_cast<CacheUser*>(base + kCacheUsersOffset)),
      lock_line_(reinterpret_cast<LockLine*>(base_)),
      line_(reinterpret_cast<ShardLine*>(base_ + kShardLineOffset)),
      changes_(reinterpret_cast<CacheChange*>(base_ + kChangesOffset)),
      buckets_(reinterpret_cast<Word*>(base_ + kBucketsOffset)),
      lock_(&lock_line_->lock),
      journal_(base, places.bytes, static_cast<uint64_t>(base_ - base) + kShardJournalOffset) {}

uint64_t CacheShard::TakeRings() { return std::exchange(rings_, 0); }

Status CacheShard::Set(const CacheKey& key, const CacheValue& value, double now_ms, CacheAnswer* answer) {
  if (key.count == 0 || key.count > kCacheKeyBytesMax) return Status::Of(Code::kTooLarge, "key");
  if (value.count > record_bytes_) return Status::Of(Code::kTooLarge, "value");
  if (evicted_ != nullptr) evicted_->key_bytes = 0;
  const Section section(this);
  if (!section.status().ok()) return section.status();
  Place place;
  if (Status status = Find(key, &place); !status.ok()) return status;
  CacheRecord* old = At(place.record);
  CacheCounter cause;
  const bool live = old != nullptr && Load(old->list) == kLiveList;
  const bool there = live && !Over(*old, now_ms, &cause);
  if (value.revision != kAnyRevision && value.revision != (there ? LoadDouble(old->revision) : 0)) {
    *answer = CacheAnswer::kRefused;
    return Status::Ok();
  }
  if (value.stamp != 0) {
    const double before =
        old == nullptr || Over(*old, now_ms, &cause) ? static_cast<double>(Load64(line_->floor)) : LoadDouble(old->stamp);
    if (before >= value.stamp) {
      *answer = CacheAnswer::kStale;
      return Status::Ok();
    }
  }
  if (!live && Load(line_->lists[kLiveList].length) >= capacity_) {
    if (Status status = MakeRoom(now_ms); !status.ok()) return status;
    // It may have been our neighbour.
    if (Status status = Find(key, &place); !status.ok()) return status;
  }
  *answer = CacheAnswer::kDone;
  if (Status status = Put(place, key, value, kLiveList, now_ms); !status.ok()) return status;
  return Status::Ok();
}

Status CacheShard::Delete(const CacheKey& key, double revision, double stamp, double ttl_ms, double now_ms,
                          CacheAnswer* answer) {
  if (key.count == 0 || key.count > kCacheKeyBytesMax) return Status::Of(Code::kTooLarge, "key");
  const Section section(this);
  if (!section.status().ok()) return section.status();
  Place place;
  if (Status status = Find(key, &place); !status.ok()) return status;
  CacheRecord* old = At(place.record);
  CacheCounter cause;
  const bool live = old != nullptr && Load(old->list) == kLiveList;
  const bool there = live && !Over(*old, now_ms, &cause);
  if (revision != kAnyRevision && (!there || revision != LoadDouble(old->revision))) {
    *answer = there ? CacheAnswer::kRefused : CacheAnswer::kMissing;
    return Status::Ok();
  }
  *answer = there ? CacheAnswer::kDone : CacheAnswer::kMissing;
  if (stamp == 0 || places_.tombstones == 0)
    return live ? Remove(place, kCountDeletes, ChangeKind::kDeleted) : Status::Ok();
  if (old != nullptr && LoadDouble(old->stamp) > stamp) {
    *answer = CacheAnswer::kStale;
    return Status::Ok();
  }
  const bool dead = old != nullptr && !live;
  if (!dead && Load(line_->lists[kDeadList].length) >= places_.tombstones) {
    if (Status status = MakeTombstoneRoom(now_ms); !status.ok()) return status;
    if (Status status = Find(key, &place); !status.ok()) return status;
  }
  CacheValue tombstone;
  tombstone.form = ValueForm::kForgotten;
  tombstone.stamp = stamp;
  tombstone.ttl_ms = ttl_ms;
  if (live) Count(kCountDeletes);
  return Put(place, key, tombstone, kDeadList, now_ms);
}

Status CacheShard::Touch(const CacheKey& key, double ttl_ms, double now_ms, CacheAnswer* answer) {
  const Section section(this);
  if (!section.status().ok()) return section.status();
  Place place;
  if (Status status = Find(key, &place); !status.ok()) return status;
  CacheRecord* record = At(place.record);
  CacheCounter cause;
  *answer = CacheAnswer::kMissing;
  if (record == nullptr || Load(record->list) != kLiveList || Over(*record, now_ms, &cause)) return Status::Ok();
  *answer = CacheAnswer::kDone;
  if (ttl_ms > 0) line_->mortal.store(1, std::memory_order_relaxed);  // Relaxed: the lock orders it.
  // Each is one store, so a reader sees the one time or the other.
  if (ttl_ms >= 0) StoreDouble(&record->expires_ms, ttl_ms == 0 ? 0 : now_ms + ttl_ms);
  CRASH_POINT("cache.touching");
  StoreDouble(&record->used_ms, now_ms);
  record->mark.store(1, std::memory_order_relaxed);  // Relaxed: a hint.
  return Status::Ok();
}

Status CacheShard::Clear(uint32_t max, uint32_t* left) {
  const Section section(this);
  if (!section.status().ok()) return section.status();
  for (uint32_t i = 0; i < max && Load(line_->lists[kLiveList].length) > 0; i++)
    if (Status status = RemoveAt(Load(line_->lists[kLiveList].oldest), kCountDeletes, ChangeKind::kDeleted); !status.ok())
      return status;
  *left = Load(line_->lists[kLiveList].length);
  return Status::Ok();
}

Status CacheShard::Sweep(uint32_t max, double now_ms, uint32_t* removed) {
  *removed = 0;
  const Section section(this);
  if (!section.status().ok()) return section.status();
  return SweepSome(max, now_ms, removed);
}

Status CacheShard::SweepSome(uint32_t max, double now_ms, uint32_t* removed) {
  uint32_t at = Load(line_->sweep_at);
  Status status = Status::Ok();
  const uint32_t used = std::min(Load(line_->used), places_.records);
  for (uint32_t i = 0; i < std::min(max, used) && status.ok(); i++) {
    at = at % used + 1;
    CacheRecord* record = At(at);
    CacheCounter cause;
    if (Load(record->list) == kSpareList || !Over(*record, now_ms, &cause)) continue;
    if (cause == kCountAged && evicted_ != nullptr) {
      if (evicted_->key_bytes != 0) {
        // The next sweep begins with it.
        at--;
        break;
      }
      CopyEvicted(record, true, now_ms);
    }
    status = RemoveAt(at, cause, ChangeKind::kExpired);
    ++*removed;
  }
  line_->sweep_at.store(at, std::memory_order_relaxed);  // Relaxed: a hint.
  return status;
}

Status CacheShard::Get(const CacheKey& key, double now_ms, CacheFound* found) const {
  if (key.count == 0 || key.count > kCacheKeyBytesMax) return Status::Of(Code::kTooLarge, "key");
  for (uint32_t steps = places_.records + kStepsMore; steps > 0; steps--) {
    bool again = false;
    const Status status = Look(key, now_ms, found, &steps, &again);
    if (!again) return status;
    if (steps == 0) break;
  }
  return Broken();
}

/// One walk along the chain of a key; `again` if a writer got in its way, or `steps` are used up.
Status CacheShard::Look(const CacheKey& key, double now_ms, CacheFound* found, uint32_t* steps, bool* again) const {
  // SYNC record-visible: pairs with the stores of the chain in Journal::Publish.
  uint32_t number = BucketOf(key.hash)->load(std::memory_order_acquire);
  for (; number != 0; --*steps) {
    CacheRecord* record = At(number);
    if (record == nullptr || *steps == 0) {
      *again = true;
      return Status::Ok();
    }
    // SYNC record-whole: pairs with the stores of the version in Write.
    const uint32_t version = record->version.load(std::memory_order_acquire);
    const uint32_t hash = record->hash.load(std::memory_order_acquire);
    const uint32_t next = record->next.load(std::memory_order_acquire);
    const uint32_t shape = record->shape.load(std::memory_order_acquire);
    const bool ours = hash == key.hash && KeyBytes(shape) == key.count && SameBytes(BytesOf(record), key.bytes, key.count);
    if (ours) {
      const uint32_t count = ValueBytes(shape);
      if (count > record_bytes_) {
        *again = true;
        return Status::Ok();
      }
      found->form = FormOf(shape);
      found->bytes.resize(count);
      LoadBytes(BytesOf(record) + CacheValueOffset(key.count) / 8, found->bytes.data(), count);
      found->expires_ms = LoadDouble(record->expires_ms);
      found->used_ms = LoadDouble(record->used_ms);
      found->revision = LoadDouble(record->revision);
      found->stamp = LoadDouble(record->stamp);
    }
    // Relaxed: all loads before it are acquire loads.
    if ((version & 1) != 0 || record->version.load(std::memory_order_relaxed) != version ||
        ((hash ^ key.hash) & (places_.buckets - 1)) != 0) {
      *again = true;
      return Status::Ok();
    }
    if (ours) {
      const bool expired = found->expires_ms != 0 && found->expires_ms <= now_ms;
      const bool aged = found->form != ValueForm::kForgotten && aged_out_ms_ != 0 && found->used_ms + aged_out_ms_ <= now_ms;
      return expired || aged ? Status::Of(Code::kNotFound, "key") : Status::Ok();
    }
    number = next;
  }
  return Status::Of(Code::kNotFound, "key");
}

Status CacheShard::Arm(uint32_t user, bool on) {
  const Section section(this);
  if (!section.status().ok()) return section.status();
  const uint64_t bit = uint64_t{1} << user;
  const uint64_t watching = Load64(line_->watching);
  const uint64_t armed = Load64(line_->armed);
  journal_.Set64(&line_->watching, on ? watching | bit : watching & ~bit);
  journal_.Set64(&line_->armed, on ? armed | bit : armed & ~bit);
  return journal_.Commit();
}

Status CacheShard::Stats(ShardStats* stats) {
  const Section section(this);
  if (!section.status().ok()) return section.status();
  stats->live = Load(line_->lists[kLiveList].length);
  stats->tombstones = Load(line_->lists[kDeadList].length);
  stats->repairs = Load(lock_line_->repairs);
  stats->floor = static_cast<double>(Load64(line_->floor));
  for (uint32_t i = 0; i < kCacheCounters; i++) stats->counters[i] = Load64(line_->counters[i]);
  return Status::Ok();
}

Status CacheShard::Join(CacheUser* users, uint32_t pid, uint64_t ticks, uint32_t* slot, uint32_t* generation) {
  const Section section(this);
  if (!section.status().ok()) return section.status();
  for (uint32_t i = 0; i < kUsersMax; i++) {
    CacheUser& user = users[i];
    if (Load(user.pid) != 0) continue;
    StoreDouble(&user.hits, 0);
    StoreDouble(&user.misses, 0);
    user.prefix_bytes.store(0, std::memory_order_release);
    CRASH_POINT("cache.joining");
    *slot = i;
    *generation = Load(user.generation) + 1;
    journal_.Set(&user.generation, *generation);
    journal_.Set64(&user.ticks, ticks);
    journal_.Set(&user.pid, pid);
    return journal_.Commit();
  }
  return Status::Of(Code::kFull, "users of the cache");
}

Status CacheShard::Leave(CacheUser* user, uint32_t generation) {
  const Section section(this);
  if (!section.status().ok()) return section.status();
  if (Load(user->pid) == 0 || Load(user->generation) != generation) return Status::Ok();
  const auto whole = [](const Double& word) {
    const double value = LoadDouble(word);
    return value > 0 && value < 9e15 ? static_cast<uint64_t>(value) : 0;
  };
  Count(kCountHits, whole(user->hits));
  Count(kCountMisses, whole(user->misses));
  journal_.Set(&user->pid, 0);
  return journal_.Commit();
}

// ---- under the lock

bool CacheShard::SameKey(CacheRecord* record, const CacheKey& key) const {
  return Load(record->hash) == key.hash && KeyBytes(Load(record->shape)) == key.count &&
         SameBytes(BytesOf(record), key.bytes, key.count);
}

/// Where the key is, or the head of the chain in which it would be. Errors: kBadLayout.
Status CacheShard::Find(const CacheKey& key, Place* place) const {
  Word* const bucket = BucketOf(key.hash);
  Word* link = bucket;
  for (uint32_t step = 0; step <= places_.records; step++) {
    const uint32_t number = Load(*link);
    if (number == 0) {
      *place = Place{bucket, 0};
      return Status::Ok();
    }
    CacheRecord* record = At(number);
    if (record == nullptr) return Broken();
    if (SameKey(record, key)) {
      *place = Place{link, number};
      return Status::Ok();
    }
    link = &record->next;
  }
  return Broken();
}

/// The same for a record that is in some chain.
Status CacheShard::PlaceOf(uint32_t number, Place* place) const {
  CacheRecord* wanted = At(number);
  if (wanted == nullptr) return Broken();
  Word* link = BucketOf(Load(wanted->hash));
  for (uint32_t step = 0; step <= places_.records; step++) {
    const uint32_t there = Load(*link);
    CacheRecord* record = At(there);
    if (record == nullptr) return Broken();
    if (there == number) {
      *place = Place{link, number};
      return Status::Ok();
    }
    link = &record->next;
  }
  return Broken();
}

/// Whether the time of a record is over, and why.
bool CacheShard::Over(const CacheRecord& record, double now_ms, CacheCounter* cause) const {
  const double expires_ms = LoadDouble(record.expires_ms);
  *cause = kCountExpired;
  if (expires_ms != 0 && expires_ms <= now_ms) return true;
  *cause = kCountAged;
  return aged_out_ms_ != 0 && Load(record.list) == kLiveList && LoadDouble(record.used_ms) + aged_out_ms_ <= now_ms;
}

Status CacheShard::Unlist(uint32_t number) {
  CacheRecord* record = At(number);
  const uint32_t list = Load(record->list);
  if (list != kLiveList && list != kDeadList) return Broken();
  ListEnds& ends = line_->lists[list];
  const uint32_t newer = Load(record->newer);
  const uint32_t older = Load(record->older);
  const uint32_t length = Load(ends.length);
  CacheRecord* before = At(newer);
  CacheRecord* after = At(older);
  if ((newer != 0 && before == nullptr) || (older != 0 && after == nullptr) || length == 0) return Broken();
  journal_.Set(before == nullptr ? &ends.newest : &before->older, older);
  journal_.Set(after == nullptr ? &ends.oldest : &after->newer, newer);
  journal_.Set(&ends.length, length - 1);
  return Status::Ok();
}

/// Puts a record at the newest end of a list.
Status CacheShard::List(uint32_t number, CacheList list) {
  CacheRecord* record = At(number);
  ListEnds& ends = line_->lists[list];
  const uint32_t newest = Load(ends.newest);
  CacheRecord* next = At(newest);
  if (newest != 0 && next == nullptr) return Broken();
  journal_.Set(&record->older, newest);
  if (list != kSpareList) {
    journal_.Set(&record->newer, 0);
    journal_.Set(next == nullptr ? &ends.oldest : &next->newer, number);
  }
  journal_.Set(&ends.newest, number);
  journal_.Set(&ends.length, Load(ends.length) + 1);
  journal_.Set(&record->list, list);
  return Status::Ok();
}

Status CacheShard::TakeSpare(uint32_t* number) {
  ListEnds& spare = line_->lists[kSpareList];
  *number = Load(spare.newest);
  if (*number == 0) {
    const uint32_t used = Load(line_->used);
    if (used >= places_.records || Load(At(used + 1)->list) != kSpareList) return Broken();
    *number = used + 1;
    journal_.Set(&line_->used, used + 1);
    return Status::Ok();
  }
  CacheRecord* record = At(*number);
  if (record == nullptr || Load(record->list) != kSpareList || Load(spare.length) == 0) return Broken();
  journal_.Set(&spare.newest, Load(record->older));
  journal_.Set(&spare.length, Load(spare.length) - 1);
  return Status::Ok();
}

/// Fills a spare record. It is outside the journal: until it is in a chain, nobody takes it for what it says.
void CacheShard::Write(CacheRecord* record, const CacheKey& key, const CacheValue& value, uint32_t next, double now_ms) {
  const uint32_t version = Load(record->version) | 1;
  // SYNC record-whole: pairs with the loads of the version in Look, and in src/transport/cache-reader.ts.
  record->version.store(version, std::memory_order_relaxed);  // Relaxed: all stores behind it are release stores.
  CRASH_POINT("cache.writing");
  record->hash.store(key.hash, std::memory_order_release);
  record->next.store(next, std::memory_order_release);
  record->shape.store(ShapeOf(key.count, value.form, value.count), std::memory_order_release);
  record->mark.store(0, std::memory_order_release);
  StoreDouble(&record->expires_ms, value.ttl_ms == 0 ? 0 : now_ms + value.ttl_ms);
  StoreDouble(&record->used_ms, now_ms);
  StoreDouble(&record->revision, static_cast<double>(Load64(line_->revision) + 1));
  StoreDouble(&record->stamp, value.stamp);
  StoreBytes(BytesOf(record), key.bytes, key.count);
  CRASH_POINT("cache.half-written");
  StoreBytes(BytesOf(record) + CacheValueOffset(key.count) / 8, value.bytes, value.count);
  record->version.store(version + 1, std::memory_order_release);
  CRASH_POINT("cache.written");
}

/// Puts a new record in the place of an old one, or at the head of its chain.
Status CacheShard::Put(const Place& place, const CacheKey& key, const CacheValue& value, CacheList list, double now_ms) {
  uint32_t number = 0;
  if (Status status = TakeSpare(&number); !status.ok()) return status;
  CacheRecord* record = At(number);
  CacheRecord* old = At(place.record);
  Write(record, key, value, old == nullptr ? Load(*place.link) : Load(old->next), now_ms);
  if (old != nullptr) {
    if (Status status = Unlist(place.record); !status.ok()) return status;
    if (Status status = List(place.record, kSpareList); !status.ok()) return status;
  }
  if (Status status = List(number, list); !status.ok()) return status;
  journal_.Set64(&line_->revision, Load64(line_->revision) + 1);
  if (list == kLiveList) Count(kCountSets);
  if (value.ttl_ms != 0 || aged_out_ms_ != 0) journal_.Set(&line_->mortal, 1);
  const uint32_t changes = Note(*record, list == kLiveList ? ChangeKind::kSet : ChangeKind::kDeleted);
  if (Status status = journal_.Publish(place.link, number, &line_->changes, changes); !status.ok()) return status;
  Ring(*record);
  return Status::Ok();
}

Status CacheShard::Remove(const Place& place, CacheCounter cause, ChangeKind kind) {
  CacheRecord* record = At(place.record);
  const bool live = Load(record->list) == kLiveList;
  if (Status status = Unlist(place.record); !status.ok()) return status;
  if (Status status = List(place.record, kSpareList); !status.ok()) return status;
  // The end of a tombstone is no news.
  if (live) Count(cause);
  const uint32_t changes = live ? Note(*record, kind) : Load(line_->changes);
  if (Status status = journal_.Publish(place.link, Load(record->next), &line_->changes, changes); !status.ok())
    return status;
  if (live) Ring(*record);
  return Status::Ok();
}

Status CacheShard::RemoveAt(uint32_t number, CacheCounter cause, ChangeKind kind) {
  Place place;
  if (Status status = PlaceOf(number, &place); !status.ok()) return status;
  return Remove(place, cause, kind);
}

/// Evicts one live record: one whose time is over, else the oldest that was not read since it was last passed over.
Status CacheShard::MakeRoom(double now_ms) {
  ListEnds& live = line_->lists[kLiveList];
  if (Load(line_->mortal) != 0) {
    uint32_t removed = 0;
    if (Status status = SweepSome(kSweptMax, now_ms, &removed); !status.ok()) return status;
    if (Load(live.length) < capacity_) return Status::Ok();
  }
  for (uint32_t passed = 0;; passed++) {
    const uint32_t oldest = Load(live.oldest);
    CacheRecord* record = At(oldest);
    if (record == nullptr) return Broken();
    CacheCounter cause = kCountEvicted;
    if (Over(*record, now_ms, &cause)) {
      if (cause == kCountAged) CopyEvicted(record, true, now_ms);
      return RemoveAt(oldest, cause, ChangeKind::kExpired);
    }
    if (Load(record->mark) == 0 || passed == kPassedOverMax) {
      CopyEvicted(record, false, now_ms);
      return RemoveAt(oldest, kCountEvicted, ChangeKind::kEvicted);
    }
    // Before the mark goes: killed in between, it is passed over once more.
    if (Status status = Unlist(oldest); !status.ok()) return status;
    if (Status status = List(oldest, kLiveList); !status.ok()) return status;
    if (Status status = journal_.Commit(); !status.ok()) return status;
    record->mark.store(0, std::memory_order_relaxed);  // Relaxed: a hint.
  }
}

/// Lets the oldest tombstone go. One that had time left is remembered as a floor: older stamps count no more, for any key.
Status CacheShard::MakeTombstoneRoom(double now_ms) {
  const uint32_t oldest = Load(line_->lists[kDeadList].oldest);
  CacheRecord* record = At(oldest);
  if (record == nullptr) return Broken();
  CacheCounter cause;
  if (!Over(*record, now_ms, &cause)) {
    const double stamp = LoadDouble(record->stamp);
    if (stamp > static_cast<double>(Load64(line_->floor)) && stamp < 0x1p53)
      journal_.Set64(&line_->floor, static_cast<uint64_t>(stamp));
    Count(kCountTombstonesEvicted);
  }
  return RemoveAt(oldest, kCountExpired, ChangeKind::kExpired);
}

/// For whoever wants to know. One whose length makes no sense is not handed on.
void CacheShard::CopyEvicted(CacheRecord* record, bool aged, double now_ms) {
  if (evicted_ == nullptr) return;
  const uint32_t shape = Load(record->shape);
  const uint32_t key_bytes = KeyBytes(shape);
  const uint32_t count = ValueBytes(shape);
  if (count > record_bytes_) return;
  const double expires_ms = LoadDouble(record->expires_ms);
  evicted_->ttl_ms = expires_ms == 0 ? 0 : expires_ms - now_ms;
  evicted_->stamp = LoadDouble(record->stamp);
  evicted_->form = static_cast<uint32_t>(FormOf(shape));
  evicted_->value_bytes = count;
  evicted_->aged = aged ? 1 : 0;
  LoadBytes(BytesOf(record), evicted_->key, key_bytes);
  LoadBytes(BytesOf(record) + CacheValueOffset(key_bytes) / 8, reinterpret_cast<uint8_t*>(evicted_ + 1), count);
  evicted_->key_bytes = key_bytes;
}

void CacheShard::Count(CacheCounter counter, uint64_t more) {
  if (more != 0) journal_.Set64(&line_->counters[counter], Load64(line_->counters[counter]) + more);
}

/// Writes a change down for those who watch. @returns the count of changes that makes it visible.
uint32_t CacheShard::Note(const CacheRecord& record, ChangeKind kind) {
  const uint32_t changes = Load(line_->changes);
  if (Load64(line_->watching) == 0) return changes;
  CacheChange& change = changes_[changes % kCacheChanges];
  const uint32_t key_bytes = KeyBytes(Load(record.shape));
  const auto* key = reinterpret_cast<const std::atomic<uint64_t>*>(&record + 1);
  change.number.store(0, std::memory_order_relaxed);  // Relaxed: all stores behind it are release stores.
  change.what.store(static_cast<uint32_t>(kind) | key_bytes << 8, std::memory_order_release);
  for (uint32_t i = 0; i * 8 < key_bytes; i++)
    change.key[i].store(key[i].load(std::memory_order_relaxed), std::memory_order_release);
  // 0 is what a change has that is being written.
  change.number.store(changes == UINT32_MAX ? 1 : changes + 1, std::memory_order_release);
  CRASH_POINT("cache.noted");
  return changes + 1;
}

/// Those who are to be told that this key has changed, once each; they arm themselves again.
void CacheShard::Ring(const CacheRecord& record) {
  const uint64_t armed = Load64(line_->armed) & Load64(line_->watching);
  if (armed == 0) return;
  uint8_t key[kCacheKeyBytesMax + 8];
  const uint32_t key_bytes = KeyBytes(Load(record.shape));
  LoadBytes(reinterpret_cast<const std::atomic<uint64_t>*>(&record + 1), key, key_bytes);
  uint64_t rings = 0;
  for (uint32_t user = 0; user < kUsersMax; user++) {
    if ((armed >> user & 1) == 0) continue;
    const uint32_t prefix_bytes = users_[user].prefix_bytes.load(std::memory_order_acquire);
    if (prefix_bytes > kCachePrefixBytesMax || prefix_bytes > key_bytes) continue;
    bool same = true;
    for (uint32_t i = 0; i < prefix_bytes; i++)
      same = same && users_[user].prefix[i].load(std::memory_order_relaxed) == key[i];  // Relaxed: a hint.
    if (same) rings |= uint64_t{1} << user;
  }
  // Not in the journal: who is rung once too often looks once too often. Killed before the ring, the next one rings all.
  line_->armed.low.store(static_cast<uint32_t>(armed & ~rings), std::memory_order_relaxed);  // Relaxed: the lock orders it.
  line_->armed.high.store(static_cast<uint32_t>((armed & ~rings) >> 32), std::memory_order_relaxed);
  rings_ |= rings;
}

}  // namespace actor_ipc
