// Layout: what stands where in a segment of shared memory. The one home of these numbers; the addon exports them and
// TypeScript reads them, so neither language can drift.
//
//   line 0          SegmentHeader   constant once the segment has been handed out
//   line 1          ParkLine        the owner, as a receiver: asleep or awake
//   line 2          PulseLine       the owner's signs of life
//   lines 3 ...     lane_count x { TailLine, HeadLine }
//   then            the rings of the lanes, each at its TailLine.offset
//
// A segment of an arena has line 0, and then blocks: a BlockHeader and the bytes of its value, each at a multiple of
// kBlockAlign.
//
// Single writer: every word of a segment is written by the process that created it, and by nobody else. What belongs to
// a lane but is written by its reader (the head) stands in the reader's own segment, at the same lane index.
// A broadcast is a segment with one lane that many map; the cursor of each reader, and what the writer has to say to that
// reader alone, stand in a lane of their session that carries no records (see shm/broadcast.h).
// Fields share a line only with fields that the same side writes at the same pace.
// Positions are 32-bit byte counters that wrap; they are compared by subtraction.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace actor_ipc {

/// Two cache lines: the prefetcher of current x86-64 processors fetches them in pairs.
inline constexpr uint32_t kLineBytes = 128;
inline constexpr uint32_t kMagic = 0x43504941;  // "AIPC"
inline constexpr uint32_t kLayoutVersion = 2;
inline constexpr uint32_t kLanesMax = 256;
/// Blocks of an arena begin at a cache line of their own.
inline constexpr uint32_t kBlockAlign = 64;
inline constexpr uint32_t kRingBytesMin = 1024;
inline constexpr uint32_t kRingBytesMax = 1u << 30;

using Word = std::atomic<uint32_t>;
static_assert(Word::is_always_lock_free && sizeof(Word) == 4, "must work between processes");

enum class SegmentKind : uint32_t { kSession = 1, kChannel = 2, kRecorder = 3, kArena = 4, kBroadcast = 5 };

struct alignas(kLineBytes) SegmentHeader {
  uint32_t magic;
  uint32_t layout_hash;
  uint32_t kind;
  uint32_t lane_count;
  uint64_t bytes;
};

struct alignas(kLineBytes) ParkLine {
  /// epoch << 1 | parked. The owner raises the epoch at each sleep; a sender rings once per value that is odd.
  Word park;
};

struct alignas(kLineBytes) PulseLine {
  /// Raised by the owner's keep-alive thread, at the latest every `interval_ms`.
  Word beat;
  /// 0: the owner gives no sign of life (yet), so that its silence means nothing.
  Word interval_ms;
  /// Since when the owner's event loop has not answered that thread, in milliseconds of CLOCK_MONOTONIC as 32 bits that wrap,
  /// the lowest one set; 0 while it turns or waits.
  Word stalled_since;
};

/// Written by the owner as the sender of this lane.
struct alignas(kLineBytes) TailLine {
  Word tail;
  /// 1 while the sender waits for room: the reader then rings after it has moved its head.
  Word want;
  uint32_t capacity;
  /// First byte of the ring, counted from the start of the segment.
  uint32_t offset;
  /// Of a broadcast only: the oldest record that is whole. Moved before the bytes behind it are overwritten.
  Word oldest;
  /// Of a broadcast only: how many times the writer has passed kTurnBytes. Moved together with `oldest`. Without it, a
  /// reader that slept through 2^32 bytes would take a new record for the next one.
  Word turn;
};

/// Written by the owner as the reader of the peer's lane of the same index.
struct alignas(kLineBytes) HeadLine {
  Word head;
};

/// In front of each block of an arena, written by the owner, so that a reader can tell a stale or false reference. The
/// owner itself never reads it: its book-keeping is in its private memory.
struct alignas(kBlockAlign) BlockHeader {
  /// New for each use of the memory; 0 when the block is free.
  uint32_t generation;
  /// Where the value begins, counted from the end of this header, and how long it is.
  uint32_t start;
  uint32_t bytes;
};

static_assert(sizeof(BlockHeader) == kBlockAlign);
static_assert(sizeof(SegmentHeader) == kLineBytes && sizeof(ParkLine) == kLineBytes);
static_assert(sizeof(PulseLine) == kLineBytes && sizeof(TailLine) == kLineBytes && sizeof(HeadLine) == kLineBytes);

inline constexpr uint32_t kParkOffset = 1 * kLineBytes + offsetof(ParkLine, park);
inline constexpr uint32_t kPulseOffset = 2 * kLineBytes;
inline constexpr uint32_t kLanesOffset = 3 * kLineBytes;
inline constexpr uint32_t kLaneStride = 2 * kLineBytes;
inline constexpr uint32_t kHeadLineOffset = kLineBytes;

/// The header of a record in a ring: a length in bytes, then kind | flags << 8 | sequence << 16.
struct RecordHeader {
  uint32_t bytes;
  uint32_t mark;
};
static_assert(sizeof(RecordHeader) == 8);

inline constexpr uint32_t kRecordAlign = 8;
/// The kind of a record that only fills the end of a ring. The other kinds belong to those who use the lane.
inline constexpr uint32_t kWrapKind = 1;

constexpr uint32_t RecordBytes(uint32_t payload) {
  return (static_cast<uint32_t>(sizeof(RecordHeader)) + payload + kRecordAlign - 1) & ~(kRecordAlign - 1);
}

/// The header of a record of a broadcast: as above, but with a sequence number of 64 bits, since it counts what a reader
/// has missed. Low half first.
struct BroadcastHeader {
  uint32_t bytes;
  uint32_t mark;
  uint32_t sequence[2];
};
static_assert(sizeof(BroadcastHeader) == 16);

/// As large as the header, so that what is left at the end of a ring always holds one.
inline constexpr uint32_t kBroadcastAlign = 16;
/// At least the largest ring, so that positions less than two turns apart can be compared by subtraction.
inline constexpr uint32_t kTurnBits = 30;
static_assert(1u << kTurnBits >= kRingBytesMax);

constexpr uint32_t BroadcastRecordBytes(uint32_t payload) {
  return (static_cast<uint32_t>(sizeof(BroadcastHeader)) + payload + kBroadcastAlign - 1) & ~(kBroadcastAlign - 1);
}
constexpr uint32_t BroadcastPayloadMax(uint32_t capacity) {
  return capacity / 2 - static_cast<uint32_t>(sizeof(BroadcastHeader));
}

/// A record takes at most half of its ring: so it fits an empty ring wherever the positions stand.
constexpr uint32_t PayloadBytesMax(uint32_t capacity) {
  return capacity / 2 - static_cast<uint32_t>(sizeof(RecordHeader));
}

namespace internal {
constexpr uint32_t Fold(uint32_t hash, uint32_t value) {
  for (int i = 0; i < 4; i++) hash = (hash ^ ((value >> (8 * i)) & 0xff)) * 16777619u;
  return hash;
}
}  // namespace internal

/// Changes whenever a number above does; two processes with different hashes never map each other's segments.
constexpr uint32_t LayoutHash() {
  uint32_t hash = 2166136261u;
  for (uint32_t value :
       {kLayoutVersion, kLineBytes, static_cast<uint32_t>(offsetof(SegmentHeader, kind)),
        static_cast<uint32_t>(offsetof(SegmentHeader, lane_count)), static_cast<uint32_t>(offsetof(SegmentHeader, bytes)),
        kParkOffset, kPulseOffset, static_cast<uint32_t>(offsetof(PulseLine, interval_ms)),
        static_cast<uint32_t>(offsetof(PulseLine, stalled_since)), kLanesOffset, kLaneStride,
        static_cast<uint32_t>(offsetof(TailLine, want)), static_cast<uint32_t>(offsetof(TailLine, capacity)),
        static_cast<uint32_t>(offsetof(TailLine, offset)), kHeadLineOffset, static_cast<uint32_t>(sizeof(RecordHeader)),
        kRecordAlign, kWrapKind, kBlockAlign, static_cast<uint32_t>(offsetof(BlockHeader, generation)),
        static_cast<uint32_t>(offsetof(BlockHeader, start)), static_cast<uint32_t>(offsetof(BlockHeader, bytes)),
        static_cast<uint32_t>(offsetof(TailLine, oldest)),
        static_cast<uint32_t>(offsetof(TailLine, turn)), static_cast<uint32_t>(sizeof(BroadcastHeader)),
        static_cast<uint32_t>(offsetof(BroadcastHeader, sequence)), kBroadcastAlign, kTurnBits})
    hash = internal::Fold(hash, value);
  // A byte order of its own gives a hash of its own.
  return __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? hash : ~hash;
}

}  // namespace actor_ipc
