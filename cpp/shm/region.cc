#include "shm/region.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <new>
#include <utility>

#include "os/process.h"
#include "shm/crash_point.h"

namespace actor_ipc {

namespace {

/// Up to this many bytes are copied under the lock: a second turn of it costs more than the copy.
constexpr uint32_t kCopyInsideMax = 4096;
/// A process that died with the lock has ended for the kernel some milliseconds later, if it is large some more.
constexpr uint64_t kLookForNs = 1'000'000'000;
constexpr uint64_t kLookEveryNs = 10'000'000;
/// A user that tries in a loop asks the kernel for all others no oftener than this: 64 of them take a millisecond.
constexpr uint64_t kReclaimEveryNs = 100'000'000;
/// How often LeaveInTime tries; each try spins for kLockSpinNs.
constexpr int kLeaveTries = 20;

uint32_t Load(const Word& word) { return word.load(std::memory_order_relaxed); }  // Relaxed: the lock orders all of it.

uint64_t NowNs() {
  timespec now;
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec);
}

uint64_t BitOf(uint32_t slot) { return uint64_t{1} << slot; }

/// The kernel says so: the number is gone, or belongs to another process, or its process has ended with all its threads.
bool ProvenDead(pid_t pid, uint64_t ticks) {
  Fd process;
  if (Status status = OpenProcess(pid, ticks, &process); !status.ok()) return status.code() == Code::kGone;
  return ProcessEnded(process.get());
}

Status NoSuchPipe() { return Status::Of(Code::kNotFound, "pipe"); }
Status NoSuchBlock() { return Status::Of(Code::kNotFound, "block"); }

}  // namespace

Status CreateRegion(uint64_t bytes, Fd* file, Mapping* mapping) {
  if (bytes < kRegionBytesMin || bytes > kRegionBytesMax) return Status::Of(Code::kTooLarge, "region size");
  const uint64_t whole = (bytes + PageBytes() - 1) / PageBytes() * PageBytes();
  Fd owned;
  Mapping mapped;
  if (Status status = CreateMemory("actor-ipc-region", whole, Access::kShared, &owned, &mapped); !status.ok())
    return status;
  auto* header = new (mapped.base()) RegionHeader{};
  if (::getrandom(header->generation, sizeof header->generation, 0) != sizeof header->generation)
    return Status::System(errno, "getrandom");
  Journal journal(mapped.base(), whole);
  Pool(mapped.base(), kPoolOffset / kGrainBytes, static_cast<uint32_t>(whole / kGrainBytes), &journal).Format();
  header->bytes = whole;
  header->layout_hash = RegionLayoutHash();
  header->magic = kRegionMagic;
  *file = std::move(owned);
  *mapping = std::move(mapped);
  return Status::Ok();
}

Status AttachRegion(int file, uint64_t bytes_max, Mapping* mapping) {
  size_t bytes = 0;
  if (Status status = MemoryBytes(file, &bytes); !status.ok()) return status;
  Mapping mapped;
  if (Status status = MapForWriting(file, bytes, bytes_max, &mapped); !status.ok()) return status;
  if (bytes < kRegionBytesMin || bytes > kRegionBytesMax) return Status::Of(Code::kBadLayout, "region size");
  const auto* header = reinterpret_cast<const RegionHeader*>(mapped.base());
  if (header->magic != kRegionMagic || header->layout_hash != RegionLayoutHash())
    return Status::Of(Code::kBadLayout, "made by another version of the layout");
  if (header->bytes != bytes) return Status::Of(Code::kBadLayout, "region header");
  *mapping = std::move(mapped);
  return Status::Ok();
}

/// The lock, from construction to destruction. What has not been finished by then is put back.
class Region::Section {
 public:
  explicit Section(Region* region) : region_(region) {
    region->LookForDead();
    bool owner_died = false;
    status_ = region->lock_.Acquire(&owner_died);
    if (!status_.ok()) return;
    locked_ = true;
    if (owner_died || region->journal_.Pending()) Repair();
    region->journal_.Begin();
    if (status_.ok() && !region->late_.empty()) ReleaseLate();
  }
  Section(const Section&) = delete;
  Section& operator=(const Section&) = delete;
  ~Section() {
    if (!locked_) return;
    region_->due_rings_ = 0;
    // What can't be put back makes no sense to the next one either, who says so.
    if (region_->journal_.Pending()) (void)region_->journal_.PutBack();
    region_->lock_.Release();
  }

  const Status& status() const { return status_; }

 private:
  void Repair() {
    status_ = region_->journal_.PutBack();
    Word& repairs = region_->lock_line_->repairs;
    repairs.store(Load(repairs) + 1, std::memory_order_relaxed);  // Relaxed: a figure for people.
    region_->look_until_ns_ = NowNs() + kLookForNs;
    region_->look_at_ns_ = 0;
  }

  void ReleaseLate() {
    for (const Held& held : std::exchange(region_->late_, {}))
      if (status_.ok() && region_->CheckUser().ok()) {
        status_ = region_->Unhold(held);
        if (status_.ok()) status_ = region_->Finish();
      }
  }

  Region* region_;
  Status status_ = Status::Ok();
  bool locked_ = false;
};

Region::Region(std::shared_ptr<Mapping> mapping)
    : mapping_(std::move(mapping)),
      header_(reinterpret_cast<const RegionHeader*>(mapping_->base())),
      lock_line_(reinterpret_cast<LockLine*>(mapping_->base() + kLockLineOffset)),
      users_(reinterpret_cast<UserSlot*>(mapping_->base() + kUsersOffset)),
      pipes_(reinterpret_cast<PipeRecord*>(mapping_->base() + kPipesOffset)),
      lock_(&lock_line_->lock),
      journal_(mapping_->base(), mapping_->bytes()),
      pool_(mapping_->base(), kPoolOffset / kGrainBytes, static_cast<uint32_t>(mapping_->bytes() / kGrainBytes), &journal_),
      scratch_(kCopyInsideMax) {}

Region::~Region() {
  silent_ = true;
  (void)LeaveInTime();
}

Status Region::Join() {
  if (slot_ >= 0) return Status::Ok();
  uint64_t ticks = 0;
  if (Status status = StartTicks(::getpid(), &ticks); !status.ok()) return status;
  for (bool looked = false;; looked = true) {
    {
      const Section section(this);
      if (!section.status().ok()) return section.status();
      for (uint32_t slot = 0; slot < kUsersMax; slot++) {
        UserSlot& user = users_[slot];
        if (Load(user.pid) != 0) continue;
        const uint32_t generation = Load(user.generation) + 1;
        journal_.Set64(&user.ticks, ticks);
        journal_.Set(&user.generation, generation);
        journal_.Set(&user.pid, static_cast<uint32_t>(::getpid()));
        if (Status status = Finish(); !status.ok()) return status;
        slot_ = static_cast<int>(slot);
        slot_generation_ = generation;
        return Status::Ok();
      }
    }
    if (looked) return Status::Of(Code::kFull, "users of the region");
    look_until_ns_ = NowNs() + kLookForNs;
    look_at_ns_ = 0;
  }
}

Status Region::Leave() {
  if (slot_ < 0) return Status::Ok();
  const Section section(this);
  if (!section.status().ok()) return section.status();
  Status status = CheckUser();
  if (status.ok()) status = Clear(static_cast<uint32_t>(slot_));
  if (!status.ok() && status.code() != Code::kGone) return status;
  slot_ = -1;
  held_.clear();
  holds_.clear();
  late_.clear();
  return Status::Ok();
}

Status Region::LeaveInTime() {
  Status status = Leave();
  for (int i = 1; i < kLeaveTries && status.code() == Code::kLocked; i++) status = Leave();
  return status;
}

Status Region::Users(std::vector<RegionUser>* users) {
  const Section section(this);
  if (!section.status().ok()) return section.status();
  users->clear();
  for (uint32_t slot = 0; slot < kUsersMax; slot++)
    if (const uint32_t pid = Load(users_[slot].pid); pid != 0)
      users->push_back(RegionUser{slot, static_cast<pid_t>(pid), Load64(users_[slot].ticks)});
  return Status::Ok();
}

Status Region::Recover(const RegionUser& user) {
  if (user.slot >= kUsersMax) return Status::Of(Code::kNotFound, "user slot");
  if (!ProvenDead(user.pid, user.ticks)) return Status::Of(Code::kBusy, "the user is alive");
  const Section section(this);
  if (!section.status().ok()) return section.status();
  const UserSlot& slot = users_[user.slot];
  if (Load(slot.pid) != static_cast<uint32_t>(user.pid) || Load64(slot.ticks) != user.ticks) return Status::Ok();
  if (Status status = Clear(user.slot); !status.ok()) return status;
  // It may have died between a change and the ring that was to tell of it, so everybody looks.
  for (uint32_t other = 0; other < kUsersMax; other++)
    if (Load(users_[other].pid) != 0) rings_ |= BitOf(other);
  return Status::Ok();
}

/// Repeats a call that lacked something once dead users have given back what they had. One that waits is told of their
/// death otherwise, unless it lacks memory, which nobody waits for.
template <typename Attempt>
Status Region::Reclaiming(bool wait, Attempt attempt) {
  const Status status = attempt();
  if (status.code() != Code::kNoMemory && (wait || status.code() != Code::kAgain)) return status;
  const uint64_t now_ns = NowNs();
  if (now_ns < reclaim_at_ns_) return status;
  reclaim_at_ns_ = now_ns + kReclaimEveryNs;
  return RecoverDead() ? attempt() : status;
}

Status Region::OpenPipe(std::string_view name, uint32_t capacity, uint32_t* pipe) {
  if (name.empty() || name.size() > kPipeNameBytesMax) return Status::Of(Code::kTooLarge, "name of a pipe");
  if (capacity > kPipeCapacityMax) return Status::Of(Code::kTooLarge, "capacity of a pipe");
  const Section section(this);
  if (!section.status().ok()) return section.status();
  PipeRecord* spare = nullptr;
  for (uint32_t i = 0; i < kPipesMax; i++) {
    PipeRecord& record = pipes_[i];
    const uint32_t there = Load(record.capacity);
    if (there == 0) {
      if (spare == nullptr) spare = &record;
    } else if (Load(record.name_bytes) == name.size() && memcmp(record.name, name.data(), name.size()) == 0) {
      if (capacity != 0 && capacity != there) return Status::Of(Code::kMismatch, "capacity of the pipe");
      *pipe = i;
      return Status::Ok();
    }
  }
  if (capacity == 0) return NoSuchPipe();
  if (spare == nullptr) return Status::Of(Code::kFull, "pipes of the region");
  if (Status status = NewPipe(spare, name, capacity); !status.ok()) return status;
  *pipe = static_cast<uint32_t>(spare - pipes_);
  return Finish();
}

Status Region::Enqueue(uint32_t pipe, const uint8_t* bytes, size_t count, bool wait) {
  return Reclaiming(wait, [&] { return EnqueueOnce(pipe, bytes, count, wait); });
}

Status Region::EnqueueOnce(uint32_t pipe, const uint8_t* bytes, size_t count, bool wait) {
  if (count > kCopyInsideMax) return EnqueueLarge(pipe, bytes, count, wait);
  const Section section(this);
  if (!section.status().ok()) return section.status();
  std::optional<Pipe> to;
  if (Status status = PipeAt(pipe, &to); !status.ok()) return status;
  if (!to->HasRoom()) return WaitFor(&to->record()->want_room, wait);
  uint32_t block = 0;
  if (Status status = pool_.Allocate(count, BlockState::kData, &block); !status.ok()) return status;
  if (count > 0) memcpy(pool_.Bytes(block), bytes, count);
  CRASH_POINT("region.copied");
  if (Status status = PushBlock(&*to, block, pool_.HeaderOf(block)); !status.ok()) return status;
  return Finish();
}

/// Copies without the lock, from a block that is ours until it stands in the pipe.
Status Region::EnqueueLarge(uint32_t pipe, const uint8_t* bytes, size_t count, bool wait) {
  Held held;
  {
    const Section section(this);
    if (!section.status().ok()) return section.status();
    std::optional<Pipe> to;
    if (Status status = PipeAt(pipe, &to); !status.ok()) return status;
    if (!to->HasRoom()) return WaitFor(&to->record()->want_room, wait);
    if (Status status = pool_.Allocate(count, BlockState::kData, &held.block); !status.ok()) return status;
    PoolBlock* header = pool_.HeaderOf(held.block);
    held.serial = Load(header->serial);
    journal_.Set64(&header->holders, BitOf(static_cast<uint32_t>(slot_)));
    if (Status status = Finish(); !status.ok()) return status;
  }
  memcpy(pool_.Bytes(held.block), bytes, count);
  CRASH_POINT("region.copied");
  const auto put = [&] {
    const Section section(this);
    if (!section.status().ok()) return section.status();
    std::optional<Pipe> to;
    if (Status status = PipeAt(pipe, &to); !status.ok()) return status;
    PoolBlock* header = nullptr;
    uint32_t size = 0;
    if (Status status = pool_.Find(held.block, &header, &size); !status.ok()) return status;
    if (!to->HasRoom()) return WaitFor(&to->record()->want_room, wait);
    if (Status status = PushBlock(&*to, held.block, header); !status.ok()) return status;
    if (Status status = Unhold(held); !status.ok()) return status;
    return Finish();
  };
  const Status status = put();
  if (!status.ok()) late_.push_back(held);
  return status;
}

Status Region::Dequeue(uint32_t pipe, Take take, bool wait, Delivery* delivery) {
  return Reclaiming(wait, [&] { return DequeueOnce(pipe, take, wait, delivery); });
}

Status Region::DequeueOnce(uint32_t pipe, Take take, bool wait, Delivery* delivery) {
  const Section section(this);
  if (!section.status().ok()) return section.status();
  std::optional<Pipe> from;
  if (Status status = PipeAt(pipe, &from); !status.ok()) return status;
  PipeRecord* record = from->record();
  const uint32_t own = static_cast<uint32_t>(slot_);
  Taken taken;
  if (Status status = from->Take(own, &taken); !status.ok())
    return status.code() == Code::kAgain ? WaitFor(&record->want_packet, wait) : status;
  StopWaiting(&record->want_packet, own);
  PoolBlock* header = nullptr;
  uint32_t bytes = 0;
  if (Status status = pool_.Find(taken.block, &header, &bytes); !status.ok()) return status;
  *delivery = Delivery{0, pool_.Bytes(taken.block), bytes, taken.deliveries};
  Held held{taken.block, Load(header->serial), bytes, pipe, taken.entry};
  if (take != Take::kAcknowledge) {
    held.pipe = held.entry = 0;
    if (Status status = from->Forget(taken.entry, own, &taken.block); !status.ok()) return status;
    RingOne(&record->want_room);
    const bool copy = take == Take::kCopy && bytes <= kCopyInsideMax;
    if (copy) {
      if (bytes > 0) memcpy(scratch_.data(), delivery->data, bytes);
      delivery->data = scratch_.data();
    } else {
      journal_.Set64(&header->holders, Load64(header->holders) | BitOf(own));
    }
    if (Status status = Unqueue(held.block, header); !status.ok()) return status;
    if (copy) return Finish();
  }
  if (Status status = Finish(); !status.ok()) return status;
  delivery->block = Remember(held);
  return Status::Ok();
}

Status Region::Unwait(uint32_t pipe) {
  const Section section(this);
  if (!section.status().ok()) return section.status();
  std::optional<Pipe> of;
  if (Status status = PipeAt(pipe, &of); !status.ok()) return status;
  PipeRecord* record = of->record();
  const uint32_t own = static_cast<uint32_t>(slot_);
  // If our bit is gone, we were told of a packet, or of room, that another one may be waiting for.
  const bool told_packet = (Load64(record->want_packet) & BitOf(own)) == 0;
  const bool told_room = (Load64(record->want_room) & BitOf(own)) == 0;
  StopWaiting(&record->want_packet, own);
  StopWaiting(&record->want_room, own);
  if (told_packet && Load(record->packets) != 0) RingOne(&record->want_packet);
  if (told_room && of->HasRoom()) RingOne(&record->want_room);
  return Finish();
}

Status Region::Construct(size_t bytes, uint64_t* block, uint8_t** data) {
  return Reclaiming(true, [&] { return ConstructOnce(bytes, block, data); });
}

Status Region::ConstructOnce(size_t bytes, uint64_t* block, uint8_t** data) {
  Held held;
  {
    const Section section(this);
    if (!section.status().ok()) return section.status();
    if (Status status = CheckUser(); !status.ok()) return status;
    if (Status status = pool_.Allocate(bytes, BlockState::kData, &held.block); !status.ok()) return status;
    PoolBlock* header = pool_.HeaderOf(held.block);
    held.serial = Load(header->serial);
    held.bytes = static_cast<uint32_t>(bytes);
    journal_.Set64(&header->holders, BitOf(static_cast<uint32_t>(slot_)));
    if (Status status = Finish(); !status.ok()) return status;
  }
  *block = Remember(held);
  *data = pool_.Bytes(held.block);
  return Status::Ok();
}

Status Region::EnqueueBlock(uint32_t pipe, uint64_t block, bool wait) {
  return Reclaiming(wait, [&] { return EnqueueBlockOnce(pipe, block, wait); });
}

Status Region::EnqueueBlockOnce(uint32_t pipe, uint64_t block, bool wait) {
  const auto found = held_.find(block);
  if (found == held_.end() || found->second.entry != 0) return NoSuchBlock();
  const Section section(this);
  if (!section.status().ok()) return section.status();
  std::optional<Pipe> to;
  if (Status status = PipeAt(pipe, &to); !status.ok()) return status;
  if (!to->HasRoom()) return WaitFor(&to->record()->want_room, wait);
  PoolBlock* header = nullptr;
  uint32_t bytes = 0;
  if (Status status = pool_.Find(found->second.block, &header, &bytes); !status.ok()) return status;
  if (Status status = PushBlock(&*to, found->second.block, header); !status.ok()) return status;
  return Finish();
}

Status Region::View(uint64_t block, const uint8_t** data, uint32_t* bytes) const {
  const auto found = held_.find(block);
  if (found == held_.end()) return NoSuchBlock();
  *data = pool_.Bytes(found->second.block);
  *bytes = found->second.bytes;
  return Status::Ok();
}

Status Region::Release(uint64_t block) {
  const auto found = held_.find(block);
  if (found == held_.end() || found->second.entry != 0) return NoSuchBlock();
  if (holds_[found->second.block] == 1) {
    const Section section(this);
    if (!section.status().ok()) return section.status();
    if (Status status = CheckUser(); !status.ok()) return status;
    if (Status status = Unhold(found->second); !status.ok()) return status;
    if (Status status = Finish(); !status.ok()) return status;
  }
  Forget(block);
  return Status::Ok();
}

void Region::ReleaseSoon(uint64_t block) {
  if (Release(block).code() != Code::kLocked) return;
  late_.push_back(held_[block]);
  Forget(block);
}

uint64_t Region::TakeRings() { return std::exchange(rings_, 0); }

Status Region::Stats(RegionStats* stats) {
  const Section section(this);
  if (!section.status().ok()) return section.status();
  *stats = RegionStats{pool_.Stats(), Load(lock_line_->repairs), 0};
  for (uint32_t slot = 0; slot < kUsersMax; slot++) stats->users += Load(users_[slot].pid) != 0;
  return Status::Ok();
}

Status Region::StatsOf(uint32_t pipe, PipeStats* stats) {
  const Section section(this);
  if (!section.status().ok()) return section.status();
  if (pipe >= kPipesMax || Load(pipes_[pipe].capacity) == 0) return NoSuchPipe();
  const PipeRecord& record = pipes_[pipe];
  *stats = PipeStats{Load(record.capacity), Load(record.packets), Load(record.unacknowledged), Load64(record.enqueued),
                     Load64(record.dequeued)};
  return Status::Ok();
}

/// Whether our slot is still ours.
Status Region::CheckUser() const {
  if (slot_ < 0) return Status::Of(Code::kClosed, "not a user of the region");
  const UserSlot& user = users_[slot_];
  const bool ours = Load(user.pid) != 0 && Load(user.generation) == slot_generation_;
  return ours ? Status::Ok() : Status::Of(Code::kGone, "no longer a user of the region");
}

/// Also checks that we are a user.
Status Region::PipeAt(uint32_t pipe, std::optional<Pipe>* found) {
  if (Status status = CheckUser(); !status.ok()) return status;
  if (pipe >= kPipesMax) return NoSuchPipe();
  PipeRecord* record = &pipes_[pipe];
  const uint32_t capacity = Load(record->capacity);
  const uint32_t table = Load(record->table);
  if (capacity == 0) return NoSuchPipe();
  if (Status status = pool_.CheckTable(table, uint64_t{capacity} * sizeof(PipeEntry)); !status.ok()) return status;
  found->emplace(record, reinterpret_cast<PipeEntry*>(pool_.Bytes(table)), capacity, &journal_);
  return Status::Ok();
}

Status Region::NewPipe(PipeRecord* record, std::string_view name, uint32_t capacity) {
  uint32_t table = 0;
  if (Status status = pool_.Allocate(uint64_t{capacity} * sizeof(PipeEntry), BlockState::kTable, &table); !status.ok())
    return status;
  // Neither the table nor the name is looked at before the record has a capacity, so they need no journal.
  Pipe::Format(reinterpret_cast<PipeEntry*>(pool_.Bytes(table)), capacity);
  memcpy(record->name, name.data(), name.size());
  CRASH_POINT("region.named");
  journal_.Set(&record->name_bytes, static_cast<uint32_t>(name.size()));
  journal_.Set(&record->table, table);
  journal_.Set(&record->head, 0);
  journal_.Set(&record->tail, 0);
  journal_.Set(&record->spare, 1);
  journal_.Set(&record->capacity, capacity);
  return Status::Ok();
}

/// Puts a block of data behind the others and tells one who waits for a packet.
Status Region::PushBlock(Pipe* pipe, uint32_t block, PoolBlock* header) {
  if (Status status = pipe->Push(block); !status.ok()) return status;
  journal_.Set(&header->queued, Load(header->queued) + 1);
  StopWaiting(&pipe->record()->want_room, static_cast<uint32_t>(slot_));
  RingOne(&pipe->record()->want_packet);
  return Status::Ok();
}

/// The block stands in one pipe less.
Status Region::Unqueue(uint32_t block, PoolBlock* header) {
  const uint32_t queued = Load(header->queued);
  if (queued == 0) return Status::Of(Code::kBadLayout, "block of a packet");
  journal_.Set(&header->queued, queued - 1);
  return pool_.Drop(block);
}

/// Takes our bit from the block.
Status Region::Unhold(const Held& held) {
  PoolBlock* header = nullptr;
  uint32_t bytes = 0;
  if (Status status = pool_.Find(held.block, &header, &bytes); !status.ok()) return status;
  const uint64_t holders = Load64(header->holders);
  const uint64_t bit = BitOf(static_cast<uint32_t>(slot_));
  if (Load(header->serial) != held.serial || (holders & bit) == 0) return Status::Of(Code::kBadLayout, "block of ours");
  journal_.Set64(&header->holders, holders & ~bit);
  return pool_.Drop(held.block);
}

Status Region::Settle(uint64_t block, bool done) {
  const auto found = held_.find(block);
  if (found == held_.end() || found->second.entry == 0) return NoSuchBlock();
  const Held& held = found->second;
  const Section section(this);
  if (!section.status().ok()) return section.status();
  std::optional<Pipe> of;
  if (Status status = PipeAt(held.pipe, &of); !status.ok()) return status;
  const uint32_t own = static_cast<uint32_t>(slot_);
  if (done) {
    uint32_t named = 0;
    if (Status status = of->Forget(held.entry, own, &named); !status.ok()) return status;
    PoolBlock* header = nullptr;
    uint32_t bytes = 0;
    if (Status status = pool_.Find(named, &header, &bytes); !status.ok()) return status;
    if (Status status = Unqueue(named, header); !status.ok()) return status;
    RingOne(&of->record()->want_room);
  } else {
    if (Status status = of->PutBack(held.entry, own); !status.ok()) return status;
    RingOne(&of->record()->want_packet);
  }
  if (Status status = Finish(); !status.ok()) return status;
  Forget(block);
  return Status::Ok();
}

/// Answers kAgain, and has us told once it is worth to try again.
Status Region::WaitFor(Word64* mask, bool wait) {
  if (wait) {
    journal_.Set64(mask, Load64(*mask) | BitOf(static_cast<uint32_t>(slot_)));
    if (Status status = Finish(); !status.ok()) return status;
  }
  return Status::Of(Code::kAgain, "pipe");
}

void Region::StopWaiting(Word64* mask, uint32_t slot) { journal_.Set64(mask, Load64(*mask) & ~BitOf(slot)); }

/// Tells one of those who wait, in turn, so that one packet wakes one of them.
void Region::RingOne(Word64* mask) {
  const uint64_t waiting = Load64(*mask);
  if (waiting == 0 || silent_) return;
  const uint32_t ahead = static_cast<uint32_t>(std::countr_zero(std::rotr(waiting, static_cast<int>(turn_))));
  const uint32_t slot = (turn_ + ahead) % kUsersMax;
  turn_ = (slot + 1) % kUsersMax;
  StopWaiting(mask, slot);
  due_rings_ |= BitOf(slot);
}

/// Tells as many as there are packets and places for them.
void Region::RingSome(const Pipe& pipe) {
  PipeRecord* record = pipe.record();
  const uint32_t packets = std::min(Load(record->packets), pipe.capacity());
  const uint32_t busy = std::min(packets + Load(record->unacknowledged), pipe.capacity());
  for (uint32_t i = 0; i < std::min(packets, kUsersMax); i++) RingOne(&record->want_packet);
  for (uint32_t i = 0; i < std::min(pipe.capacity() - busy, kUsersMax); i++) RingOne(&record->want_room);
}

/// Gives back all that the user of that slot has, and the slot last. Each step is whole in itself, and what is done
/// already is not found again by whoever repeats it.
Status Region::Clear(uint32_t slot) {
  for (uint32_t i = 0; i < kPipesMax; i++) {
    const uint32_t capacity = Load(pipes_[i].capacity);
    if (capacity == 0) continue;
    const uint32_t table = Load(pipes_[i].table);
    if (Status status = pool_.CheckTable(table, uint64_t{capacity} * sizeof(PipeEntry)); !status.ok()) return status;
    Pipe pipe(&pipes_[i], reinterpret_cast<PipeEntry*>(pool_.Bytes(table)), capacity, &journal_);
    if (Status status = ClearPipe(&pipe, slot); !status.ok()) return status;
  }
  if (Status status = ClearBlocks(slot); !status.ok()) return status;
  journal_.Set(&users_[slot].pid, 0);
  return Finish();
}

Status Region::ClearPipe(Pipe* pipe, uint32_t slot) {
  for (uint32_t entry : pipe->EntriesOf(slot)) {
    if (Status status = pipe->PutBack(entry, slot); !status.ok()) return status;
    if (Status status = Finish(); !status.ok()) return status;
  }
  StopWaiting(&pipe->record()->want_packet, slot);
  StopWaiting(&pipe->record()->want_room, slot);
  if (Status status = Finish(); !status.ok()) return status;
  RingSome(*pipe);
  return Finish();
}

Status Region::ClearBlocks(uint32_t slot) {
  return pool_.ForEach([&](uint32_t block, PoolBlock* header, uint32_t* at) {
    if (Load(header->state) != static_cast<uint32_t>(BlockState::kData)) return Status::Ok();
    const uint64_t holders = Load64(header->holders);
    if ((holders & BitOf(slot)) == 0) return Status::Ok();
    journal_.Set64(&header->holders, holders & ~BitOf(slot));
    if (Status status = pool_.Drop(block, at); !status.ok()) return status;
    return Finish();
  });
}

/// The call has happened.
Status Region::Finish() {
  if (Status status = journal_.Commit(); !status.ok()) return status;
  rings_ |= std::exchange(due_rings_, 0);
  return Status::Ok();
}

/// Recovers those who have died lately. A holder's death is seen in the lock some time before the kernel vouches that
/// its process has ended, hence again and again for a while, and never under the lock.
void Region::LookForDead() {
  if (look_until_ns_ == 0) return;
  const uint64_t now_ns = NowNs();
  if (now_ns < look_at_ns_) return;
  look_at_ns_ = now_ns + kLookEveryNs;
  if (now_ns >= look_until_ns_) look_until_ns_ = 0;
  if (RecoverDead()) look_until_ns_ = 0;
}

/// Whether somebody dead was found and cleared away.
bool Region::RecoverDead() {
  bool found = false;
  for (uint32_t slot = 0; slot < kUsersMax; slot++) {
    const RegionUser user{slot, static_cast<pid_t>(Load(users_[slot].pid)), Load64(users_[slot].ticks)};
    // Recover looks at the slot again under the lock, and only then believes what was read here.
    if (user.pid == 0 || !ProvenDead(user.pid, user.ticks)) continue;
    if (Recover(user).ok()) found = true;
  }
  return found;
}

uint64_t Region::Remember(const Held& held) {
  held_.emplace(++last_number_, held);
  if (held.entry == 0) holds_[held.block]++;
  return last_number_;
}

void Region::Forget(uint64_t block) {
  const auto found = held_.find(block);
  if (found->second.entry == 0 && --holds_[found->second.block] == 0) holds_.erase(found->second.block);
  held_.erase(found);
}

}  // namespace actor_ipc
