// Journal: makes the changes of one call under the lock happen as a whole or not at all, whenever its process dies.
//
// Thread safety: for the holder of the region's lock.
// Before a word is changed, its place and its value are written into the region. Commit is one store: killed before it,
// the next holder of the lock puts all old values back; killed after it, the call has happened.
// Where others read without the lock, what makes a change visible to them must not be put back any more: Publish is a
// commit that is followed by the stores of such words, and whoever gets the lock of a dead holder makes up for them.
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
  /// `base` is the start of a region of `bytes`, `place` where its JournalLine is.
  Journal(uint8_t* base, uint64_t bytes, uint64_t place = kJournalOffset)
      : words_(reinterpret_cast<Word*>(base)), word_count_(bytes / sizeof(Word)),
        line_(reinterpret_cast<JournalLine*>(base + place)) {}

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
    if (count_ == kJournalEntries - kPublishedWords) full_ = true;
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

  /// The same, and then `one` and `other` are stored, whatever happens to this process. Errors: as Commit.
  Status Publish(Word* one, uint32_t one_value, Word* other, uint32_t other_value) {
    if (full_) return Status::Of(Code::kBadLayout, "journal");
    JournalEntry* last = line_->entries + kJournalEntries - kPublishedWords;
    last[0].place.store(static_cast<uint32_t>(one - words_), std::memory_order_release);
    last[0].before.store(one_value, std::memory_order_release);
    last[1].place.store(static_cast<uint32_t>(other - words_), std::memory_order_release);
    last[1].before.store(other_value, std::memory_order_release);
    CRASH_POINT("journal.publishing");
    line_->count.store(kPublishing, std::memory_order_release);
    CRASH_POINT("journal.decided");
    one->store(one_value, std::memory_order_release);
    CRASH_POINT("journal.published");
    other->store(other_value, std::memory_order_release);
    line_->count.store(0, std::memory_order_release);
    CRASH_POINT("journal.committed");
    count_ = 0;
    return Status::Ok();
  }

  /// Nothing since the last commit has happened, whoever did it, unless he had decided to publish it: then all of it has. Errors: kBadLayout (what stands there is no journal).
  Status PutBack() {
    const uint32_t count = line_->count.load(std::memory_order_relaxed);
    if (count == kPublishing) return MakeUp();
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
  /// What was to be published, however much of it was.
  Status MakeUp() {
    const JournalEntry* last = line_->entries + kJournalEntries - kPublishedWords;
    for (uint32_t i = 0; i < kPublishedWords; i++) {
      const uint32_t place = last[i].place.load(std::memory_order_relaxed);
      if (place >= word_count_) return Status::Of(Code::kBadLayout, "journal");
      words_[place].store(last[i].before.load(std::memory_order_relaxed), std::memory_order_release);
      CRASH_POINT("journal.made-up");
    }
    line_->count.store(0, std::memory_order_release);
    count_ = 0;
    full_ = false;
    return Status::Ok();
  }

  /// In the place of the count: all entries but the last are void, and those say what is to be stored.
  static constexpr uint32_t kPublishing = UINT32_MAX;
  static constexpr uint32_t kPublishedWords = 2;

  Word* words_;
  uint64_t word_count_;
  JournalLine* line_;
  uint32_t count_ = 0;
  bool full_ = false;
};

}  // namespace actor_ipc
