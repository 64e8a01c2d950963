// The packets and blocks of a region, and who is told of them.
#include <string.h>

#include <algorithm>
#include <bit>
#include <utility>

#include "shm/crash_point.h"
#include "shm/region_section.h"

namespace actor_ipc {

using region_internal::BitOf;
using region_internal::Load;
using region_internal::NowNs;

namespace {

/// A user that tries in a loop asks the kernel for all others no oftener than this: 64 of them take a millisecond.
constexpr uint64_t kReclaimEveryNs = 100'000'000;

Status NoSuchBlock() { return Status::Of(Code::kNotFound, "block"); }

}  // namespace

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
  const bool keeps = take == Take::kAcknowledge;
  if (Status status = keeps ? from->Take(own, &taken) : from->Pop(&taken); !status.ok())
    return status.code() == Code::kAgain ? WaitFor(&record->want_packet, wait) : status;
  StopWaiting(&record->want_packet, own);
  PoolBlock* header = nullptr;
  uint32_t bytes = 0;
  if (Status status = pool_.Find(taken.block, &header, &bytes); !status.ok()) return status;
  *delivery = Delivery{0, pool_.Bytes(taken.block), bytes, taken.deliveries};
  Held held{taken.block, Load(header->serial), bytes, pipe, taken.entry};
  if (!keeps) {
    held.pipe = held.entry = 0;
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
