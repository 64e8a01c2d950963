// LaneEnds: both sides of one lane in one process, each side's segment mapped twice as it would be in two processes.
#pragma once

#include <cstdint>
#include <vector>

#include "doctest/doctest.h"
#include "os/fd.h"
#include "os/memory.h"
#include "shm/lane.h"
#include "shm/layout.h"
#include "shm/segment.h"

namespace actor_ipc {

struct LaneEnds {
  uint32_t capacity;
  Fd writer_file;
  Fd reader_file;
  Mapping writer_own;
  Mapping reader_own;
  Mapping writer_seen;  // The writer's segment, as the reader maps it.
  Mapping reader_seen;  // The reader's segment, as the writer maps it.
  std::vector<RingPlace> rings;

  explicit LaneEnds(uint32_t capacity, uint32_t first_position = 0) : capacity(capacity) {
    REQUIRE(CreateSegment(SegmentKind::kSession, {capacity}, first_position, &writer_file, &writer_own).ok());
    REQUIRE(CreateSegment(SegmentKind::kSession, {capacity}, first_position, &reader_file, &reader_own).ok());
    for (const auto& [file, seen] : {std::pair{&writer_file, &writer_seen}, {&reader_file, &reader_seen}})
      REQUIRE(AttachSegment(file->get(), writer_own.bytes(), UINT32_MAX, SegmentKind::kSession, seen, &rings).ok());
  }

  LaneWriter Writer() const {
    return LaneWriter(Tail(), HeadOf(reader_seen.base(), 0), Ring(), capacity);
  }
  LaneReader Reader() const {
    return LaneReader(TailOf(writer_seen.base(), 0), Head(), writer_seen.base() + rings[0].offset, capacity);
  }

  /// What the writer's process can write, for tests of a writer that lies.
  TailLine* Tail() const { return TailOf(writer_own.base(), 0); }
  uint8_t* Ring() const { return writer_own.base() + rings[0].offset; }
  RecordHeader* Header(uint32_t position) const {
    return reinterpret_cast<RecordHeader*>(Ring() + (position & (capacity - 1)));
  }
  /// What the reader's process can write.
  HeadLine* Head() const { return HeadOf(reader_own.base(), 0); }
};

}  // namespace actor_ipc
