// Region layout: what stands where in a region. Many processes write all of it, under the one lock of the region.
//
//   RegionHeader    constant once the region has been handed out
//   LockLine        the lock; how often a dead holder's work was taken back
//   PoolLine        counters of the pool and its lists of free blocks, by size
//   JournalLine     what the words that the holder of the lock has changed were before
//   UserSlot[64]    who uses the region
//   PipeRecord[64]  the pipes
//   then            the pool: blocks of whole grains, each a header and its bytes; a pipe's entries are in such a block
//
// There is no pointer: a block is the number of its first grain, counted from the start of the region, so that 0 is
// none; an entry of a pipe is its index + 1. Whatever is read here was written by others and is checked before it is used.
// 64-bit numbers are two words, low first, since the journal knows words only.
#pragma once

#include <cstddef>
#include <cstdint>

#include "shm/layout.h"

namespace actor_ipc {

inline constexpr uint32_t kRegionMagic = 0x52504941;  // "AIPR"
inline constexpr uint32_t kRegionVersion = 1;
inline constexpr uint64_t kRegionBytesMin = uint64_t{64} << 10;
/// A word's place must fit a word.
inline constexpr uint64_t kRegionBytesMax = uint64_t{16} << 30;
/// One bit each in a mask of 64.
inline constexpr uint32_t kUsersMax = 64;
inline constexpr uint32_t kPipesMax = 64;
inline constexpr uint32_t kPipeNameBytesMax = 64;
inline constexpr uint32_t kPipeCapacityMax = 1u << 24;
/// A cache line: blocks of different users share none.
inline constexpr uint32_t kGrainBytes = 64;
/// More than one call ever changes; the longest, a pipe's creation, changes some 50.
inline constexpr uint32_t kJournalEntries = 128;
/// Four lists of free blocks for each power of two.
inline constexpr uint32_t kBins = 128;

struct Word64 {
  Word low;
  Word high;
};

struct alignas(kLineBytes) RegionHeader {
  uint32_t magic;
  uint32_t layout_hash;
  uint64_t bytes;
  /// Random, so that two regions of one name can be told apart.
  uint8_t generation[16];
};

struct alignas(kLineBytes) LockLine {
  Word lock;
  Word repairs;
};

struct alignas(kLineBytes) PoolLine {
  /// In blocks of data: headers included, the tables of pipes not.
  Word used_grains;
  Word used_blocks;
  Word free_grains;
  /// Given to each block when it is taken, so that a late release can't hit its successor.
  Word serial;
  Word filled[kBins / 32];
  Word bins[kBins];
};

struct JournalEntry {
  /// Of a word, counted in words from the start of the region.
  Word place;
  Word before;
};

struct alignas(kLineBytes) JournalLine {
  /// Entries that count. Not 0 while the lock is free or just taken: its last holder died before he had finished.
  Word count;
  Word reserved;
  JournalEntry entries[kJournalEntries];
};

struct alignas(64) UserSlot {
  /// 0: the slot is free.
  Word pid;
  /// Raised with each user.
  Word generation;
  Word64 ticks;
};

struct alignas(64) PipeRecord {
  /// In packets; 0: there is no such pipe.
  Word capacity;
  Word name_bytes;
  uint8_t name[kPipeNameBytesMax];
  /// The block of its entries.
  Word table;
  /// The oldest and the youngest packet that wait, and the first of the entries that are free.
  Word head;
  Word tail;
  Word spare;
  Word packets;
  Word unacknowledged;
  Word64 enqueued;
  Word64 dequeued;
  /// Masks of users that wait for a packet, or for room.
  Word64 want_packet;
  Word64 want_room;
};

enum class EntryState : uint32_t { kSpare = 0, kWaiting = 1, kUnacknowledged = 2 };

struct PipeEntry {
  Word state;
  /// The user that has it, if it is unacknowledged.
  Word owner;
  Word next;
  Word block;
  Word deliveries;
  Word reserved;
  /// Its number in the order of sending.
  Word64 order;
};
static_assert(sizeof(PipeEntry) == 32);

enum class BlockState : uint32_t { kFree = 0x46524545, kData = 0x44415441, kTable = 0x5441424c };

struct PoolBlock {
  Word state;
  /// Its size, and that of the block before it (0: it is the first), in grains.
  Word grains;
  Word before;
  /// Bytes that its user asked for.
  Word bytes;
  Word serial;
  /// In how many entries of pipes it stands.
  Word queued;
  /// Who holds it, by user slot; of a free block, the next and the previous in its list.
  Word64 holders;
};
static_assert(sizeof(PoolBlock) == 32);

inline constexpr uint32_t kLockLineOffset = sizeof(RegionHeader);
inline constexpr uint32_t kPoolLineOffset = kLockLineOffset + sizeof(LockLine);
inline constexpr uint32_t kJournalOffset = kPoolLineOffset + sizeof(PoolLine);
inline constexpr uint32_t kUsersOffset = kJournalOffset + sizeof(JournalLine);
inline constexpr uint32_t kPipesOffset = kUsersOffset + kUsersMax * sizeof(UserSlot);
inline constexpr uint32_t kPoolOffset = kPipesOffset + kPipesMax * sizeof(PipeRecord);
static_assert(kPoolOffset % kGrainBytes == 0 && kPoolOffset < kRegionBytesMin);

constexpr uint32_t GrainsFor(uint64_t bytes) {
  return static_cast<uint32_t>((sizeof(PoolBlock) + bytes + kGrainBytes - 1) / kGrainBytes);
}

constexpr uint64_t PayloadBytes(uint32_t grains) { return uint64_t{grains} * kGrainBytes - sizeof(PoolBlock); }

/// Changes whenever a number above does.
constexpr uint32_t RegionLayoutHash() {
  uint32_t hash = LayoutHash();
  for (uint32_t value :
       {kRegionVersion, kUsersMax, kPipesMax, kPipeNameBytesMax, kGrainBytes, kJournalEntries, kBins, kPoolLineOffset,
        static_cast<uint32_t>(offsetof(PoolLine, bins)), kJournalOffset, kUsersOffset,
        static_cast<uint32_t>(offsetof(UserSlot, ticks)), kPipesOffset,
        static_cast<uint32_t>(offsetof(PipeRecord, table)), static_cast<uint32_t>(offsetof(PipeRecord, want_room)),
        kPoolOffset, static_cast<uint32_t>(offsetof(PipeEntry, order)),
        static_cast<uint32_t>(offsetof(PoolBlock, holders))})
    hash = internal::Fold(hash, value);
  return hash;
}

inline uint64_t Load64(const Word64& number) {
  return uint64_t{number.high.load(std::memory_order_relaxed)} << 32 | number.low.load(std::memory_order_relaxed);
}

}  // namespace actor_ipc
