// Pool: the blocks of a region. Each has a header that tells its size and that of the block before it, so that a block
// that comes back joins its free neighbours at once.
//
// Thread safety: for the holder of the region's lock. All changes go through the journal.
// Invariants
//  1. The blocks follow each other without a gap from the first grain of the pool to its end.
//  2. No two free blocks are neighbours; each stands in the list of its size, and only free blocks do.
//  3. A block of data is free as soon as no user holds it and it stands in no pipe.
// A block that breaks a rule was written by a user of the region that misbehaves: kBadLayout, and the call is put back.
#pragma once

#include <cstdint>

#include "os/status.h"
#include "shm/journal.h"
#include "shm/region_layout.h"

namespace actor_ipc {

struct PoolStats {
  uint64_t used = 0;
  uint64_t free = 0;
  /// The most bytes that one block can have now.
  uint64_t largest = 0;
  uint32_t blocks = 0;
};

class Pool {
 public:
  /// `first` and `end` are the pool's grains, which the caller has checked against the size of the mapping.
  Pool(uint8_t* base, uint32_t first, uint32_t end, Journal* journal)
      : base_(base), first_(first), end_(end), line_(reinterpret_cast<PoolLine*>(base + kPoolLineOffset)),
        journal_(journal) {}

  /// One free block that is all of it. REQUIRES: the memory is zero and nobody else has it.
  void Format();

  /// Takes a block for `bytes`. Errors: kNoMemory, kBadLayout.
  Status Allocate(uint64_t bytes, BlockState state, uint32_t* block);

  /// A block of data that is in use, and how many bytes it has. Errors: kBadLayout.
  Status Find(uint32_t block, PoolBlock** header, uint32_t* bytes) const;

  /// Checks that it is the table of a pipe, of at least that size. Errors: kBadLayout.
  Status CheckTable(uint32_t block, uint64_t bytes) const;

  /// Gives the block back if nobody holds it and it stands in no pipe. `at`, if asked for, is then the free block that
  /// it has become part of, else itself. Errors: kBadLayout.
  Status Drop(uint32_t block, uint32_t* at = nullptr);

  /// REQUIRES: `block` is one that Allocate has just answered.
  PoolBlock* HeaderOf(uint32_t block) const {
    return reinterpret_cast<PoolBlock*>(base_ + uint64_t{block} * kGrainBytes);
  }
  uint8_t* Bytes(uint32_t block) const { return base_ + uint64_t{block} * kGrainBytes + sizeof(PoolBlock); }

  /// Calls visit(block, header, &at) for each block in order, until it answers an error. If the block joins others, the
  /// visitor says where it has gone. Errors: kBadLayout, those of `visit`.
  template <typename Visit>
  Status ForEach(Visit visit) const {
    for (uint32_t block = first_; block < end_;) {
      uint32_t grains = 0;
      PoolBlock* header = At(block, &grains);
      if (header == nullptr) return Broken();
      uint32_t at = block;
      if (Status status = visit(block, header, &at); !status.ok()) return status;
      // What has joined its neighbours ends where it ended or later, so this never goes back.
      if (At(at, &grains) == nullptr || at + grains <= block) return Broken();
      block = at + grains;
    }
    return Status::Ok();
  }

  PoolStats Stats() const;

 private:
  /// A header whose block lies within the pool, or null.
  PoolBlock* At(uint32_t block, uint32_t* grains) const;
  Status Link(uint32_t block, PoolBlock* header, uint32_t grains);
  Status Unlink(PoolBlock* header, uint32_t grains);
  Status Fitting(uint32_t grains, uint32_t* block, uint32_t* size) const;
  Status TellNext(uint32_t block, uint32_t grains);
  static Status Broken() { return Status::Of(Code::kBadLayout, "block of the pool"); }

  uint8_t* base_;
  uint32_t first_;
  uint32_t end_;
  PoolLine* line_;
  Journal* journal_;
};

}  // namespace actor_ipc
