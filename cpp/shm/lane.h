// Lane: a single-producer single-consumer ring of byte records between two processes.
//
// Thread safety: one LaneWriter in one thread of one process, one LaneReader in one thread of another (or the same).
// Invariants
//  1. A record is visible exactly when the tail has passed it: a writer that is killed before its one store of the tail
//     has written nothing, one that is killed after it has written everything.
//  2. tail - head <= capacity, both multiples of kRecordAlign. The reader checks this of every tail that it loads, since
//     the writer's memory is input; Read answers kBadLayout and the lane is not used again.
//  3. Records are contiguous. What is left at the end of the ring is filled by a wrap record, which Read never returns.
//  4. Sequence numbers are 16 bits, start at 1 and have no gaps.
//
// src/transport/lane.ts is the same lane for JavaScript; test/transport/lane.test.ts runs one against the other.
#pragma once

#include <atomic>
#include <cstdint>
#include <cstring>

#include "os/status.h"
#include "shm/crash_point.h"
#include "shm/layout.h"

namespace actor_ipc {

constexpr uint32_t RecordMark(uint32_t kind, uint32_t flags, uint32_t sequence) {
  return kind | flags << 8 | sequence << 16;
}

class LaneWriter {
 public:
  /// `tail` in our own segment, `head` in the reader's. REQUIRES: both start at the same position.
  LaneWriter(TailLine* tail, const HeadLine* head, uint8_t* ring, uint32_t capacity)
      : tail_line_(tail), head_line_(head), ring_(ring), capacity_(capacity),
        tail_(tail->tail.load(std::memory_order_relaxed)), head_(tail_) {}

  /// Copies one record into the ring; Publish makes it visible. Errors: kAgain (no room now), kTooLarge.
  Status Write(uint32_t kind, uint32_t flags, const uint8_t* payload, uint32_t bytes) {
    if (bytes > PayloadBytesMax(capacity_)) return Status::Of(Code::kTooLarge, "record");
    const uint32_t total = RecordBytes(bytes);
    const uint32_t at = tail_ & (capacity_ - 1);
    const uint32_t to_end = capacity_ - at;
    const uint32_t needed = total <= to_end ? total : to_end + total;
    if (!HasRoom(needed)) return Status::Of(Code::kAgain, "ring full");
    if (total > to_end) {
      Put(at, to_end - static_cast<uint32_t>(sizeof(RecordHeader)), RecordMark(kWrapKind, 0, 0));
      tail_ += to_end;
      CRASH_POINT("lane.write: wrap written");
    }
    const uint32_t start = tail_ & (capacity_ - 1);
    sequence_ = (sequence_ + 1) & 0xffff;
    Put(start, bytes, RecordMark(kind, flags, sequence_));
    CRASH_POINT("lane.write: header written");
    if (bytes > 0) memcpy(ring_ + start + sizeof(RecordHeader), payload, bytes);
    tail_ += total;
    CRASH_POINT("lane.write: payload written");
    return Status::Ok();
  }

  /// Makes everything written so far visible, in one store.
  void Publish() {
    // SYNC record-visible: pairs with the load in LaneReader::Available. Sequentially consistent because the load of the
    // reader's park word that follows must not overtake it (SYNC park-or-ring in shm/park.h).
    CRASH_POINT("lane.publish: before the store");
    tail_line_->tail.store(tail_, std::memory_order_seq_cst);
    CRASH_POINT("lane.publish: after the store");
  }

  /// Bytes that are written but not yet taken by the reader, as far as we know.
  uint32_t Unread() const { return tail_ - head_line_->head.load(std::memory_order_acquire); }

 private:
  bool HasRoom(uint32_t needed) {
    if (capacity_ - (tail_ - head_) >= needed) return true;
    // SYNC room-visible: pairs with the store in LaneReader::Release.
    const uint32_t head = head_line_->head.load(std::memory_order_seq_cst);
    CRASH_POINT("lane.write: head loaded");
    // A head that runs ahead of the tail or back is a lie; trusting it could only overwrite what the liar has not read.
    if (tail_ - head > capacity_) return false;
    head_ = head;
    return capacity_ - (tail_ - head_) >= needed;
  }

  void Put(uint32_t at, uint32_t bytes, uint32_t mark) {
    const RecordHeader header{bytes, mark};
    memcpy(ring_ + at, &header, sizeof header);
  }

  TailLine* tail_line_;
  const HeadLine* head_line_;
  uint8_t* ring_;
  uint32_t capacity_;
  uint32_t tail_;
  uint32_t head_;
  uint32_t sequence_ = 0;
};

struct Record {
  uint32_t kind = 0;
  uint32_t flags = 0;
  const uint8_t* payload = nullptr;
  uint32_t bytes = 0;
};

class LaneReader {
 public:
  /// `tail` and `ring` in the writer's segment, `head` in our own. REQUIRES: both start at the same position.
  LaneReader(const TailLine* tail, HeadLine* head, const uint8_t* ring, uint32_t capacity)
      : tail_line_(tail), head_line_(head), ring_(ring), capacity_(capacity),
        head_(head->head.load(std::memory_order_relaxed)), tail_(head_) {}

  /// The next record, valid until Release. Errors: kAgain (none now), kBadLayout (the writer's memory makes no sense).
  Status Read(Record* record) {
    // A writer that has made no sense once is not believed again, even if it mends its memory.
    if (broken_) return Broken();
    for (;;) {
      if (head_ == tail_ && !Available()) return broken_ ? Broken() : Status::Of(Code::kAgain, "ring empty");
      const uint32_t at = head_ & (capacity_ - 1);
      // Read once into a local: the writer may change it under our eyes.
      RecordHeader header;
      memcpy(&header, ring_ + at, sizeof header);
      CRASH_POINT("lane.read: header read");
      const uint32_t left = tail_ - head_;
      if (header.bytes > left || RecordBytes(header.bytes) > left || at + RecordBytes(header.bytes) > capacity_)
        return Break();
      const uint32_t kind = header.mark & 0xff;
      if (kind == kWrapKind) {
        if (at + RecordBytes(header.bytes) != capacity_) return Break();
        head_ += RecordBytes(header.bytes);
        continue;
      }
      sequence_ = (sequence_ + 1) & 0xffff;
      if (header.mark >> 16 != sequence_) return Break();
      *record = Record{kind, header.mark >> 8 & 0xff, ring_ + at + sizeof header, header.bytes};
      head_ += RecordBytes(header.bytes);
      CRASH_POINT("lane.read: record taken");
      return Status::Ok();
    }
  }

  /// Gives the room of everything read so far back to the writer.
  void Release() {
    // SYNC room-visible: pairs with the load in LaneWriter::HasRoom. The load of the writer's WANT word that follows must
    // not overtake it.
    CRASH_POINT("lane.release: before the store");
    head_line_->head.store(head_, std::memory_order_seq_cst);
    CRASH_POINT("lane.release: after the store");
  }

  bool WriterWantsRoom() const { return tail_line_->want.load(std::memory_order_seq_cst) != 0; }

 private:
  bool Available() {
    // SYNC record-visible: pairs with the store in LaneWriter::Publish.
    const uint32_t tail = tail_line_->tail.load(std::memory_order_seq_cst);
    CRASH_POINT("lane.read: tail loaded");
    if (tail - head_ > capacity_ || tail % kRecordAlign != 0) {
      broken_ = true;
      return false;
    }
    tail_ = tail;
    return tail_ != head_;
  }

  Status Break() {
    broken_ = true;
    tail_ = head_;
    return Broken();
  }
  static Status Broken() { return Status::Of(Code::kBadLayout, "record"); }

  const TailLine* tail_line_;
  HeadLine* head_line_;
  const uint8_t* ring_;
  uint32_t capacity_;
  uint32_t head_;
  uint32_t tail_;
  uint32_t sequence_ = 0;
  bool broken_ = false;
};

}  // namespace actor_ipc
