// Broadcast: a ring of numbered records with one writer and any number of readers, each at its own pace.
//
// Thread safety: one BroadcastWriter in one thread of one process; any number of BroadcastReaders, each in one thread of
// any process. A reader writes nothing here: where it stands is its own matter, unless the writer is asked to hold.
// Invariants
//  1. A record is visible exactly when the tail has passed it.
//  2. tail - oldest <= capacity, also while a record is being written. `oldest` is moved before the first byte behind it
//     is overwritten, so a reader that has copied a record and then finds `oldest` still not behind it has a whole copy.
//  3. Nothing from the position given to HoldFrom on is overwritten: that is how readers block the writer.
//  4. Sequence numbers are 64 bits, start at 1 and have no gaps: what a reader has missed is a subtraction.
//  5. Positions are 32 bits. Two positions whose turns are less than two apart are compared by subtraction; with two or
//     more between them the elder has been overwritten, since a turn is no shorter than the ring.
//
// In a session with a broadcast, the lane that follows those of the channels carries no records, but these words: the
// reader's HeadLine.head is its cursor, and its TailLine.tail the number of the subscription that the cursor belongs to;
// the writer's TailLine.tail is the number of the last subscription that it has dropped.
//
// src/transport/broadcast-ring.ts is the same for JavaScript; test/transport/broadcast-ring.test.ts runs one against the
// other.
#pragma once

#include <atomic>
#include <cstdint>
#include <cstring>
#include <vector>

#include "os/status.h"
#include "shm/layout.h"

namespace actor_ipc {

/// A place in a broadcast where a reader may begin.
struct BroadcastPlace {
  uint32_t position = 0;
  uint32_t turn = 0;
  /// Of the record there.
  uint64_t sequence = 0;
};

namespace internal {

// A reader may copy bytes that are being overwritten, and throws the copy away then; so each access is atomic.
// SYNC overwrite-visible: a reader that has loaded a word of a later record also sees the `oldest` that was stored before
// it, because the stores release and the loads acquire.
inline void StoreBytes(uint8_t* to, const uint8_t* from, uint32_t bytes) {
  for (uint32_t at = 0; at < bytes; at += 4) {
    uint32_t word = 0;
    memcpy(&word, from + at, bytes - at < 4 ? bytes - at : 4);
    reinterpret_cast<Word*>(to + at)->store(word, std::memory_order_release);
  }
}
inline void LoadBytes(uint8_t* to, const uint8_t* from, uint32_t bytes) {
  for (uint32_t at = 0; at < bytes; at += 4) {
    const uint32_t word = reinterpret_cast<const Word*>(from + at)->load(std::memory_order_acquire);
    memcpy(to + at, &word, bytes - at < 4 ? bytes - at : 4);
  }
}

/// The turn of a position that is at most a ring behind one in `turn`.
constexpr uint32_t TurnOf(uint32_t position, uint32_t turn) {
  return turn - ((turn - (position >> kTurnBits)) & ((1u << (32 - kTurnBits)) - 1));
}

}  // namespace internal

class BroadcastWriter {
 public:
  /// `line` and `ring` in our own segment, before anybody else has it.
  BroadcastWriter(TailLine* line, uint8_t* ring, uint32_t capacity)
      : line_(line), ring_(ring), capacity_(capacity), tail_(line->tail.load(std::memory_order_relaxed)),
        oldest_{tail_, tail_ >> kTurnBits, 1}, turn_(tail_ >> kTurnBits) {
    line->oldest.store(tail_, std::memory_order_relaxed);
    line->turn.store(turn_, std::memory_order_relaxed);
  }

  /// From here on nothing is overwritten. REQUIRES: not behind `oldest`.
  void HoldFrom(uint32_t position) {
    holds_ = true;
    held_ = position;
  }
  void HoldNothing() { holds_ = false; }

  /// Copies one record into the ring, over the oldest ones; Publish makes it visible, and comes before the next Write:
  /// readers take an `oldest` behind the tail for a lie.
  /// Errors: kAgain (what is held leaves no room), kTooLarge.
  Status Write(uint32_t kind, uint32_t flags, const uint8_t* payload, uint32_t bytes) {
    if (bytes > BroadcastPayloadMax(capacity_)) return Status::Of(Code::kTooLarge, "record");
    const uint32_t total = BroadcastRecordBytes(bytes);
    const uint32_t at = tail_ & (capacity_ - 1);
    const uint32_t to_end = capacity_ - at;
    const uint32_t needed = total <= to_end ? total : to_end + total;
    if (holds_ && tail_ - held_ + needed > capacity_) return Status::Of(Code::kAgain, "ring held");
    MakeRoom(needed);
    if (total > to_end) {
      Put(at, to_end - static_cast<uint32_t>(sizeof(BroadcastHeader)), kWrapKind);
      tail_ += to_end;
    }
    const uint32_t start = tail_ & (capacity_ - 1);
    Put(start, bytes, kind | flags << 8);
    internal::StoreBytes(ring_ + start + sizeof(BroadcastHeader), payload, bytes);
    tail_ += total;
    sequence_++;
    return Status::Ok();
  }

  /// Makes everything written so far visible. The load of the readers' park words that follows must not overtake it (SYNC
  /// park-or-ring in shm/park.h).
  void Publish() { line_->tail.store(tail_, std::memory_order_seq_cst); }

  /// Behind the newest record.
  BroadcastPlace End() const { return {tail_, internal::TurnOf(tail_, turn_), sequence_}; }
  BroadcastPlace Oldest() const { return oldest_; }

 private:
  void MakeRoom(uint32_t needed) {
    const uint32_t before = oldest_.position;
    while (tail_ - oldest_.position + needed > capacity_) {
      BroadcastHeader header;
      memcpy(&header, ring_ + (oldest_.position & (capacity_ - 1)), sizeof header);
      oldest_.position += BroadcastRecordBytes(header.bytes);
      if (header.mark != kWrapKind) oldest_.sequence++;
    }
    const uint32_t end = tail_ + needed;
    if (oldest_.position != before) line_->oldest.store(oldest_.position, std::memory_order_seq_cst);
    if (end >> kTurnBits != tail_ >> kTurnBits) line_->turn.store(++turn_, std::memory_order_seq_cst);
    oldest_.turn = internal::TurnOf(oldest_.position, turn_);
  }

  void Put(uint32_t at, uint32_t bytes, uint32_t mark) {
    const BroadcastHeader header{bytes, mark, {static_cast<uint32_t>(sequence_), static_cast<uint32_t>(sequence_ >> 32)}};
    internal::StoreBytes(ring_ + at, reinterpret_cast<const uint8_t*>(&header), sizeof header);
  }

  TailLine* line_;
  uint8_t* ring_;
  uint32_t capacity_;
  uint32_t tail_;
  BroadcastPlace oldest_;
  uint32_t turn_;
  uint32_t held_ = 0;
  bool holds_ = false;
  /// Of the next record.
  uint64_t sequence_ = 1;
};

struct BroadcastRecord {
  uint32_t kind = 0;
  uint32_t flags = 0;
  uint64_t sequence = 0;
  /// Records that this reader has missed just before this one.
  uint64_t gap = 0;
  /// The reader's own copy, valid until the next Read.
  const uint8_t* payload = nullptr;
  uint32_t bytes = 0;
};

class BroadcastReader {
 public:
  BroadcastReader(const TailLine* line, const uint8_t* ring, uint32_t capacity, BroadcastPlace first)
      : line_(line), ring_(ring), capacity_(capacity), head_(first), tail_(first.position) {}

  /// The next record that is still whole. Errors: kAgain (none now), kBadLayout (the writer's memory makes no sense).
  Status Read(BroadcastRecord* record) {
    for (int tries = kCatchUpTries; !broken_ && tries > 0; tries--) {
      if (head_.position == tail_ && !Available()) return broken_ ? Broken() : Status::Of(Code::kAgain, "nothing new");
      BroadcastHeader header;
      const uint32_t at = head_.position & (capacity_ - 1);
      internal::LoadBytes(reinterpret_cast<uint8_t*>(&header), ring_ + at, sizeof header);
      const uint32_t left = tail_ - head_.position;
      const bool fits = header.bytes <= left && BroadcastRecordBytes(header.bytes) <= left &&
                        at + BroadcastRecordBytes(header.bytes) <= capacity_;
      const bool wraps = header.mark == kWrapKind;
      if (fits && !wraps) {
        copy_.resize(header.bytes);
        internal::LoadBytes(copy_.data(), ring_ + at + sizeof header, header.bytes);
      }
      // SYNC overwrite-visible: only what was whole after the copy counts.
      if (Lapped()) {
        if (!CatchUp()) return Status::Of(Code::kAgain, "the oldest record is being written");
        continue;
      }
      const uint64_t sequence = header.sequence[0] | uint64_t{header.sequence[1]} << 32;
      if (!fits || sequence != head_.sequence || (wraps && at + BroadcastRecordBytes(header.bytes) != capacity_)) {
        broken_ = true;
        break;
      }
      Advance(BroadcastRecordBytes(header.bytes));
      if (wraps) continue;
      head_.sequence++;
      *record = BroadcastRecord{header.mark & 0xff, header.mark >> 8 & 0xff, sequence, missed_, copy_.data(),
                                header.bytes};
      missed_ = 0;
      return Status::Ok();
    }
    return broken_ ? Broken() : Status::Of(Code::kAgain, "the writer is always ahead");
  }

  /// Where the next record is read: the cursor that a blocking reader tells its writer.
  uint32_t position() const { return head_.position; }

 private:
  /// Whether there is a record, or one has been missed.
  bool Available() {
    // SYNC record-visible, as in shm/lane.h.
    const uint32_t tail = line_->tail.load(std::memory_order_seq_cst);
    if (Lapped()) {
      if (!CatchUp()) return false;
      return head_.position != tail_;
    }
    if (tail - head_.position > capacity_ || tail % kBroadcastAlign != 0) return BreakHere();
    tail_ = tail;
    return tail_ != head_.position;
  }

  bool Lapped() const {
    const uint32_t oldest = line_->oldest.load(std::memory_order_seq_cst);
    const uint32_t turn = line_->turn.load(std::memory_order_seq_cst);
    if (turn - head_.turn >= 2) return true;
    return static_cast<int32_t>(oldest - head_.position) > 0;
  }

  /// Goes on with the oldest record that is whole. False while there is none that stays: the writer is in the middle of
  /// a record then, and rings when that is there.
  bool CatchUp() {
    for (int tries = kCatchUpTries; tries > 0; tries--) {
      const uint32_t turn = line_->turn.load(std::memory_order_seq_cst);
      BroadcastPlace place;
      place.position = line_->oldest.load(std::memory_order_seq_cst);
      if (turn != line_->turn.load(std::memory_order_seq_cst)) continue;
      place.turn = internal::TurnOf(place.position, turn);
      // First: a header that begins between two places could end behind the ring.
      if (place.position % kBroadcastAlign != 0 || turn - place.turn >= 2) return BreakHere();
      const uint32_t tail = line_->tail.load(std::memory_order_seq_cst);
      if (tail == place.position) {
        tail_ = head_.position;
        return false;
      }
      BroadcastHeader header;
      internal::LoadBytes(reinterpret_cast<uint8_t*>(&header), ring_ + (place.position & (capacity_ - 1)), sizeof header);
      if (line_->oldest.load(std::memory_order_seq_cst) != place.position ||
          line_->turn.load(std::memory_order_seq_cst) != turn)
        continue;
      place.sequence = header.sequence[0] | uint64_t{header.sequence[1]} << 32;
      if (tail - place.position > capacity_ || place.sequence < head_.sequence) return BreakHere();
      missed_ += place.sequence - head_.sequence;
      head_ = place;
      tail_ = tail;
      return true;
    }
    tail_ = head_.position;
    return false;
  }

  void Advance(uint32_t bytes) {
    const uint32_t next = head_.position + bytes;
    if (next >> kTurnBits != head_.position >> kTurnBits) head_.turn++;
    head_.position = next;
  }

  bool BreakHere() {
    broken_ = true;
    tail_ = head_.position;
    return false;
  }
  static Status Broken() { return Status::Of(Code::kBadLayout, "record"); }

  /// A writer that lies could have us try for ever. One that is always ahead publishes, and so wakes us again.
  static constexpr int kCatchUpTries = 1000;

  const TailLine* line_;
  const uint8_t* ring_;
  uint32_t capacity_;
  BroadcastPlace head_;
  uint32_t tail_;
  uint64_t missed_ = 0;
  bool broken_ = false;
  std::vector<uint8_t> copy_;
};

}  // namespace actor_ipc
