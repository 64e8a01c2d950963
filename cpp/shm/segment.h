// Segment: one mapped piece of shared memory with a header and lanes, created by its single writer, read by its peer.
//
// Thread safety: creating and attaching are for one thread; the words of a lane are for its two ends.
// Invariants
//  1. A created segment is formatted completely before its descriptor can reach anybody.
//  2. An attached segment has passed every check once; the rings' places are then kept by the reader, in private
//     memory, and never read from the segment again.
#pragma once

#include <cstdint>
#include <vector>

#include "os/fd.h"
#include "os/memory.h"
#include "os/status.h"
#include "shm/layout.h"

namespace actor_ipc {

struct RingPlace {
  uint32_t offset = 0;
  uint32_t capacity = 0;
};

/// A power of two between kRingBytesMin and kRingBytesMax.
bool IsRingCapacity(uint32_t capacity);

/// Bytes of a segment with lanes of these capacities, rounded up to whole pages.
uint64_t SegmentBytes(const std::vector<uint32_t>& capacities);

/// Creates and formats a segment with one lane per capacity. `first_position` is where all positions start: 0, or a
/// number close below 2^32 in tests. Errors: kTooLarge, kSystem.
Status CreateSegment(SegmentKind kind, const std::vector<uint32_t>& capacities, uint32_t first_position, Fd* file,
                     Mapping* mapping);

/// Maps a received segment to read, checks it, and copies out where its rings are.
/// Errors: those of MapForReading, kBadLayout.
Status AttachSegment(int file, uint64_t bytes, uint64_t bytes_max, SegmentKind kind, Mapping* mapping,
                     std::vector<RingPlace>* rings);

/// Creates one segment of an arena: `bytes` (rounded up to whole pages) of blocks and a header, in memory whose pages can
/// be given back. `lent` is a descriptor that can only be mapped to read; no other one is left.
/// Errors: kTooLarge (4 GiB, or no room for a block), kSystem.
Status CreateArenaSegment(uint64_t bytes, Fd* lent, Mapping* mapping);

inline ParkLine* ParkOf(uint8_t* base) { return reinterpret_cast<ParkLine*>(base + kLineBytes); }
inline PulseLine* PulseOf(uint8_t* base) { return reinterpret_cast<PulseLine*>(base + kPulseOffset); }
inline TailLine* TailOf(uint8_t* base, uint32_t lane) {
  return reinterpret_cast<TailLine*>(base + kLanesOffset + lane * kLaneStride);
}
inline HeadLine* HeadOf(uint8_t* base, uint32_t lane) {
  return reinterpret_cast<HeadLine*>(base + kLanesOffset + lane * kLaneStride + kHeadLineOffset);
}

}  // namespace actor_ipc
