#include "shm/pool.h"

#include <bit>

namespace actor_ipc {

namespace {

/// How far a list is searched when no list holds only blocks that are large enough. Longer ones cost the lock too long;
/// what is missed is at most a quarter larger than what was asked for.
constexpr uint32_t kSearchMax = 256;

uint32_t Load(const Word& word) { return word.load(std::memory_order_relaxed); }  // Relaxed: the lock orders all of it.

/// The list for free blocks of that size: sizes below 8 have one each, then four for each power of two.
uint32_t BinOf(uint32_t grains) {
  if (grains < 4) return grains;
  const uint32_t power = static_cast<uint32_t>(std::bit_width(grains)) - 1;
  return 4 * (power - 1) + (grains >> (power - 2) & 3);
}

/// The first list whose every block has at least that size.
uint32_t BinFor(uint32_t grains) {
  const uint32_t bin = BinOf(grains);
  return grains == 1 || BinOf(grains - 1) != bin ? bin : bin + 1;
}

}  // namespace

void Pool::Format() {
  PoolBlock* header = HeaderOf(first_);
  const uint32_t grains = end_ - first_;
  const uint32_t bin = BinOf(grains);
  header->state.store(static_cast<uint32_t>(BlockState::kFree), std::memory_order_relaxed);
  header->grains.store(grains, std::memory_order_relaxed);
  line_->bins[bin].store(first_, std::memory_order_relaxed);
  line_->filled[bin / 32].store(1u << bin % 32, std::memory_order_relaxed);
  line_->free_grains.store(grains, std::memory_order_relaxed);
}

Status Pool::Allocate(uint64_t bytes, BlockState state, uint32_t* block) {
  if (bytes > UINT32_MAX || bytes > uint64_t{end_ - first_} * kGrainBytes) return Status::Of(Code::kNoMemory, "pool");
  const uint32_t grains = GrainsFor(bytes);
  uint32_t found = 0;
  uint32_t had = 0;
  if (Status status = Fitting(grains, &found, &had); !status.ok()) return status;
  PoolBlock* header = HeaderOf(found);
  if (Status status = Unlink(header, had); !status.ok()) return status;
  if (had > grains) {
    PoolBlock* rest = HeaderOf(found + grains);
    journal_->Set(&rest->before, grains);
    if (Status status = Link(found + grains, rest, had - grains); !status.ok()) return status;
    if (Status status = TellNext(found + grains, had - grains); !status.ok()) return status;
  }
  const uint32_t serial = Load(line_->serial) + 1;
  journal_->Set(&line_->serial, serial);
  journal_->Set(&header->state, static_cast<uint32_t>(state));
  journal_->Set(&header->grains, grains);
  journal_->Set(&header->bytes, static_cast<uint32_t>(bytes));
  journal_->Set(&header->serial, serial);
  journal_->Set(&header->queued, 0);
  journal_->Set64(&header->holders, 0);
  journal_->Set(&line_->free_grains, Load(line_->free_grains) - grains);
  if (state == BlockState::kData) {
    journal_->Set(&line_->used_grains, Load(line_->used_grains) + grains);
    journal_->Set(&line_->used_blocks, Load(line_->used_blocks) + 1);
  }
  *block = found;
  return Status::Ok();
}

Status Pool::Find(uint32_t block, PoolBlock** header, uint32_t* bytes) const {
  uint32_t grains = 0;
  PoolBlock* found = At(block, &grains);
  if (found == nullptr || Load(found->state) != static_cast<uint32_t>(BlockState::kData)) return Broken();
  *bytes = Load(found->bytes);
  if (*bytes > PayloadBytes(grains)) return Broken();
  *header = found;
  return Status::Ok();
}

Status Pool::CheckTable(uint32_t block, uint64_t bytes) const {
  uint32_t grains = 0;
  const PoolBlock* header = At(block, &grains);
  const bool fits = header != nullptr && Load(header->state) == static_cast<uint32_t>(BlockState::kTable) &&
                    bytes <= PayloadBytes(grains);
  return fits ? Status::Ok() : Broken();
}

Status Pool::Drop(uint32_t block, uint32_t* at) {
  if (at != nullptr) *at = block;
  uint32_t own = 0;
  PoolBlock* header = At(block, &own);
  if (header == nullptr || Load(header->state) != static_cast<uint32_t>(BlockState::kData)) return Broken();
  if (Load(header->queued) != 0 || Load64(header->holders) != 0) return Status::Ok();
  uint32_t start = block;
  uint32_t grains = own;
  if (block + own < end_) {
    uint32_t more = 0;
    PoolBlock* right = At(block + own, &more);
    if (right == nullptr || Load(right->before) != own) return Broken();
    if (Load(right->state) == static_cast<uint32_t>(BlockState::kFree)) {
      if (Status status = Unlink(right, more); !status.ok()) return status;
      grains += more;
    }
  }
  if (const uint32_t before = Load(header->before); before != 0) {
    if (before > block - first_) return Broken();
    uint32_t size = 0;
    PoolBlock* left = At(block - before, &size);
    if (left == nullptr || size != before) return Broken();
    if (Load(left->state) == static_cast<uint32_t>(BlockState::kFree)) {
      if (Status status = Unlink(left, before); !status.ok()) return status;
      start = block - before;
      grains += before;
      header = left;
    }
  }
  if (Status status = Link(start, header, grains); !status.ok()) return status;
  if (Status status = TellNext(start, grains); !status.ok()) return status;
  journal_->Set(&line_->free_grains, Load(line_->free_grains) + own);
  journal_->Set(&line_->used_grains, Load(line_->used_grains) - own);
  journal_->Set(&line_->used_blocks, Load(line_->used_blocks) - 1);
  if (at != nullptr) *at = start;
  return Status::Ok();
}

PoolStats Pool::Stats() const {
  PoolStats stats;
  stats.used = uint64_t{Load(line_->used_grains)} * kGrainBytes;
  stats.free = uint64_t{Load(line_->free_grains)} * kGrainBytes;
  stats.blocks = Load(line_->used_blocks);
  for (uint32_t bin = kBins; bin-- > 0 && stats.largest == 0;) {
    uint32_t block = Load(line_->bins[bin]);
    for (uint32_t i = 0; block != 0 && i < kSearchMax; i++) {
      uint32_t grains = 0;
      const PoolBlock* header = At(block, &grains);
      if (header == nullptr) break;
      if (const uint64_t bytes = PayloadBytes(grains); bytes > stats.largest) stats.largest = bytes;
      block = Load(header->holders.low);
    }
  }
  return stats;
}

PoolBlock* Pool::At(uint32_t block, uint32_t* grains) const {
  if (block < first_ || block >= end_) return nullptr;
  PoolBlock* header = HeaderOf(block);
  *grains = Load(header->grains);
  return *grains >= 1 && *grains <= end_ - block ? header : nullptr;
}

/// A free block of at least that size, and its size.
Status Pool::Fitting(uint32_t grains, uint32_t* block, uint32_t* size) const {
  for (uint32_t bin = BinFor(grains); bin < kBins; bin = (bin / 32 + 1) * 32) {
    const uint32_t filled = Load(line_->filled[bin / 32]) >> bin % 32 << bin % 32;
    if (filled == 0) continue;
    *block = Load(line_->bins[bin / 32 * 32 + static_cast<uint32_t>(std::countr_zero(filled))]);
    return At(*block, size) != nullptr && *size >= grains ? Status::Ok() : Broken();
  }
  *block = Load(line_->bins[BinOf(grains)]);
  for (uint32_t i = 0; *block != 0 && i < kSearchMax; i++) {
    const PoolBlock* header = At(*block, size);
    if (header == nullptr) return Broken();
    if (*size >= grains) return Status::Ok();
    *block = Load(header->holders.low);
  }
  return Status::Of(Code::kNoMemory, "pool");
}

/// Makes it a free block of that size, at the front of its list.
Status Pool::Link(uint32_t block, PoolBlock* header, uint32_t grains) {
  const uint32_t bin = BinOf(grains);
  const uint32_t first = Load(line_->bins[bin]);
  journal_->Set(&header->state, static_cast<uint32_t>(BlockState::kFree));
  journal_->Set(&header->grains, grains);
  journal_->Set(&header->holders.low, first);
  journal_->Set(&header->holders.high, 0);
  if (first != 0) {
    uint32_t size = 0;
    PoolBlock* next = At(first, &size);
    if (next == nullptr) return Broken();
    journal_->Set(&next->holders.high, block);
  }
  journal_->Set(&line_->bins[bin], block);
  journal_->Set(&line_->filled[bin / 32], Load(line_->filled[bin / 32]) | 1u << bin % 32);
  return Status::Ok();
}

/// Takes a free block of that size out of its list.
Status Pool::Unlink(PoolBlock* header, uint32_t grains) {
  if (Load(header->state) != static_cast<uint32_t>(BlockState::kFree)) return Broken();
  const uint32_t bin = BinOf(grains);
  uint32_t size = 0;
  const uint32_t next = Load(header->holders.low);
  const uint32_t previous = Load(header->holders.high);
  if (next != 0) {
    PoolBlock* other = At(next, &size);
    if (other == nullptr) return Broken();
    journal_->Set(&other->holders.high, previous);
  }
  if (previous != 0) {
    PoolBlock* other = At(previous, &size);
    if (other == nullptr) return Broken();
    journal_->Set(&other->holders.low, next);
    return Status::Ok();
  }
  journal_->Set(&line_->bins[bin], next);
  if (next == 0) journal_->Set(&line_->filled[bin / 32], Load(line_->filled[bin / 32]) & ~(1u << bin % 32));
  return Status::Ok();
}

/// The block behind it learns its size.
Status Pool::TellNext(uint32_t block, uint32_t grains) {
  if (block + grains == end_) return Status::Ok();
  uint32_t size = 0;
  PoolBlock* next = At(block + grains, &size);
  if (next == nullptr) return Broken();
  journal_->Set(&next->before, grains);
  return Status::Ok();
}

}  // namespace actor_ipc
