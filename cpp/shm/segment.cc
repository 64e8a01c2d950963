#include "shm/segment.h"

#include <new>
#include <utility>

namespace actor_ipc {

namespace {

constexpr uint64_t RoundUp(uint64_t value, uint64_t unit) { return (value + unit - 1) / unit * unit; }

uint64_t RingsOffset(size_t lane_count) { return kLanesOffset + uint64_t{lane_count} * kLaneStride; }

}  // namespace

bool IsRingCapacity(uint32_t capacity) {
  return capacity >= kRingBytesMin && capacity <= kRingBytesMax && (capacity & (capacity - 1)) == 0;
}

uint64_t SegmentBytes(const std::vector<uint32_t>& capacities) {
  uint64_t bytes = RingsOffset(capacities.size());
  for (uint32_t capacity : capacities) bytes += RoundUp(capacity, kLineBytes);
  return RoundUp(bytes, PageBytes());
}

Status CreateSegment(SegmentKind kind, const std::vector<uint32_t>& capacities, uint32_t first_position, Fd* file,
                     Mapping* mapping) {
  if (capacities.size() > kLanesMax) return Status::Of(Code::kTooLarge, "lanes of a segment");
  for (uint32_t capacity : capacities)
    if (!IsRingCapacity(capacity)) return Status::Of(Code::kTooLarge, "ring capacity");
  const uint64_t bytes = SegmentBytes(capacities);
  // Offsets are 32-bit.
  if (bytes > UINT32_MAX) return Status::Of(Code::kTooLarge, "segment size");
  Fd owned;
  Mapping mapped;
  if (Status status = CreateMemory("actor-ipc", bytes, Access::kOwnerOnly, &owned, &mapped); !status.ok()) return status;

  auto* header = new (mapped.base()) SegmentHeader{};
  header->kind = static_cast<uint32_t>(kind);
  header->lane_count = static_cast<uint32_t>(capacities.size());
  header->bytes = bytes;
  header->layout_hash = LayoutHash();
  header->magic = kMagic;
  uint64_t offset = RingsOffset(capacities.size());
  for (uint32_t lane = 0; lane < capacities.size(); lane++) {
    TailLine* tail = TailOf(mapped.base(), lane);
    tail->capacity = capacities[lane];
    tail->offset = static_cast<uint32_t>(offset);
    tail->tail.store(first_position, std::memory_order_relaxed);
    HeadOf(mapped.base(), lane)->head.store(first_position, std::memory_order_relaxed);
    offset += RoundUp(capacities[lane], kLineBytes);
  }
  *file = std::move(owned);
  *mapping = std::move(mapped);
  return Status::Ok();
}

Status CreateArenaSegment(uint64_t bytes, Fd* lent, Mapping* mapping) {
  // Offsets are 32-bit, and so is the largest buffer of JavaScript.
  if (bytes > UINT32_MAX - PageBytes() || bytes <= kLineBytes) return Status::Of(Code::kTooLarge, "segment size");
  const uint64_t whole = RoundUp(bytes, PageBytes());
  Fd owned;
  Fd reading;
  Mapping mapped;
  if (Status status = CreateMemory("actor-ipc-arena", whole, Access::kShared, &owned, &mapped); !status.ok())
    return status;
  if (Status status = OpenForReading(owned.get(), &reading); !status.ok()) return status;
  auto* header = new (mapped.base()) SegmentHeader{};
  header->kind = static_cast<uint32_t>(SegmentKind::kArena);
  header->bytes = whole;
  header->layout_hash = LayoutHash();
  header->magic = kMagic;
  *lent = std::move(reading);
  *mapping = std::move(mapped);
  return Status::Ok();
}

Status AttachSegment(int file, uint64_t bytes, uint64_t bytes_max, SegmentKind kind, Mapping* mapping,
                     std::vector<RingPlace>* rings) {
  Mapping mapped;
  if (Status status = MapForReading(file, bytes, bytes_max, &mapped); !status.ok()) return status;
  if (bytes < kLanesOffset) return Status::Of(Code::kBadLayout, "segment header");
  const auto* header = reinterpret_cast<const SegmentHeader*>(mapped.base());
  const uint32_t lane_count = header->lane_count;
  if (header->magic != kMagic || header->layout_hash != LayoutHash())
    return Status::Of(Code::kBadLayout, "made by another version of the layout");
  if (header->kind != static_cast<uint32_t>(kind) || header->bytes != bytes)
    return Status::Of(Code::kBadLayout, "segment header");
  if (lane_count > kLanesMax || RingsOffset(lane_count) > bytes) return Status::Of(Code::kBadLayout, "lane count");
  std::vector<RingPlace> places(lane_count);
  for (uint32_t lane = 0; lane < lane_count; lane++) {
    const TailLine* tail = TailOf(mapped.base(), lane);
    const RingPlace place{tail->offset, tail->capacity};
    if (!IsRingCapacity(place.capacity) || place.offset % kRecordAlign != 0 || place.offset < RingsOffset(lane_count) ||
        uint64_t{place.offset} + place.capacity > bytes)
      return Status::Of(Code::kBadLayout, "ring of a lane");
    places[lane] = place;
  }
  *mapping = std::move(mapped);
  *rings = std::move(places);
  return Status::Ok();
}

}  // namespace actor_ipc
