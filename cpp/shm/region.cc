#include "shm/region.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include <new>
#include <utility>

#include "shm/crash_point.h"
#include "shm/region_section.h"

namespace actor_ipc {

using region_internal::Load;
using region_internal::NoSuchPipe;

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

uint64_t Region::TakeRings() { return std::exchange(rings_, 0); }

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

/// The call has happened.
Status Region::Finish() {
  if (Status status = journal_.Commit(); !status.ok()) return status;
  rings_ |= std::exchange(due_rings_, 0);
  return Status::Ok();
}

}  // namespace actor_ipc
