#include "addon/cache_object.h"

#include <errno.h>
#include <sys/mman.h>

#include <algorithm>
#include <utility>

#include "addon/convert.h"

namespace actor_ipc {

namespace {

/// What a call answers that others can be in the way of; the rest is thrown. As in src/transport/native-cache.ts.
constexpr uint32_t kDone = 0;
constexpr uint32_t kMissing = 1;
constexpr uint32_t kLockedNow = 2;
constexpr uint32_t kRefused = 3;
constexpr uint32_t kStale = 4;
/// Added to it: somebody is to be told.
constexpr uint32_t kRingsDue = 8;

Napi::Number NumberOf(Napi::Env env, double value) { return Napi::Number::New(env, value); }

CacheShape ShapeOf(const Napi::CallbackInfo& info) {
  CacheShape shape;
  shape.capacity = Uint32(info, 0);
  shape.record_bytes = Uint32(info, 1);
  shape.shards = Uint32(info, 2);
  shape.tombstones = Uint32(info, 3);
  shape.seed = Uint32(info, 4);
  if (!info[5].IsNumber()) throw Napi::TypeError::New(info.Env(), "argument 5 must be a number");
  shape.aged_out_ms = info[5].As<Napi::Number>().DoubleValue();
  return shape;
}

}  // namespace

void CacheObject::Register(Napi::Env env, Napi::Object exports) {
  exports.Set("Cache", DefineClass(env, "Cache",
                                   {InstanceAccessor<&CacheObject::GetFd>("fd"),
                                    InstanceAccessor<&CacheObject::GetGeneration>("generation"),
                                    InstanceAccessor<&CacheObject::GetSlot>("slot"),
                                    InstanceAccessor<&CacheObject::GetShape>("shape"),
                                    InstanceAccessor<&CacheObject::GetMemory>("memory"),
                                    InstanceAccessor<&CacheObject::GetExchange>("exchange"),
                                    InstanceMethod<&CacheObject::Join>("join"),
                                    InstanceMethod<&CacheObject::Leave>("leave"),
                                    InstanceMethod<&CacheObject::Set>("set"),
                                    InstanceMethod<&CacheObject::Delete>("delete"),
                                    InstanceMethod<&CacheObject::Touch>("touch"),
                                    InstanceMethod<&CacheObject::Clear>("clear"),
                                    InstanceMethod<&CacheObject::Sweep>("sweep"),
                                    InstanceMethod<&CacheObject::Arm>("arm"),
                                    InstanceMethod<&CacheObject::Disarm>("disarm"),
                                    InstanceMethod<&CacheObject::TakeRings>("takeRings"),
                                    InstanceMethod<&CacheObject::CatchEvicted>("catchEvicted"),
                                    InstanceMethod<&CacheObject::Stats>("stats"),
                                    InstanceMethod<&CacheObject::Close>("close")}));
}

CacheObject::CacheObject(const Napi::CallbackInfo& info) : Napi::ObjectWrap<CacheObject>(info) {
  const Napi::Env env = info.Env();
  Mapping mapping;
  if (info[1].IsUndefined()) {
    file_ = TakeFd(info, 0);
    Check(env, AttachCache(file_.get(), &mapping));
  } else {
    Check(env, CreateCache(ShapeOf(info), &file_, &mapping));
  }
  cache_ = std::make_unique<Cache>(std::make_shared<Mapping>(std::move(mapping)));
  const size_t bytes = EvictedOffset() + sizeof(CacheEvicted) + cache_->shape().record_bytes;
  void* const memory = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) Check(env, Status::System(errno, "mmap"));
  exchange_memory_ = std::make_shared<Mapping>(memory, bytes, true);
  exchange_ = static_cast<Exchange*>(memory);
  for (int i = 0; i < 16; i++) {
    constexpr char kDigits[] = "0123456789abcdef";
    generation_ += kDigits[cache_->generation()[i] >> 4];
    generation_ += kDigits[cache_->generation()[i] & 15];
  }
}

Napi::Value CacheObject::GetFd(const Napi::CallbackInfo& info) { return NumberOf(info.Env(), file_.get()); }

Napi::Value CacheObject::GetGeneration(const Napi::CallbackInfo& info) {
  return Napi::String::New(info.Env(), generation_);
}

Napi::Value CacheObject::GetSlot(const Napi::CallbackInfo& info) {
  return NumberOf(info.Env(), cache_ == nullptr ? -1 : cache_->slot());
}

/// All that a reader needs to find a record, as it was checked.
Napi::Value CacheObject::GetShape(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const CacheShape& shape = Opened(env).shape();
  const CachePlaces& places = Opened(env).places();
  Napi::Object object = Napi::Object::New(env);
  const auto set = [&](const char* name, double value) { object.Set(name, NumberOf(env, value)); };
  set("capacity", shape.capacity);
  set("recordBytes", shape.record_bytes);
  set("shards", shape.shards);
  set("tombstones", shape.tombstones);
  set("seed", shape.seed);
  set("agedOutMs", shape.aged_out_ms);
  set("records", places.records);
  set("buckets", places.buckets);
  set("recordStride", places.record_stride);
  set("shardsOffset", kShardsOffset);
  set("shardBytes", static_cast<double>(places.shard_bytes));
  set("changesOffset", kShardLineOffset + offsetof(ShardLine, changes));
  set("changeTableOffset", kChangesOffset);
  set("changeBytes", sizeof(CacheChange));
  set("changeCount", kCacheChanges);
  set("bucketsOffset", kBucketsOffset);
  set("recordsOffset", static_cast<double>(places.records_offset));
  set("usersOffset", kCacheUsersOffset);
  set("userBytes", sizeof(CacheUser));
  set("userHitsOffset", offsetof(CacheUser, hits));
  set("liveOffset", kShardLineOffset + offsetof(ShardLine, lists) + kLiveList * sizeof(ListEnds) + offsetof(ListEnds, length));
  set("deadOffset", kShardLineOffset + offsetof(ShardLine, lists) + kDeadList * sizeof(ListEnds) + offsetof(ListEnds, length));
  set("floorOffset", kShardLineOffset + offsetof(ShardLine, floor));
  set("evictedOffset", static_cast<double>(EvictedOffset()));
  set("bytes", static_cast<double>(cache_->mapping()->bytes()));
  return object;
}

Napi::Value CacheObject::GetMemory(const Napi::CallbackInfo& info) {
  Cache& cache = Opened(info.Env());
  if (!memory_.open()) memory_.Open(info.Env(), cache.mapping());
  return memory_.Value();
}

Napi::Value CacheObject::GetExchange(const Napi::CallbackInfo& info) {
  Opened(info.Env());
  if (!exchange_buffer_.open()) exchange_buffer_.Open(info.Env(), exchange_memory_);
  return exchange_buffer_.Value();
}

void CacheObject::Join(const Napi::CallbackInfo& info) { Check(info.Env(), Opened(info.Env()).Join()); }

void CacheObject::Leave(const Napi::CallbackInfo& info) { Check(info.Env(), Opened(info.Env()).Leave()); }

Napi::Value CacheObject::Set(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Cache& cache = Opened(env);
  CacheValue value;
  value.form = static_cast<ValueForm>(std::min(exchange_->form, 2u));
  value.bytes = reinterpret_cast<const uint8_t*>(exchange_ + 1);
  value.count = exchange_->value_bytes;
  value.ttl_ms = exchange_->ttl_ms;
  value.stamp = exchange_->stamp;
  value.revision = exchange_->revision;
  CacheAnswer answer = CacheAnswer::kDone;
  const Status status = cache.Set(Key(), value, exchange_->now_ms, &answer);
  return Answer(env, status, answer);
}

Napi::Value CacheObject::Delete(const Napi::CallbackInfo& info) {
  Cache& cache = Opened(info.Env());
  CacheAnswer answer = CacheAnswer::kDone;
  const Status status =
      cache.Delete(Key(), exchange_->revision, exchange_->stamp, exchange_->ttl_ms, exchange_->now_ms, &answer);
  return Answer(info.Env(), status, answer);
}

Napi::Value CacheObject::Touch(const Napi::CallbackInfo& info) {
  Cache& cache = Opened(info.Env());
  CacheAnswer answer = CacheAnswer::kDone;
  const Status status = cache.Touch(Key(), exchange_->ttl_ms, exchange_->now_ms, &answer);
  return Answer(info.Env(), status, answer);
}

/// clear(max): how many are left. Throws LOCKED.
Napi::Value CacheObject::Clear(const Napi::CallbackInfo& info) {
  uint32_t left = 0;
  Check(info.Env(), Opened(info.Env()).Clear(Uint32(info, 0), &left));
  return NumberOf(info.Env(), left);
}

/// sweep(max): how many were removed. Throws LOCKED.
Napi::Value CacheObject::Sweep(const Napi::CallbackInfo& info) {
  Cache& cache = Opened(info.Env());
  uint32_t removed = 0;
  Check(info.Env(), cache.Sweep(Uint32(info, 0), exchange_->now_ms, &removed));
  return NumberOf(info.Env(), removed);
}

/// arm(): the key in the exchange is the prefix.
Napi::Value CacheObject::Arm(const Napi::CallbackInfo& info) {
  const std::string_view prefix(reinterpret_cast<const char*>(exchange_->key),
                                std::min(exchange_->key_bytes, kCacheKeyBytesMax));
  return Answer(info.Env(), Opened(info.Env()).Arm(prefix), CacheAnswer::kDone);
}

Napi::Value CacheObject::Disarm(const Napi::CallbackInfo& info) {
  return Answer(info.Env(), Opened(info.Env()).Disarm(), CacheAnswer::kDone);
}

Napi::Value CacheObject::TakeRings(const Napi::CallbackInfo& info) {
  uint64_t rings = Opened(info.Env()).TakeRings();
  Napi::Array list = Napi::Array::New(info.Env());
  for (uint32_t slot = 0; rings != 0; slot++, rings >>= 1)
    if ((rings & 1) != 0) list.Set(list.Length(), NumberOf(info.Env(), slot));
  return list;
}

/// catchEvicted(on): what a set or a sweep evicts stands in the exchange from now on.
void CacheObject::CatchEvicted(const Napi::CallbackInfo& info) {
  Cache& cache = Opened(info.Env());
  auto* place = reinterpret_cast<CacheEvicted*>(reinterpret_cast<uint8_t*>(exchange_) + EvictedOffset());
  cache.Catch(info[0].ToBoolean() ? place : nullptr);
}

Napi::Value CacheObject::Stats(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  CacheStats stats;
  Check(env, Opened(env).Stats(&stats));
  Napi::Object object = Napi::Object::New(env);
  const auto set = [&](const char* name, double value) { object.Set(name, NumberOf(env, value)); };
  set("records", stats.records);
  set("tombstones", stats.tombstones);
  set("users", stats.users);
  set("repairs", stats.repairs);
  set("floor", stats.floor);
  constexpr const char* kNames[kCacheCounters] = {"hits",    "misses",  "sets", "deletes",
                                                  "evicted", "expired", "aged", "tombstonesEvicted"};
  for (uint32_t i = 0; i < kCacheCounters; i++) set(kNames[i], static_cast<double>(stats.counters[i]));
  return object;
}

void CacheObject::Close(const Napi::CallbackInfo& info) {
  if (cache_ == nullptr) return;
  memory_.Close(info.Env());
  exchange_buffer_.Close(info.Env());
  cache_.reset();
  file_ = Fd();
}

Cache& CacheObject::Opened(Napi::Env env) {
  if (cache_ == nullptr) Check(env, Status::Of(Code::kClosed, "cache"));
  return *cache_;
}

/// One that is too long is refused by the cache.
std::string_view CacheObject::Key() const {
  const uint32_t count = exchange_->key_bytes;
  return {reinterpret_cast<const char*>(exchange_->key), std::min(count, kCacheKeyBytesMax + 1)};
}

Napi::Value CacheObject::Answer(Napi::Env env, const Status& status, CacheAnswer answer) {
  constexpr uint32_t kNumbers[] = {kDone, kMissing, kRefused, kStale};
  if (!status.ok() && status.code() != Code::kLocked) Check(env, status);
  uint32_t number = status.ok() ? kNumbers[static_cast<uint32_t>(answer)] : kLockedNow;
  if (cache_->RingsDue()) number += kRingsDue;
  return Napi::Number::New(env, number);
}

}  // namespace actor_ipc
