// Soak: the writer and the readers of broadcasts are killed at random. What a reader gets is whole, is the record of that number,
// comes once and in order; each gap is exact; one that the writer waits for misses nothing; and once the writer is dead, the
// others come to the last record that it had published, and to none that it had not begun.
//
// usage: actor_ipc_broadcast_soak [--kills N] [--seed S]
//
// In rounds of one broadcast each: readers are killed and replaced while the writer writes as fast as it can; the first one of a
// round holds it back. Then the writer is killed, and the readers that are left say how far they have come. What was begun,
// published and read stands in memory that outlives the processes.
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include <memory>
#include <string>
#include <vector>

#include "shm/broadcast.h"
#include "shm/segment.h"
#include "test/child.h"
#include "test/random.h"

namespace actor_ipc {

namespace {

constexpr uint32_t kReaders = 4;
constexpr uint32_t kKillsPerRound = 16;
constexpr uint32_t kCapacity = 4096;
/// Fewer than a quarter of the ring: whatever the writer was about to write, the newest record is still there.
constexpr uint32_t kPayloadMax = 900;
/// So often a reader finds nothing new of a writer that is dead, before it takes that for the end.
constexpr uint32_t kQuietMax = 100;
/// Stands for "never".
constexpr int kNeverMs = 30'000;

struct Book {
  std::atomic<uint64_t> begun;
  std::atomic<uint64_t> published;
  std::atomic<uint32_t> dead;
  /// 1 while the first reader holds the writer back; `cursor` is where it reads next.
  std::atomic<uint32_t> holds;
  std::atomic<uint32_t> cursor;
  std::atomic<uint64_t> last[kReaders];
  std::atomic<uint64_t> records;
  std::atomic<uint64_t> missed;
  std::atomic<uint64_t> held;
};

[[noreturn]] void Fail(const std::string& what) {
  fprintf(stderr, "failed: %s\n", what.c_str());
  ::exit(1);
}

void Need(const Status& status, const char* what) {
  if (!status.ok()) Fail(std::string(what) + ": " + status.step());
}

/// The record of that number, which everybody can make again.
std::vector<uint8_t> PayloadOf(uint64_t number, uint32_t seed) {
  Random random((static_cast<uint32_t>(number * 2654435761u) ^ seed) | 1);
  std::vector<uint8_t> bytes;
  random.Fill(&bytes, random.Below(random.Below(8) == 0 ? kPayloadMax : 100));
  return bytes;
}

int RunWriter(BroadcastWriter writer, Book* book, uint32_t seed) {
  for (uint64_t number = 1;; number++) {
    const std::vector<uint8_t> payload = PayloadOf(number, seed);
    book->begun = number;
    for (;;) {
      if (book->holds != 0) writer.HoldFrom(book->cursor);
      else writer.HoldNothing();
      const Status status = writer.Write(2, 0, payload.data(), static_cast<uint32_t>(payload.size()));
      if (status.ok()) break;
      if (status.code() != Code::kAgain) Need(status, "write");
      book->held++;
      ::sched_yield();
    }
    writer.Publish();
    book->published = number;
  }
}

int RunReader(const Fd& file, uint64_t bytes, Book* book, uint32_t index, uint32_t first, uint32_t seed, bool holds) {
  Mapping seen;
  std::vector<RingPlace> rings;
  Need(AttachSegment(file.get(), bytes, UINT32_MAX, SegmentKind::kBroadcast, &seen, &rings), "attach");
  BroadcastReader reader(TailOf(seen.base(), 0), seen.base() + rings[0].offset, rings[0].capacity,
                         {first, first >> kTurnBits, 1});
  uint64_t sequence = 0;
  for (uint32_t quiet = 0; quiet < kQuietMax;) {
    const bool dead = book->dead != 0;
    BroadcastRecord record;
    const Status status = reader.Read(&record);
    if (status.code() == Code::kAgain) {
      if (dead) quiet++;
      ::sched_yield();
      continue;
    }
    Need(status, "read");
    sequence += record.gap + 1;
    if (record.sequence != sequence) Fail("the gap before record " + std::to_string(record.sequence) + " is another");
    if (holds && record.gap != 0) Fail("the one that the writer waits for has missed something");
    const std::vector<uint8_t> wanted = PayloadOf(sequence, seed);
    if (record.kind != 2 || record.bytes != wanted.size() ||
        (record.bytes > 0 && memcmp(record.payload, wanted.data(), record.bytes) != 0))
      Fail("record " + std::to_string(sequence) + " is another one, or torn");
    book->records++;
    book->missed += record.gap;
    book->last[index] = sequence;
    if (holds) book->cursor = reader.position();
  }
  return 0;
}

void Sleep(uint32_t us) {
  const timespec time{0, static_cast<long>(us) * 1000};
  ::nanosleep(&time, nullptr);
}

class Round {
 public:
  Round(Book* book, Random* random) : book_(book), random_(random), first_(random->Below(2) == 0 ? 0 : 0xffff0000) {
    book->begun = book->published = 0;
    book->dead = 0;
    book->holds = 1;
    book->cursor = first_;
    for (auto& last : book->last) last = 0;
    Need(CreateSegment(SegmentKind::kBroadcast, {kCapacity}, first_, &file_, &own_), "create");
    seed_ = random->Next() | 1;
    // Nobody has a segment before its writer has begun it.
    TailLine* line = TailOf(own_.base(), 0);
    const BroadcastWriter writer(line, own_.base() + line->offset, kCapacity);
    // Whoever holds the writer back is there from the start.
    for (uint32_t i = 0; i < kReaders; i++) readers_.push_back(Reader(i, i == 0));
    writer_ = std::make_unique<Child>([&] { return RunWriter(writer, book_, seed_); });
  }

  void Run(uint32_t kills) {
    for (uint32_t i = 1; i < kills; i++) {
      Sleep(random_->Below(1500));
      KillReader(random_->Below(kReaders));
    }
    Sleep(random_->Below(1500));
    if (book_->holds != 0) Progresses("with a reader that it waits for");
    Kill(writer_.get());
    book_->dead = 1;
    for (uint32_t i = 0; i < kReaders; i++) {
      if (readers_[i]->Reap() != 0) Fail("a reader ended");
      const uint64_t last = book_->last[i];
      if (last < book_->published) Fail("a reader has not come to the last record that was published");
      if (last > book_->begun) Fail("a record that was never begun");
    }
  }

 private:
  std::unique_ptr<Child> Reader(uint32_t index, bool holds) {
    return std::make_unique<Child>([&, index, holds] { return RunReader(file_, own_.bytes(), book_, index, first_, seed_, holds); });
  }

  void KillReader(uint32_t index) {
    Kill(readers_[index].get());
    // Its death is known: nobody waits for it any more.
    if (index == 0) book_->holds = 0;
    book_->last[index] = 0;
    readers_[index] = Reader(index, false);
    if (random_->Below(4) == 0) Progresses("after a reader has died");
  }

  void Progresses(const char* when) {
    const uint64_t before = book_->published;
    for (int ms = 0; book_->published == before; ms++) {
      if (ms > kNeverMs) Fail(std::string("the writer stands still ") + when);
      Sleep(1000);
    }
  }

  static void Kill(Child* child) {
    ::kill(child->pid(), SIGKILL);
    if (child->Reap() != -SIGKILL) Fail("a process ended by itself");
  }

  Book* book_;
  Random* random_;
  uint32_t first_;
  uint32_t seed_ = 1;
  Fd file_;
  Mapping own_;
  std::unique_ptr<Child> writer_;
  std::vector<std::unique_ptr<Child>> readers_;
};

int Soak(uint32_t kills, uint32_t seed) {
  void* memory = ::mmap(nullptr, sizeof(Book), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) Fail("mmap");
  auto* book = new (memory) Book;
  Random random(seed);
  for (uint32_t done = 0; done < kills;) {
    const uint32_t share = std::min(kills - done, kKillsPerRound);
    Round(book, &random).Run(share);
    done += share;
  }
  printf("%u kills, seed %u: %llu records read, %llu missed, %llu times the writer waited\n", kills, seed,
         static_cast<unsigned long long>(book->records.load()), static_cast<unsigned long long>(book->missed.load()),
         static_cast<unsigned long long>(book->held.load()));
  return 0;
}

}  // namespace

}  // namespace actor_ipc

int main(int count, char** arguments) {
  uint32_t kills = 200;
  uint32_t seed = 1;
  for (int i = 1; i + 1 < count; i += 2) {
    const uint32_t value = static_cast<uint32_t>(strtoul(arguments[i + 1], nullptr, 10));
    if (strcmp(arguments[i], "--kills") == 0) kills = value;
    else if (strcmp(arguments[i], "--seed") == 0 && value > 0) seed = value;
    else return 2;
  }
  return actor_ipc::Soak(kills, seed);
}
