// Pipe: a bounded queue of packets, oldest first. A packet is an entry that names a block; many users put packets in and
// many take them out, each packet once.
//
// Thread safety: for the holder of the region's lock. All changes go through the journal.
// Invariants
//  1. Each entry is spare, waiting, or with one user who has not acknowledged it; waiting and unacknowledged ones
//     together are at most the capacity, so that what is put back always finds room.
//  2. The waiting ones are in the order of sending, also after some were put back.
//  3. A block counts the entries that name it.
#pragma once

#include <cstdint>
#include <vector>

#include "os/status.h"
#include "shm/journal.h"
#include "shm/region_layout.h"

namespace actor_ipc {

/// A packet that has been taken out of a pipe.
struct Taken {
  uint32_t entry = 0;
  uint32_t block = 0;
  uint32_t deliveries = 0;
};

class Pipe {
 public:
  /// `entries` are `capacity` entries within the mapping.
  Pipe(PipeRecord* record, PipeEntry* entries, uint32_t capacity, Journal* journal)
      : record_(record), entries_(entries), capacity_(capacity), journal_(journal) {}

  PipeRecord* record() const { return record_; }
  uint32_t capacity() const { return capacity_; }
  bool HasRoom() const;

  /// Makes all entries spare, outside the journal. REQUIRES: nobody else can reach them yet.
  static void Format(PipeEntry* entries, uint32_t capacity);

  /// Puts a packet behind the others. Errors: kAgain (no room), kBadLayout.
  Status Push(uint32_t block);
  /// Takes the oldest packet for `owner`; it is with him until Forget or PutBack. Errors: kAgain (empty), kBadLayout.
  Status Take(uint32_t owner, Taken* taken);
  /// Takes the oldest packet for good, as Take and Forget at once. Errors: kAgain (empty), kBadLayout.
  Status Pop(Taken* taken);
  /// The packet is dealt with: its entry is spare again. Errors: kBadLayout, kNotFound (`owner` does not have it).
  Status Forget(uint32_t entry, uint32_t owner, uint32_t* block);
  /// The packet waits again, at its old place. Errors: kBadLayout, kNotFound.
  Status PutBack(uint32_t entry, uint32_t owner);
  /// What `owner` has, the youngest first: put back in this order, each finds its place at once.
  std::vector<uint32_t> EntriesOf(uint32_t owner) const;

 private:
  /// Entry number `number` (its index + 1), or null.
  PipeEntry* At(uint32_t number) const { return number - 1 < capacity_ ? &entries_[number - 1] : nullptr; }
  /// Takes the oldest packet out of the list.
  Status Unlist(Taken* taken);
  /// Makes an entry spare that stands in no list, and counts its packet as dealt with.
  void Spare(uint32_t number, PipeEntry* entry);
  Status Owned(uint32_t number, uint32_t owner, PipeEntry** entry) const;
  static Status Broken() { return Status::Of(Code::kBadLayout, "entry of a pipe"); }

  PipeRecord* record_;
  PipeEntry* entries_;
  uint32_t capacity_;
  Journal* journal_;
};

}  // namespace actor_ipc
