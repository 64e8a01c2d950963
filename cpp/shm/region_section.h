// Region section: the stretch of a call during which it has the region's lock. For the files that implement Region.
//
// Thread safety: as Region. Invariant: what a section has not finished by its end has not happened.
#pragma once

#include <time.h>

#include <utility>

#include "shm/region.h"

namespace actor_ipc {

namespace region_internal {

inline uint32_t Load(const Word& word) { return word.load(std::memory_order_relaxed); }  // Relaxed: the lock orders all of it.

inline uint64_t NowNs() {
  timespec now;
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec);
}

inline uint64_t BitOf(uint32_t slot) { return uint64_t{1} << slot; }

inline Status NoSuchPipe() { return Status::Of(Code::kNotFound, "pipe"); }

/// A process that died with the lock has ended for the kernel some milliseconds later, if it is large some more.
inline constexpr uint64_t kLookForNs = 1'000'000'000;

}  // namespace region_internal

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
    repairs.store(region_internal::Load(repairs) + 1, std::memory_order_relaxed);  // Relaxed: a figure for people.
    region_->look_until_ns_ = region_internal::NowNs() + region_internal::kLookForNs;
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

}  // namespace actor_ipc
