// The users of a region: who joins, leaves or has died, and what then comes back.
#include <unistd.h>

#include <algorithm>

#include "os/process.h"
#include "shm/region_section.h"

namespace actor_ipc {

using region_internal::BitOf;
using region_internal::kLookForNs;
using region_internal::Load;
using region_internal::NowNs;

namespace {

constexpr uint64_t kLookEveryNs = 10'000'000;
/// How often LeaveInTime tries; each try spins for kLockSpinNs.
constexpr int kLeaveTries = 20;
/// More than a machine ever counts, and what JavaScript holds exactly.
constexpr uint64_t kTicksMax = uint64_t{1} << 53;

}  // namespace

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
  for (uint32_t slot = 0; slot < kUsersMax; slot++) {
    const uint32_t pid = Load(users_[slot].pid);
    const uint64_t ticks = Load64(users_[slot].ticks);
    if (pid == 0) continue;
    if (pid > INT32_MAX || ticks > kTicksMax) return Status::Of(Code::kBadLayout, "user slot");
    users->push_back(RegionUser{slot, static_cast<pid_t>(pid), ticks});
  }
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

/// Whether our slot is still ours.
Status Region::CheckUser() const {
  if (slot_ < 0) return Status::Of(Code::kClosed, "not a user of the region");
  const UserSlot& user = users_[slot_];
  const bool ours = Load(user.pid) != 0 && Load(user.generation) == slot_generation_;
  return ours ? Status::Ok() : Status::Of(Code::kGone, "no longer a user of the region");
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

}  // namespace actor_ipc
