// Journal: makes the changes of one call under the lock happen as a whole or not at all, whenever its process dies.
//
// Thread safety: for the holder of the region's lock.
// Before a word is changed, its place and its value are written into the region. Commit is one store: killed before it,
// the next holder of the lock puts all old values back; killed after it, the call has happened.
// Invariants
//  1. An entry is complete before it counts, and counts before its word changes.
//  2. Putting back stores what the entries say, from the last to the first, and forgets them in one store at its end. So
//     whoever is killed while he puts back can be followed by another who begins again.
// A process that is killed stops between two instructions, so what matters is the order in which its stores stand in the
// program. All stores here are release stores, which the compiler moves before nothing that precedes them.
#pragma once

#include <cstdint>

#include "os/status.h"
#include "shm/crash_point.h"
#include "shm/region_layout.h"

namespace actor_ipc {

class Journal {
 public:
  /// `base` is the start of a region of `bytes`.
  Journal(uint8_t* base, uint64_t bytes)
      : words_(reinterpret_cast<Word*>(base)), word_count_(bytes / sizeof(Word)),
        line_(reinterpret_cast<JournalLine*>(base + kJournalOffset)) {}

  /// Whether there is anything to commit or to put back.
  bool Pending() const { return line_->count.load(std::memory_order_relaxed) != 0 || full_; }

  /// Forgets what we knew of it: the lock has been in other hands.
  void Begin() {
    count_ = 0;
    full_ = false;
  }

  void Set(Word* word, uint32_t value) {
    const uint32_t before = word->load(std::memory_order_relaxed);  // Relaxed: the lock orders all of it.
    if (before == value) return;
    // Own memory of the count: a word that others may write is no index.
    if (count_ == kJournalEntries) full_ = true;
    if (full_) return;
    JournalEntry& entry = line_->entries[count_];
    entry.place.store(static_cast<uint32_t>(word - words_), std::memory_order_release);
    entry.before.store(before, std::memory_order_release);
    CRASH_POINT("journal.written");
    line_->count.store(++count_, std::memory_order_release);
    CRASH_POINT("journal.counted");
    word->store(value, std::memory_order_release);
    CRASH_POINT("journal.changed");
  }

  void Set64(Word64* number, uint64_t value) {
    Set(&number->low, static_cast<uint32_t>(value));
    Set(&number->high, static_cast<uint32_t>(value >> 32));
  }

  /// Everything since the last commit has happened. Errors: kBadLayout (too much at once; it is to be put back).
  Status Commit() {
    if (full_) return Status::Of(Code::kBadLayout, "journal");
    CRASH_POINT("journal.committing");
    if (count_ != 0) line_->count.store(0, std::memory_order_release);
    CRASH_POINT("journal.committed");
    count_ = 0;
    return Status::Ok();
  }

  /// Nothing since the last commit has happened, whoever did it. Errors: kBadLayout (what stands there is no journal).
  Status PutBack() {
    const uint32_t count = line_->count.load(std::memory_order_relaxed);
    if (count > kJournalEntries) return Status::Of(Code::kBadLayout, "journal");
    for (uint32_t i = count; i > 0; i--) {
      const JournalEntry& entry = line_->entries[i - 1];
      const uint32_t place = entry.place.load(std::memory_order_relaxed);
      if (place >= word_count_) return Status::Of(Code::kBadLayout, "journal");
      words_[place].store(entry.before.load(std::memory_order_relaxed), std::memory_order_release);
      CRASH_POINT("journal.put-back");
    }
    line_->count.store(0, std::memory_order_release);
    CRASH_POINT("journal.forgotten");
    count_ = 0;
    full_ = false;
    return Status::Ok();
  }

 private:
  Word* words_;
  uint64_t word_count_;
  JournalLine* line_;
  uint32_t count_ = 0;
  bool full_ = false;
};

}  // namespace actor_ipc
